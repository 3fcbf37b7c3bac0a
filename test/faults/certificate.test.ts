/** A server whose certificate has expired, and is renewed while the bridge runs. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { expired, one as valid } from '../../sinks/webhook/test-certificates.ts'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { Workspace } from '../testbed/workspace.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'

test('F47 a receiver whose certificate has expired is sent nothing and is named with the reason; renewed, it gets all', async (t) => {
  await using workspace = await Workspace.create('certificates')
  const ca = join(workspace.folder, 'ca.pem')
  await writeFile(ca, valid.cert)
  await using receiver = await FaultyReceiver.start(valid)
  const sink = {
    ...{ name: 'receiver', type: 'webhook', url: receiver.url, retry },
    ...{ tls: { ca: { file: ca } }, network: { allow: ['127.0.0.0/8'] } },
  }
  await using stand = await FaultStand.start([sink], { seed: newSeed(t) })
  await stand.write(100)
  await stand.arrived(() => receiver.events)

  receiver.present(expired)
  const before = receiver.events.length
  await stand.write(200)
  await stand.untilTold('receiver', 'unavailable')
  assert.match(
    await stand.readiness('receiver'),
    /^\[\+\] sink receiver: connected, degraded: 127.0.0.1:\d+ cannot be reached: .*certificate has expired/,
  )
  assert.equal(receiver.events.length, before, 'nothing is told to whoever cannot say who it is')
  receiver.present(valid)

  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify(result))
  assert.equal(result.delivered + result.collapsed, result.versions)
  assert.deepEqual([result.duplicates, result.gaps], [0, 0])
  assert.deepEqual(await stand.told('receiver'), ['healthy', 'unavailable', 'healthy'])
  await stand.endsInOrder('receiver')
})
