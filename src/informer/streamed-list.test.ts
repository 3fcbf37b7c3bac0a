import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeError, type KubeErrorCode } from '../kube/errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { StreamedLists } from '../kube/streamed-lists.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { Informer } from './informer.ts'
import { reflect, step } from './reflector.ts'
import { type ReflectorOptions, reflectorDefaults } from './reflector-options.ts'
import { beforeList, type State } from './state.ts'
import {
  added,
  bookmark,
  CountingObserver,
  deleted,
  error,
  fault,
  list,
  listFails,
  marker,
  modified,
  pod,
  Rig,
  rv,
  ScriptedListWatch,
  watch,
  watchFails,
} from './test-kit.ts'

const a3 = pod('shop/a', 3)
const b4 = pod('shop/b', 4)
const c5 = pod('shop/c', 5)

/** A server that takes streamed lists; every stream is a `watch` of the script. */
function streamed(script: ConstructorParameters<typeof Rig>[0], options: ConstructorParameters<typeof Rig>[1] = {}) {
  return new Rig(script, { lists: 'as-scripted', ...options })
}

test('C01 C25 C77 a full cycle: one watch is the list and the live watch; the next one asks for no objects', async () => {
  await using rig = streamed([
    watch([added(b4)], [added(a3), marker(10), added(pod('shop/c', 11))], [bookmark(15)], 'close'),
    watch(),
  ])
  assert.deepEqual(await rig.deltas(), [
    'Added shop/b@4',
    'Added shop/a@3',
    'Progress 10',
    'Added shop/c@11',
    'Progress 15',
  ])
  assert.deepEqual(rig.api.calls, [
    { watch: { timeoutSeconds: 450, sendInitialEvents: true } },
    { watch: { resourceVersion: '15', timeoutSeconds: 450 } },
  ])
  assert.deepEqual(rig.observer.counts, { bookmark: 2, 'listed streamed': 1, watchStarted: 2, 'watchEnded closed': 1 })
})

test('C24 objects without a marker: the store stays empty, nothing has synced, there is no position', async () => {
  await using rig = streamed([watch([added(a3), added(b4)])])
  assert.deepEqual(await rig.deltas(29_999), [])
  assert.deepEqual([rig.store, rig.informer.hasSynced], [[], false])
  assert.deepEqual(rig.informer.status, { type: 'starting' })
  assert.equal(rig.informer.lastSyncResourceVersion, undefined)
})

test('C25 the marker replaces the store at once, at its own version, without another request', async () => {
  await using rig = streamed([
    watch([added(a3), added(b4), marker(10)], [error('expired')]),
    watch([added(b4)], { afterMs: 1000 }, [added(pod('shop/c', 15))], { afterMs: 1000 }, [marker(20)]),
  ])
  await rig.full()
  assert.deepEqual(await rig.deltas(1200 + 1000), [])
  assert.deepEqual(rig.store, ['shop/a@3', 'shop/b@4'])
  assert.deepEqual(await rig.deltas(1000), [
    'Gap 10->20 expired',
    'Deleted shop/a@3 inferred',
    'Added shop/c@15 ~',
    'Progress 20',
  ])
  assert.deepEqual(rig.api.asked, ['stream', 'stream 10'])
  assert.deepEqual([rig.informer.lastSyncResourceVersion, rig.api.open], ['20', 1])
})

test('C25 a list of nothing is the marker alone: synced, and what a relist does not have is deleted', async () => {
  await using rig = streamed([watch([added(a3), marker(10), error('server')]), watch([marker(12)])])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), ['Gap 10->12 expired', 'Deleted shop/a@3 inferred', 'Progress 12'])
  await using empty = streamed([watch([marker(7)])])
  assert.deepEqual(await empty.deltas(), ['Progress 7'])
  assert.equal(empty.informer.hasSynced, true)
})

