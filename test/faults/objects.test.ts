/** What happens to many objects at once, or to one name, on a real API server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Copy, decodeStructured } from '../../src/events/index.ts'
import { startBridge } from '../e2e/support/bridge-process.ts'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { startCluster, webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import { startController } from './support/controllers.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'
import { listed } from './support/listed.ts'

const EVENT_TTL_SECONDS = 5
let server: TestApiServer

before(async () => {
  server = await startCluster(['shop', 'doomed', 'again', 'told'], { flags: [`--event-ttl=${EVENT_TTL_SECONDS}s`] })
})
after(async () => {
  await server?.[Symbol.asyncDispose]()
})

test('F19 a namespace that is deleted takes all its objects with it: each is told, and its streams are in order', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'doomed', seed: newSeed(t) })
  await stand.write(150)
  await using _controller = await startController(server, 'namespace-controller')
  await server.admin.delete('/api/v1/namespaces/doomed')
  const isEmpty = async () => (await listed(server, 'doomed')).size === 0
  await eventually(isEmpty, { what: 'all that was in the namespace is gone' })

  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual([result.gaps, result.unseen], [0, 0])
  assert.deepEqual((await stand.copied(() => receiver.events)).objects, 0)
  await stand.endsInOrder('receiver')
})

test('F25 P2 a name that is taken again at once, over and over: each object is told to be deleted before the next one is there', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const sinks = [webhook('receiver', receiver.url, { retry, queue: { whenFull: 'block' } })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'again', seed: newSeed(t) })
  const path = '/api/v1/namespaces/again/configmaps'
  const again = async (name: string) => {
    for (let time = 0; time < 40; time++) {
      await server.admin.create(path, { metadata: { name }, data: { time: String(time) } })
      await server.admin.delete(`${path}/${name}`)
    }
  }
  await Promise.all(['a', 'b', 'c', 'd'].map(again))

  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual([result.versions, result.delivered, result.duplicates], [320, 320, 0])
  assert.deepEqual(
    receiver.events.filter(({ subject }) => subject === 'again/a').map(({ type }) => type.split('.').at(-2)),
    Array.from({ length: 40 }, () => ['added', 'deleted']).flat(),
  )
  await stand.endsInOrder('receiver')
})

test('F24 KubeEvents that expire by the hundred: their deletion is told to those who ask for it, a full snapshot makes the copy of others right', async (t) => {
  await using quiet = await FaultyReceiver.start()
  await using asking = await FaultyReceiver.start()
  const all = ['added', 'updated', 'deleted', 'snapshot', 'gap']
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [
        { name: 'all', resources: ['events'], namespaces: ['told'], resync: { every: '3s', snapshot: 'full' } },
      ],
      routes: [
        { name: 'quiet', to: ['quiet'] },
        { name: 'asking', to: ['asking'], on: all },
      ],
      sinks: [webhook('quiet', quiet.url, { retry }), webhook('asking', asking.url, { retry })],
    },
  })
  await bridge.ready()
  const count = 300
  const create = async (index: number) =>
    await server.admin.create('/api/v1/namespaces/told/events', {
      metadata: { name: `e${index}` },
      involvedObject: { kind: 'Pod', namespace: 'told', name: 'web' },
      reason: 'BackOff',
      count: 1,
    })
  for (let at = 0; at < count; at += 10) await Promise.all(Array.from({ length: 10 }, (_, index) => create(at + index)))
  const of = (receiver: FaultyReceiver, type: string) =>
    receiver.events.filter((event) => event.type === `io.deltawire.object.${type}.v1`).length
  await eventually(() => of(asking, 'deleted') === count, { what: 'all have expired, and that is told' })
  t.diagnostic(JSON.stringify({ asking: of(asking, 'deleted'), quiet: of(quiet, 'deleted') }))
  assert.deepEqual([of(asking, 'added'), of(quiet, 'added')], [count, count])
  const held = () => {
    const copy = new Copy()
    for (const body of quiet.bodies) copy.apply(decodeStructured(body))
    return [...copy.objects()].length
  }
  await eventually(() => held() === 0, { what: 'the copy of the other is empty, too' })
  assert.equal(of(quiet, 'deleted'), 0)
  assert.equal(await bridge.end('SIGTERM'), 0)
})
