/** How an informer gets its lists: from a real kube-apiserver that streams them, from one that refuses, from one that stalls. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Informer } from '../../src/informer/index.ts'
import { inShort } from '../../src/informer/test-kit.ts'
import { ApiClient } from '../../src/kube/api-client.ts'
import { loadKubeConfig } from '../../src/kube/kube-config.ts'
import { listWatch } from '../../src/kube/resource-list-watch.ts'
import { settle } from '../../src/kube/testing/settle.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { ManualClock } from '../../src/lib/manual-clock.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { eventually } from '../support/eventually.ts'
import { startApiServer } from '../testbed/api-server.ts'
import { configMaps, configOf, recorded } from './support/recorded.ts'
import { measureSyncs } from './support/sync-figures.ts'

/** An informer of the ConfigMaps of one namespace, and what it has told so far. Ends with the test. */
function informed(t: TestContext, client: ApiClient, { namespace, clock = systemClock }: Place) {
  const api = recorded(listWatch(client, configMaps, { namespace }))
  const stop = new AbortController()
  const errors: string[] = []
  const informer = new Informer(api, {
    scope: 'whole',
    clock,
    reflector: { pageSize: 2 },
    onError: (fault) => errors.push(fault.type === 'Stream' ? fault.error.message : fault.type),
  })
  const told: string[] = []
  const reading = (async () => {
    for await (const deltas of informer.deltas(stop.signal)) for (const delta of deltas) told.push(inShort(delta))
  })()
  t.after(async () => {
    stop.abort()
    await informer.stopped()
    await reading
  })
  informer.start(stop.signal)
  const names = () => [...informer.indexer.objects()].map(({ metadata }) => metadata.name).sort()
  return { api, informer, errors, told, names }
}

interface Place {
  readonly namespace: string
  readonly clock?: Clock
}

const differences = (told: readonly string[]) =>
  told.filter((delta) => !delta.startsWith('Progress')).map((delta) => delta.replaceAll(/@?\d{2,}/g, ''))

test('C25 C31 P3 kube-apiserver streams the first list and, after it has forgotten its history, a relist', async (t) => {
  await using server = await startApiServer()
  await using client = new ApiClient(loadKubeConfig({ kubeconfig: await server.kubeconfig() }))
  await server.admin.createNamespace('shop')
  const path = '/api/v1/namespaces/shop/configmaps'
  for (const name of ['a', 'b', 'c']) await server.admin.create(path, { metadata: { name } })
  const { api, informer, told, names } = informed(t, client, { namespace: 'shop' })
  await informer.synced
  assert.deepEqual(api.asked, ['stream'])
  assert.deepEqual(names(), ['a', 'b', 'c'])

  await server.admin.delete(`${path}/a`)
  await server.admin.create(path, { metadata: { name: 'd' } })
  await eventually(() => told.some((delta) => delta.includes('shop/d')), { what: 'the changes have come' })
  assert.deepEqual(api.asked, ['stream'])
  assert.deepEqual(differences(told).slice(3), ['Deleted shop/a', 'Added shop/d'])

  // b goes while no server is there to tell, and what would have told of it is forgotten
  await server.kill()
  await server.etcd('kv/deleterange', { key: Buffer.from('/registry/configmaps/shop/b').toString('base64') })
  await server.compact()
  await server.start()
  await eventually(() => !names().includes('b'), { what: 'the delete is known', withinMs: 120_000 })
  t.diagnostic(`asked: ${api.asked.join(', ')}`)
  const lists = api.asked.filter((call) => call !== 'check' && call !== 'watch')
  assert.deepEqual(lists, ['stream', 'stream at a version'])
  assert.deepEqual(differences(told).slice(5), ['Gap -> expired', 'Deleted shop/b inferred'])
  assert.deepEqual(names(), ['c', 'd'])
})

test('C28 kube-apiserver without WatchList: pages at once, and no other stream of the resource asks again', async (t) => {
  await using server = await startApiServer({ flags: ['--feature-gates=WatchList=false'] })
  await using client = new ApiClient(loadKubeConfig({ kubeconfig: await server.kubeconfig() }))
  for (const namespace of ['shop', 'pay']) {
    await server.admin.createNamespace(namespace)
    for (const name of ['a', 'b', 'c'])
      await server.admin.create(`/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name } })
  }
  const first = informed(t, client, { namespace: 'shop' })
  await first.informer.synced
  await eventually(() => first.api.asked.includes('watch'), { what: 'the watch is open' })
  assert.deepEqual(first.api.asked, ['stream', 'list', 'next page', 'watch'])
  assert.equal(first.errors.length, 1)
  assert.match(
    first.errors[0] ?? '',
    /422 Invalid: .*WatchList feature gate.*; lists of this resource are read page by page/,
  )

  const second = informed(t, client, { namespace: 'pay' })
  await second.informer.synced
  assert.deepEqual([second.api.asked.slice(0, 2), second.errors], [['list', 'next page'], []])
  assert.deepEqual(
    [first.names(), second.names()],
    [
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ],
  )
})

test('X1 C32 a server that never marks the end of a streamed list: pages after 30 s, for all streams of the resource', async (t) => {
  await using simulator = await new Simulator({ streamedLists: 'unmarked' }).start()
  const clock = new ManualClock()
  await using client = new ApiClient(configOf(simulator.url), { clock })
  for (const name of ['a', 'b', 'c'])
    simulator.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } })
  const first = informed(t, client, { namespace: 'default', clock })
  await settle(first.informer.synced, clock)
  assert.deepEqual(first.api.asked.slice(0, 3), ['stream', 'list', 'next page'])
  assert.match(first.errors[0] ?? '', /^no bookmark has marked the end of a streamed list, after 3 objects and 30 s; /)
  assert.deepEqual(first.names(), ['a', 'b', 'c'])
  const second = informed(t, client, { namespace: 'default', clock })
  await settle(second.informer.synced, clock)
  assert.deepEqual(second.api.asked.slice(0, 2), ['list', 'next page'])
})

test('X6 both ways give the same objects; pages come compressed, a stream of kube-apiserver 1.36 does not', async (t) => {
  const { paged, streamed } = await measureSyncs({ objects: 300, rounds: 1 })
  const [page, stream] = [paged[0], streamed[0]]
  t.diagnostic(JSON.stringify({ page, stream }))
  assert.ok(page && stream)
  assert.deepEqual([page.objects, stream.objects], [300, 300])
  assert.ok(page.wireKiB < stream.wireKiB / 2)
})