test('C26 changes and deletes before the marker are part of the list', async () => {
  await using rig = streamed([
    watch([added(a3), added(b4)], [modified(pod('shop/a', 11)), deleted(pod('shop/b', 12))], [marker(12)]),
  ])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@11', 'Progress 12'])
  assert.deepEqual(rig.store, ['shop/a@11'])
})

test('C26 a name taken again before the marker is the new object', async () => {
  const young = pod('shop/a', 13, { uid: 'young' })
  await using rig = streamed([watch([added(a3), deleted(pod('shop/a', 12)), added(young), marker(13)])])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@13', 'Progress 13'])
})

test('C27 a bookmark without the annotation ends nothing', async () => {
  await using rig = streamed([watch([added(a3), bookmark(9)], [added(b4)], { afterMs: 1000 }, [marker(10)])])
  assert.deepEqual(await rig.deltas(999), [])
  assert.deepEqual(await rig.deltas(1), ['Added shop/a@3', 'Added shop/b@4', 'Progress 10'])
})

const unsupported = new KubeError('rejected', 'GET /api/v1/pods: 422 Invalid', { status: 422, reason: 'Invalid' })

test('C28 a server without streamed lists (422): pages at once, and no stream of the resource ever again', async () => {
  await using rig = streamed([
    { call: 'watch', acts: unsupported },
    list(10, [a3], 'c1'),
    list(10, [b4]),
    watch([error('expired')]),
    list(20, [a3]),
    watch(),
  ])
  await rig.full()
  assert.deepEqual(rig.api.asked, ['stream', 'list', 'list next=c1', 'watch 10'])
  await rig.full(5000)
  assert.deepEqual(rig.api.asked.slice(4), ['list', 'watch 20'])
  assert.deepEqual(rig.store, ['shop/a@3'])
  const told = rig.faults.map((fault) => fault.type === 'Stream' && fault.error.message)
  const fromNowOn = 'lists of this resource are read page by page from now on'
  assert.equal(told[0], `GET /api/v1/pods: 422 Invalid; ${fromNowOn}`)
  assert.deepEqual(rig.api.calls[1], { list: { limit: 500 } })
})

test('C28 a 422 in the stream is the same as one in the status', async () => {
  await using rig = streamed([watch([{ type: 'ERROR', error: unsupported }]), list(10, [a3]), watch()])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@3', 'Progress 10'])
  assert.equal(rig.api.streaming?.works, false)
})

for (const code of ['rejected', 'forbidden', 'server', 'unusable', 'idle'] as const) {
  test(`C28 ${code}, at the start or before the marker: pages at once, this time; the next list is streamed`, async () => {
    for (const failing of [watchFails(code), watch([added(b4)], [error(code)]), watch([added(b4)], fault(code))]) {
      await using rig = streamed([failing, list(10, [a3]), watch([error('expired')]), watch([marker(20)])])
      await rig.full()
      assert.deepEqual(rig.api.asked, ['stream', 'list', 'watch 10'])
      await rig.full(5000)
      assert.deepEqual(rig.api.asked.slice(3), ['stream 10'])
      assert.deepEqual([rig.store, rig.api.open], [[], 1])
    }
  })
}

test('C28 pages that fail too are asked for again as pages, with back-off, until a list is in', async () => {
  await using rig = streamed([
    watchFails('server'),
    listFails('server'),
    list(10, [a3], 'c'),
    listFails('expired'),
    list(11, [a3]),
    watch(),
  ])
  await rig.clock.advance(1199)
  assert.deepEqual(rig.api.asked, ['stream', 'list'])
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked.slice(2), ['list', 'list next=c', 'list', 'watch 11'])
})

