/** From a real kube-apiserver through a rule of EventBridge into a queue, compared with etcd's own history. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { awsEnvironment, type RuleEvent, startMoto } from '../testbed/moto.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import type { RecordedChange } from '../testbed/recorder.ts'
import { startBridge } from './support/bridge-process.ts'
import { compare } from './support/oracle.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { startCluster } from './support/stand.ts'

const namespaces = ['shop', 'pay']

const ofShopsPods = ({ key, object }: RecordedChange) => key.startsWith('pods/') && object.metadata.namespace === 'shop'

/** What the rule passed, in the order of their versions: a queue keeps none. */
function sorted(events: readonly RuleEvent[]): readonly ReceivedEvent[] {
  const details = events.map(({ detail }) => detail as ReceivedEvent)
  return details.sort((a, b) => (String(a.sequence) < String(b.sequence) ? -1 : 1))
}

test('P1 P4 every version of the pods that a rule is about passes it, once, and nothing else does', async (t) => {
  await using server = await startCluster(namespaces)
  await using moto = await startMoto()
  await moto.createBus('k8s')
  const pods = { prefix: 'kubernetes://test/api/v1/pods/shop/' }
  const changed = { prefix: 'io.deltawire.object.' }
  const queue = await moto.createRule({
    bus: 'k8s',
    name: 'pods-of-shop',
    pattern: { resources: [pods], 'detail-type': [changed], detail: { data: { object: { kind: ['Pod'] } } } },
  })
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    env: { ...awsEnvironment, AWS_REGION: 'eu-west-1' },
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: [{ name: 'bus', type: 'eventbridge', bus: 'k8s', endpoint: moto.url }],
    },
  })
  await bridge.ready()
  const recorder = await server.record()
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  await operate(server.admin, { count: 1000, seed, namespaces })
  const all = await recorder.until(await server.revision(), ...prefixes)
  const history = all.filter(ofShopsPods)
  assert.ok(history.length > 50)

  const passed = async () => compare(history, sorted(await queue.events()))
  await eventually(async () => (await passed()).delivered === history.length, {
    what: 'all has arrived',
    withinMs: 60_000,
  }).catch(
    () => undefined, // what is missing is told below
  )
  const result = await passed()
  t.diagnostic(JSON.stringify({ of: all.length, ...result }))
  assert.deepEqual(result, {
    problems: [],
    versions: history.length,
    delivered: history.length,
    collapsed: 0,
    unseen: 0,
    duplicates: 0,
    gaps: 0,
  })
  const events = await queue.events()
  assert.equal(events.length, history.length)
  for (const { source, resources: about, 'detail-type': type, detail } of events) {
    assert.deepEqual(
      [source, about, type],
      [detail.source, [`kubernetes://test/api/v1/pods/${String(detail.subject)}`], detail.type],
    )
  }
  assert.equal(await bridge.end('SIGTERM'), 0)
})
