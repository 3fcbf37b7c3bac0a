/** A server whose certificate has expired, and is renewed while the bridge runs. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { expired, one as valid } from '../../sinks/webhook/test-certificates.ts'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { judgeTopic } from '../e2e/support/kafka-topic.ts'
import { eventually } from '../support/eventually.ts'
import { startKafka } from '../testbed/kafka.ts'
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
    /^\[!\] sink receiver: connected, degraded: 127.0.0.1:\d+ cannot be reached: .*certificate has expired/,
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

test('F47 a Kafka whose certificate has expired is named with the reason; renewed while it runs, it gets every version', async (t) => {
  await using workspace = await Workspace.create('certificates')
  const ca = join(workspace.folder, 'ca.pem')
  await writeFile(ca, valid.cert)
  await using kafka = await startKafka()
  await kafka.createTopic('audit')
  const present = ({ cert, key }: { readonly cert: string; readonly key: string }) =>
    kafka.configure(
      { type: 'broker', name: '1' },
      {
        'listener.name.tls.ssl.keystore.type': 'PEM',
        'listener.name.tls.ssl.keystore.certificate.chain': cert,
        'listener.name.tls.ssl.keystore.key': key,
      },
    )
  const sink = {
    ...{ name: 'log', type: 'kafka', brokers: [kafka.address('tls')], topic: 'audit', retry },
    ...{ tls: { ca: { file: ca } }, queue: { whenFull: 'block' } },
  }
  await using stand = await FaultStand.start([sink], { seed: newSeed(t) })
  await stand.write(100)

  await present(expired)
  await kafka.kill() // connections that are open outlive what they were opened with
  await kafka.start()
  await stand.write(100)
  const why = /cannot be reached: .*certificate has expired/
  await eventually(async () => why.test(await stand.readiness('log')), { what: 'the reason is told' })
  await present(valid)
  await stand.write(50)

  const history = await stand.history()
  await eventually(async () => (await stand.metric('sink_queue_events', 'log')) === 0, { what: 'all is delivered' })
  const { problems, ...judged } = judgeTopic(history, await kafka.consoleConsumer('audit'), 1)
  t.diagnostic(JSON.stringify(judged))
  assert.deepEqual(problems, [])
  assert.equal(judged.delivered, history.length)
  assert.deepEqual(await stand.told('log'), ['healthy', 'unavailable', 'healthy'])
  await stand.endsInOrder('log')
})