test('C29 F05 429 and refused: the same stream again after the back-off, never pages', async () => {
  for (const code of ['throttled', 'refused', 'unauthorized', 'not-found'] as const) {
    await using rig = streamed([
      ...Array.from({ length: 4 }, () => watchFails(code, { retryAfterMs: 2000 })),
      watch([added(a3), error(code)]),
      watch([added(a3), marker(10)]),
    ])
    await rig.clock.advance(1999)
    assert.deepEqual(rig.api.asked, ['stream'])
    await rig.clock.advance(1)
    assert.deepEqual(rig.api.asked, ['stream', 'stream'])
    assert.deepEqual(await rig.deltas(120_000), ['Added shop/a@3', 'Progress 10'])
    assert.deepEqual(new Set(rig.api.asked), new Set(['stream']))
    assert.equal(rig.api.calls.length, 6)
  }
})

test('C30 C33 a stream that ends before its marker: its objects are dropped, a new one after the back-off, at no version', async () => {
  for (const end of ['close', fault('reset'), error('unavailable')] as const) {
    const ends = typeof end === 'object' && 'type' in end ? [end] : end
    await using rig = streamed([
      watch([added(a3)], [modified(pod('shop/a', 11)), bookmark(12)], ends),
      watch([added(b4), marker(20)]),
    ])
    assert.deepEqual(await rig.deltas(1199), [])
    assert.deepEqual(rig.api.asked, ['stream'])
    assert.equal(rig.informer.lastSyncResourceVersion, undefined)
    assert.deepEqual(await rig.deltas(1), ['Added shop/b@4', 'Progress 20'])
    assert.deepEqual(rig.api.asked, ['stream', 'stream'])
  }
})

test('C30 a stream that ends at its marker has done what it was for: the next is a plain watch', async () => {
  await using rig = streamed([watch([added(a3), marker(10)], 'close'), watch()])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@3', 'Progress 10'])
  assert.deepEqual(rig.api.asked, ['stream', 'watch 10'])
})

test('C30 P9 streams that break off three times before their marker: pages, this time', async () => {
  const cut = watch([added(a3)], fault('reset'))
  await using rig = streamed([cut, cut, cut, list(10, [a3]), watch([error('expired')]), cut, watch([marker(20)])])
  assert.deepEqual(await rig.deltas(1200 + 2400), ['Added shop/a@3', 'Progress 10'])
  assert.deepEqual(rig.api.asked, ['stream', 'stream', 'stream', 'list', 'watch 10'])
  await rig.full(60_000)
  assert.deepEqual(rig.api.asked.slice(5), ['stream 10', 'stream 10'])
  assert.deepEqual(rig.store, [])
})

test('C31 F02 410 after the marker: the next cycle streams from the last version, at most', async () => {
  await using rig = streamed([
    watch([added(a3), marker(10), modified(pod('shop/a', 11))], [error('expired')]),
    watch([added(pod('shop/a', 11)), added(b4), marker(20)]),
  ])
  await rig.full()
  assert.deepEqual(rig.failures, ['expired'])
  assert.deepEqual(await rig.deltas(1200), ['Gap 11->20 expired', 'Added shop/b@4 ~', 'Progress 20'])
  assert.deepEqual(rig.api.asked, ['stream', 'stream 11'])
})

test('C16 C18 F07 a stream at a version that is forgotten or not reached yet: at once the newest, then with back-off', async () => {
  for (const code of ['expired', 'too-large-resource-version'] as const) {
    for (const failing of [watchFails(code), watch([error(code)])]) {
      await using rig = streamed([watch([marker(10)], [error('expired')]), failing, failing, watch([marker(20)])])
      await rig.full(1200)
      assert.deepEqual(rig.api.asked, ['stream', 'stream 10', 'stream'])
      await rig.clock.advance(2400)
      assert.deepEqual(rig.api.asked.slice(3), ['stream'])
      assert.deepEqual(rig.store, [])
    }
  }
})

