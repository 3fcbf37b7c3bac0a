/** From a real kube-apiserver to receivers that decode with another SDK, compared with etcd's own history. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startReceiver } from '../testbed/receiver.ts'
import { startBridge } from './support/bridge-process.ts'
import { compare } from './support/oracle.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { assertCopied, stateOf } from './support/reference-copy.ts'
import { startCluster } from './support/stand.ts'

const namespaces = ['shop', 'pay']
const network = { allow: ['127.0.0.0/8'] }

test('P1 P2 P4 every version of 3,000 random operations arrives in order, in both modes', async (t) => {
  await using server = await startCluster(namespaces)
  await using structured = await startReceiver()
  await using binary = await startReceiver()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: [
        { name: 'structured', type: 'webhook', url: structured.url, insecureHttp: true, network },
        { name: 'binary', type: 'webhook', url: binary.url, mode: 'binary', insecureHttp: true, network },
      ],
    },
  })
  await bridge.ready()
  const recorder = await server.record()
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const done = await operate(server.admin, { count: 3000, seed, namespaces })
  assert.equal(done.created + done.updated + done.deleted, 3000)
  const history = await recorder.until(await server.revision(), ...prefixes)
  // the server ends a pod with two writes
  assert.ok(history.length >= 3000)

  for (const receiver of [structured, binary]) {
    await eventually(async () => compare(history, await receiver.events()).delivered === history.length, {
      what: 'all has arrived',
      withinMs: 60_000,
    }).catch(() => undefined)
    const result = compare(history, await receiver.events())
    t.diagnostic(`${[...(await receiver.modes())].join()}: ${JSON.stringify({ ...done, ...result })}`)
    assert.deepEqual(result, {
      problems: [],
      versions: history.length,
      delivered: history.length,
      collapsed: 0,
      unseen: 0,
      duplicates: 0,
      gaps: 0,
    })
    const copied = await assertCopied(await receiver.events(), stateOf(history))
    assert.equal(copied.matching, resources.length * namespaces.length, 'the first snapshot of each stream')
  }
  assert.deepEqual([await structured.modes(), await binary.modes()], [new Set(['structured']), new Set(['binary'])])
  assert.equal(await bridge.end('SIGTERM'), 0)
})
