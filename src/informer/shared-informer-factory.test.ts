import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { SharedInformerFactory, type StreamSelection } from './shared-informer-factory.ts'
import { deleted, inShort, list, listFails, pod, ScriptedListWatch, watch } from './test-kit.ts'

type Script = ConstructorParameters<typeof ScriptedListWatch>[0]

function factoryOver(scripts: Readonly<Record<string, Script>>) {
  const clock = new ManualClock()
  const streams: { readonly resource: string; readonly selection: StreamSelection; readonly api: ScriptedListWatch }[] =
    []
  const factory = new SharedInformerFactory(
    (resource, selection) => {
      const api = new ScriptedListWatch(scripts[resource] ?? [], clock)
      streams.push({ resource, selection, api })
      return api
    },
    { clock, random: () => 0 },
  )
  return { clock, factory, streams }
}

test('one informer, one list and one watch for a stream, however many ask; another selection is another stream', async () => {
  const { clock, factory, streams } = factoryOver({ pods: [list(10, [pod('shop/a', 3)]), watch()] })
  const pods = factory.forResource('pods')
  assert.equal(factory.forResource('pods'), pods)
  assert.notEqual(factory.forResource('pods', { namespace: 'shop' }), pods)
  assert.equal(factory.forResource('pods', { namespace: 'shop' }), factory.forResource('pods', { namespace: 'shop' }))
  const stop = new AbortController()
  factory.start(stop.signal)
  factory.start(stop.signal)
  await clock.advance(0)
  assert.deepEqual(
    streams.map(({ resource, selection, api }) => [resource, selection, api.asked]),
    [
      ['pods', {}, ['list', 'watch 10']],
      ['pods', { namespace: 'shop' }, ['list', 'watch 10']],
    ],
  )
  await factory.shutdown()
  assert.deepEqual(
    streams.map(({ api }) => api.open),
    [0, 0],
  )
})

test('start again starts what was added since', async () => {
  const { clock, factory, streams } = factoryOver({ pods: [list(10, []), watch()], nodes: [list(11, []), watch()] })
  const stop = new AbortController()
  factory.forResource('pods')
  factory.start(stop.signal)
  factory.forResource('nodes')
  await clock.advance(0)
  assert.deepEqual(
    streams.map(({ api }) => api.calls.length),
    [2, 0],
  )
  factory.start(stop.signal)
  await clock.advance(0)
  assert.deepEqual(
    streams.map(({ api }) => api.calls.length),
    [2, 2],
  )
  await factory.shutdown()
  assert.equal(clock.pending, 0)
})

test('waitForCacheSync tells which have synced; after the timeout ok is false, and nothing was stopped', async () => {
  const refused = [listFails('forbidden'), listFails('forbidden'), list(12, []), watch()]
  const { clock, factory } = factoryOver({ pods: [list(10, []), watch()], nodes: refused })
  factory.forResource('pods')
  factory.forResource('nodes', { labelSelector: 'role=worker' })
  factory.start(new AbortController().signal)
  const first = factory.waitForCacheSync(1000)
  await clock.advance(1000)
  assert.deepEqual(await first, {
    ok: false,
    resources: new Map([
      ['pods', true],
      ['nodes (role=worker)', false],
    ]),
  })
  const second = factory.waitForCacheSync(60_000)
  await clock.advance(60_000)
  assert.deepEqual(await second, {
    ok: true,
    resources: new Map([
      ['pods', true],
      ['nodes (role=worker)', true],
    ]),
  })
  await factory.shutdown()
  assert.equal(clock.pending, 0)
})

test('waitForCacheSync ends when the factory is shut down', async () => {
  const { clock, factory } = factoryOver({})
  factory.forResource('pods')
  factory.start(new AbortController().signal)
  const waiting = factory.waitForCacheSync(60_000)
  await clock.advance(0)
  await factory.shutdown()
  assert.deepEqual(await waiting, { ok: false, resources: new Map([['pods', false]]) })
  assert.equal(clock.pending, 0)
})

test('selectors make a delete a leave; a namespace does not', async () => {
  const gone = [list(10, [pod('shop/a', 3)]), watch([deleted(pod('shop/a', 11))])]
  const { clock, factory } = factoryOver({ pods: gone })
  const stop = new AbortController()
  const readers = [{ labelSelector: 'app=web' }, { fieldSelector: 'spec.nodeName=n1' }, { namespace: 'shop' }, {}].map(
    (selection) => factory.forResource('pods', selection).deltas(stop.signal),
  )
  factory.start(stop.signal)
  await clock.advance(0)
  const deletes = readers.map((reader) => {
    reader.take()
    return reader.take().map(inShort)
  })
  assert.deepEqual(deletes, [
    ['Deleted shop/a@11 left'],
    ['Deleted shop/a@11 left'],
    ['Deleted shop/a@11'],
    ['Deleted shop/a@11'],
  ])
  await factory.shutdown()
})