test('X1 C32 30 s without a frame before the marker: pages at once, told why, and remembered', async () => {
  await using rig = streamed([
    watch([added(a3), added(c5), deleted(pod('shop/c', 6))], { afterMs: 29_999 }, [added(b4)]),
    list(10, [a3]),
    watch([error('expired')]),
    list(20, [a3]),
    watch(),
  ])
  await rig.clock.advance(29_999 + 29_999)
  assert.deepEqual(rig.api.asked, ['stream'])
  assert.deepEqual(await rig.deltas(1), ['Added shop/a@3', 'Progress 10'])
  assert.deepEqual(rig.api.asked, ['stream', 'list', 'watch 10'])
  assert.deepEqual([rig.api.open, rig.api.disposals], [0, 2])
  const [first] = rig.faults
  assert.equal(
    first?.type === 'Stream' && first.error.message,
    'no bookmark has marked the end of a streamed list, after 2 objects and 60 s; ' +
      'lists of this resource are read page by page from now on',
  )
  await rig.full(5000)
  assert.deepEqual(rig.api.asked.slice(3), ['list', 'watch 20'])
})

test('X1 C32 5 minutes without a marker, though frames come all the time: pages', async () => {
  const acts = Array.from({ length: 40 }, (_, index) => [{ afterMs: 10_000 }, [modified(pod('shop/a', 11 + index))]])
  await using rig = streamed([watch([added(a3)], ...acts.flat()), list(60, [a3]), watch()])
  await rig.clock.advance(299_999)
  assert.deepEqual(rig.api.asked, ['stream'])
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked, ['stream', 'list', 'watch 60'])
  assert.equal(rig.api.streaming?.works, false)
})

test('X1 the marker may be late as long as frames come; waiting for the reader does not count', async () => {
  const acts = Array.from({ length: 9 }, (_, index) => [{ afterMs: 29_000 }, [added(pod(`shop/p${index}`, 5))]])
  await using rig = streamed([watch(...acts.flat(), [marker(10)])])
  assert.equal((await rig.deltas(9 * 29_000)).length, 10)

  // the first list is not taken for an hour: the stream of the second is open meanwhile, and not read
  await using slow = streamed([
    watch([added(a3), marker(10), error('expired')]),
    watch([added(b4)], { afterMs: 1000 }, [marker(20)], { afterMs: 60_000 }, [bookmark(21)]),
  ])
  await slow.clock.advance(3_600_000)
  await slow.full()
  assert.equal((await slow.deltas(61_000)).at(-1), 'Progress 21')
  assert.deepEqual(slow.api.asked, ['stream', 'stream 10'])
  assert.equal(slow.api.streaming?.works, true)
})

test('C32 what one stream has learnt of a resource all its streams know, and no other resource', async () => {
  const lists = new StreamedLists()
  lists.of('/api/v1/pods').giveUp()
  assert.deepEqual([lists.of('/api/v1/pods').works, lists.of('/api/v1/nodes').works], [false, true])
})

test('X8 F13 versions that went back, found by a streamed list: announced as restored', async () => {
  await using rig = streamed([
    watch([added(pod('shop/a', 40, { spec: 'of one history' })), marker(100)], [error('expired')]),
    watch([error('too-large-resource-version')]),
    watch([added(pod('shop/a', 40, { spec: 'of another' })), marker(50), modified(pod('shop/a', 51))]),
  ])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), [
    'Gap 100->50 restored',
    'Updated shop/a@40->shop/a@40 ~',
    'Progress 50',
    'Updated shop/a@40->shop/a@51',
  ])
  assert.deepEqual(rig.api.asked, ['stream', 'stream 100', 'stream'])
})

test('X8 F13 versions that went back, found after a lost connection: the newest state is streamed', async () => {
  await using rig = streamed([
    watch([added(a3), marker(100)], fault('reset')),
    list(60, [a3]),
    watch([added(a3), marker(60)]),
  ])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), ['Gap 100->60 restored', 'Progress 60'])
  assert.deepEqual(rig.api.asked, ['stream', 'check', 'stream'])
})

test('C22 the transform sees each object of a streamed list once, before anything keeps it', async () => {
  const seen: string[] = []
  const transform = (object: KubeObject) => {
    seen.push(object.metadata.name)
    return { ...object, spec: 'transformed' }
  }
  await using rig = streamed([watch([added(a3)], [added(b4), marker(10)])], { transform })
  await rig.full()
  assert.deepEqual(seen, ['a', 'b'])
  assert.deepEqual(
    [...rig.informer.indexer.objects()].map(({ spec }) => spec),
    ['transformed', 'transformed'],
  )
})

