/** An API server that is restored, restarted, or not to be found: a real one, and the bridge as a process of its own. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { startCluster, webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import { Workspace } from '../testbed/workspace.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'
import { writeKubeconfig } from './support/kubeconfig.ts'
import { Way } from './support/way.ts'

const namespaces = { restored: 'restored', down: 'restored-while-down', rolling: 'rolling', names: 'names' } as const
let server: TestApiServer
/** As through a load balancer: it waits while the server is restarted, and leads to the next one of a rolling restart. */
let way: Way
let workspace: Workspace
let kubeconfig: string

before(async () => {
  // otherwise a server that is told to end keeps its watches for a minute
  const flags = ['--shutdown-watch-termination-grace-period=1s']
  server = await startCluster(Object.values(namespaces), { flags })
  way = await Way.to(server.url)
  workspace = await Workspace.create('faults')
  kubeconfig = await writeKubeconfig(join(workspace.folder, 'kubeconfig'), {
    server: `https://127.0.0.1:${way.port}`,
    ca: server.caFile,
    user: { token: server.token('admin') },
  })
})
after(async () => {
  await way?.[Symbol.asyncDispose]()
  await workspace?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

/** While it is done, nobody is refused. */
async function behindTheWay(work: () => Promise<void>): Promise<void> {
  way.hold()
  await work()
  way.release()
}

/** The causes of the gaps that were told, a stream each. */
const gaps = (receiver: FaultyReceiver) =>
  receiver.events
    .filter(({ type }) => type.startsWith('io.deltawire.stream.gap'))
    .map(({ stream, data }) => `${stream} ${(data as { readonly gap: { readonly cause: string } }).gap.cause}`)
    .sort()

const restoredIn = (namespace: string) =>
  ['configmaps', 'pods', 'widgets.v1.example.com'].map((resource) => `all/${resource}/${namespace} restored`)

test('F13 X8 a server that is restored from a backup while it is watched: one gap per stream, then its own snapshot; the copy is what it has', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const namespace = namespaces.restored
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace, kubeconfig, seed: newSeed(t) })
  await stand.write(100)
  const backup = await server.backup()
  await stand.write(200)
  await stand.arrived(() => receiver.events)

  await behindTheWay(() => server.restore(backup))
  await eventually(() => gaps(receiver).length === 3, { what: 'the gaps are told' })
  await stand.write(50)
  t.diagnostic(JSON.stringify(await stand.copied(() => receiver.events)))
  assert.deepEqual(gaps(receiver), restoredIn(namespace))
  await stand.endsInOrder('receiver')
})

test('F13 X8 a server that is restored while the bridge is down, with its state on disk: the same', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const namespace = namespaces.down
  const state = { type: 'file', path: join(workspace.folder, 'state') }
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, {
    ...{ server, namespace, kubeconfig, config: { state }, seed: newSeed(t) },
  })
  await stand.write(100)
  const backup = await server.backup()
  await stand.write(200)
  await stand.arrived(() => receiver.events)

  await stand.restart('SIGTERM', () => behindTheWay(() => server.restore(backup)))
  await stand.bridge.ready()
  await stand.write(50)
  t.diagnostic(JSON.stringify(await stand.copied(() => receiver.events)))
  assert.deepEqual(gaps(receiver), restoredIn(namespace))
  await stand.endsInOrder('receiver')
})

test('F15 a rolling restart, three times under load: nothing is lost, and each stream lists at most once for each', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const namespace = namespaces.rolling
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace, kubeconfig, seed: newSeed(t) })
  for (let restart = 0; restart < 3; restart++) {
    const endFormer = await server.startAnother()
    // then the streams are past where its history begins: it would answer 410, and each failure doubles the back-off
    await stand.write(30)
    await stand.arrived(() => receiver.events)
    const writing = stand.write(100)
    way.leadTo(server.url)
    await endFormer()
    await writing
    t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  }
  await stand.copied(() => receiver.events)
  const { body } = await stand.bridge.get('/metrics')
  const lists = [...body.matchAll(/^deltawire_source_lists_total\{.*result="streamed"\} (\d+)$/gm)]
  assert.equal(lists.length, 3)
  for (const [line, count] of lists) assert.ok(Number(count) <= 4, line)
  await stand.endsInOrder('receiver')
})

test('F26 names of the API server and of the receiver that cannot be resolved for a while: nothing is lost, no list is needed', async (t) => {
  await using receiver = await FaultyReceiver.start()
  await using toReceiver = await Way.to(receiver.url)
  const unknown = join(workspace.folder, 'unknown')
  const named = await writeKubeconfig(join(workspace.folder, 'named.kubeconfig'), {
    server: `https://kubernetes.default.svc:${way.port}`,
    ca: server.caFile,
    user: { token: server.token('admin') },
  })
  const env = {
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'support/names.ts')}`,
    TEST_NAMES: 'kubernetes.default.svc,receiver.test',
    TEST_NAMES_FAIL: unknown,
  }
  const sinks = [webhook('receiver', `http://receiver.test:${toReceiver.port}/`, { retry })]
  const namespace = namespaces.names
  await using stand = await FaultStand.start(sinks, { server, namespace, kubeconfig: named, env, seed: newSeed(t) })
  await writeFile(unknown, '')
  await stand.write(50)
  await stand.arrived(() => receiver.events) // by connections that are open
  for (const one of [way, toReceiver]) one.cut()
  await stand.write(50)
  const isTold = async () => /stream all\/pods.*degraded.*EAI_AGAIN/.test((await stand.bridge.get('/readyz')).body)
  await eventually(isTold, { what: 'it says that the name is not known' })
  await rm(unknown)

  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual([result.gaps, result.unseen], [0, 0])
  await stand.endsInOrder('receiver')
})