test('C05 that a stream opens is no progress: the back-off goes on where it was, however long ago that is', async () => {
  await using rig = streamed([
    watchFails('throttled', { retryAfterMs: 130_000 }),
    watch(fault('unavailable')),
    watch([marker(10)]),
  ])
  await rig.clock.advance(130_000 + 2399)
  assert.deepEqual(rig.api.asked, ['stream', 'stream'])
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked, ['stream', 'stream', 'stream'])
})

test('C09 X9 stopped at any await of a streamed list: returns, opens nothing more, and closes the stream once', async () => {
  const script = [watch([added(a3)], [added(b4), marker(10)], [added(pod('shop/c', 11))], 'close'), watchFails('reset')]
  for (const turns of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50]) {
    const clock = new ManualClock()
    const api = new ScriptedListWatch(script, clock, 'as-scripted')
    const stop = new AbortController()
    const done = Array.fromAsync(reflect(api, optionsFor(clock), stop.signal))
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    stop.abort()
    const calls = api.calls.length
    await done
    assert.equal(api.calls.length, calls, `after ${turns} turns`)
    assert.equal(api.open, 0, `after ${turns} turns`)
    assert.ok(api.disposals <= 1, `after ${turns} turns`)
    assert.equal(clock.pending, 0, `after ${turns} turns`)
  }
})

test('C09 an informer that is stopped before the marker leaves no connection and no timer', async () => {
  const clock = new ManualClock()
  const api = new ScriptedListWatch([watch([added(a3)])], clock, 'as-scripted')
  const stop = new AbortController()
  const informer = new Informer(api, { scope: 'whole', clock })
  informer.start(stop.signal)
  await clock.advance(1000)
  assert.deepEqual([api.open, clock.pending], [1, 1])
  stop.abort()
  await informer.stopped()
  assert.deepEqual([api.open, clock.pending, informer.hasSynced], [0, 0, false])
})

function optionsFor(clock: ManualClock): ReflectorOptions {
  return { ...reflectorDefaults, clock, random: () => 0.5, observer: new CountingObserver() }
}

/** What is asked next after this failure of a stream at version 9: `stream 9`, `stream`, `pages`. */
const cures: Record<KubeErrorCode, string> = {
  refused: 'stream 9',
  reset: 'stream 9',
  idle: 'pages',
  throttled: 'stream 9',
  unavailable: 'stream 9',
  server: 'pages',
  expired: 'stream',
  'too-large-resource-version': 'stream',
  unauthorized: 'stream 9',
  forbidden: 'pages',
  'not-found': 'stream 9',
  rejected: 'pages',
  unusable: 'pages',
}

for (const [code, cure] of Object.entries(cures) as [KubeErrorCode, string][]) {
  test(`after ${code} of a streamed list, at its start or before its marker: ${cure}`, async () => {
    for (const answer of [watchFails(code), watch([error(code)]), watch(fault(code))]) {
      const clock = new ManualClock()
      const api = new ScriptedListWatch([answer], clock, 'as-scripted')
      const { signal } = new AbortController()
      let state: State<KubeObject> = beforeList('expired', rv(9))
      for (let steps = 0; steps < 2; steps++) {
        const [items, next] = await step(state, api, optionsFor(clock), signal)
        state = next
        if (items.at(-1)?.type === 'Failed') break
      }
      assert.ok(state.type === 'Empty')
      const { ask, ...rest } = state
      const asked = ask.type === 'Pages' ? 'pages' : ['stream', ask.notOlderThan].filter(Boolean).join(' ')
      assert.deepEqual([asked, rest], [cure, { type: 'Empty', cause: 'expired', last: '9' }])
      assert.equal(api.open, 0)
    }
  })
}
