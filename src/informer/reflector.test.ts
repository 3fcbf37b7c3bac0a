import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeErrorCode } from '../kube/errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { reflect, step } from './reflector.ts'
import { type ReflectorOptions, reflectorDefaults } from './reflector-options.ts'
import type { State } from './state.ts'
import {
  type Act,
  added,
  bookmark,
  CountingObserver,
  deleted,
  error,
  fault,
  list,
  listFails,
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

function optionsFor(clock: ManualClock): ReflectorOptions {
  return { ...reflectorDefaults, clock, random: () => 0.5, observer: new CountingObserver() }
}

/** The state after one step of a watch at version 10 that does `acts`, or cannot be opened. */
async function stepAfter(answer: ReturnType<typeof watch | typeof list>, before: State<KubeObject>) {
  const clock = new ManualClock()
  const api = new ScriptedListWatch([answer], clock)
  const { signal } = new AbortController()
  const [items, next] = await step(before, api, optionsFor(clock), signal)
  return { items, next, api, clock, signal }
}

const listed: State<KubeObject> = {
  type: 'Listed',
  resourceVersion: rv(10),
  unusableAfter: undefined,
  seen: undefined,
}

/** The same for a watch that is open: what its first chunk leads to. */
async function stepOpen(act: Act) {
  const { next, api, clock, signal } = await stepAfter(watch(act), listed)
  assert.equal(next.type, 'Watching')
  const [items, after] = await step(next, api, optionsFor(clock), signal)
  return { items, after, api }
}

const cures: Record<KubeErrorCode, { readonly start: string; readonly broken: string; readonly list: string }> = {
  refused: { start: 'Lost', broken: 'Lost', list: 'Paging' },
  reset: { start: 'Lost', broken: 'Lost', list: 'Paging' },
  idle: { start: 'Lost', broken: 'Lost', list: 'Paging' },
  throttled: { start: 'Listed', broken: 'Listed', list: 'Paging' },
  unavailable: { start: 'Lost', broken: 'Lost', list: 'Paging' },
  server: { start: 'Lost', broken: 'Empty server-error', list: 'Paging' },
  expired: { start: 'Empty expired', broken: 'Empty expired', list: 'Empty first' },
  'too-large-resource-version': { start: 'Listed', broken: 'Listed', list: 'Empty first' },
  unauthorized: { start: 'Listed', broken: 'Listed', list: 'Paging' },
  forbidden: { start: 'Listed', broken: 'Listed', list: 'Paging' },
  'not-found': { start: 'Listed', broken: 'Listed', list: 'Empty first' },
  rejected: { start: 'Listed', broken: 'Empty server-error', list: 'Empty first' },
  unusable: { start: 'Listed', broken: 'Listed', list: 'Empty first' },
}

for (const [code, cure] of Object.entries(cures) as [KubeErrorCode, (typeof cures)[KubeErrorCode]][]) {
  const short = (state: State<KubeObject>) => (state.type === 'Empty' ? `Empty ${state.cause}` : state.type)

  test(`after ${code}: watch start -> ${cure.start}, open watch -> ${cure.broken}, page 2 -> ${cure.list}`, async () => {
    const start = await stepAfter(watchFails(code), listed)
    assert.equal(short(start.next), cure.start)

    const inStream = await stepOpen([error(code)])
    const thrown = await stepOpen(fault(code))
    assert.equal(short(inStream.after), cure.broken)
    assert.equal(short(thrown.after), cure.broken)
    for (const { items, api } of [inStream, thrown]) {
      assert.deepEqual(items, [{ type: 'Failed', error: fault(code) }])
      assert.deepEqual([api.open, api.disposals], [0, 1])
    }

    const paging: State<KubeObject> = {
      type: 'Paging',
      cause: 'first',
      last: undefined,
      resourceVersion: rv(10),
      next: 'c',
      objects: 1,
      pages: 1,
      landmark: { next: 'c', first: a3.metadata.uid, last: a3.metadata.uid },
    }
    assert.equal(short((await stepAfter(listFails(code), paging)).next), cure.list)
    const empty: State<KubeObject> = { type: 'Empty', cause: 'expired', last: rv(9), ask: { type: 'Pages' } }
    assert.deepEqual((await stepAfter(listFails(code), empty)).next, empty)
  })
}

test('C01 a full cycle asks for pages, then for a watch from their version, and for nothing else', async () => {
  await using rig = new Rig([
    list(10, [a3], 'c1'),
    list(10, [b4]),
    watch([added(pod('shop/c', 11)), bookmark(15)], 'close'),
    watch(),
  ])
  await rig.deltas()
  assert.deepEqual(rig.api.calls, [
    { list: { limit: 500 } },
    { list: { limit: 500, continue: 'c1' } },
    { watch: { resourceVersion: '10', timeoutSeconds: 450 } },
    { watch: { resourceVersion: '15', timeoutSeconds: 450 } },
  ])
  assert.deepEqual(rig.store, ['shop/a@3', 'shop/b@4', 'shop/c@11'])
})

test('C01 an object that a list holds twice is one object, in its last form', async () => {
  await using rig = new Rig([list(10, [a3, b4], 'c1'), list(10, [pod('shop/a', 5)]), watch()])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@5', 'Added shop/b@4', 'Progress 10'])
})

test('C02 list errors, watch errors, an empty list: the store is the last list and what followed it', async () => {
  await using rig = new Rig([
    listFails('unavailable'),
    list(10, []),
    watchFails('throttled'),
    watch([added(pod('shop/a', 11))], [error('expired')]),
    listFails('refused'),
    list(20, [b4]),
    watch([added(pod('shop/c', 21))]),
  ])
  const deltas = await rig.deltas(60_000)
  assert.deepEqual(deltas.slice(-4), [
    'Deleted shop/a@11 inferred',
    'Added shop/b@4 ~',
    'Progress 20',
    'Added shop/c@21',
  ])
  assert.deepEqual(rig.store, ['shop/b@4', 'shop/c@21'])
  assert.deepEqual(
    Object.entries(rig.observer.counts).filter(([what]) => /Failed|Ended/.test(what)),
    [
      ['listFailed unavailable', 1],
      ['watchFailed throttled', 1],
      ['watchEnded expired', 1],
      ['listFailed refused', 1],
    ],
  )
})

test('C03 F06 a refused watch: exponential back-off up to the cap, never a relist', async () => {
  const refusals = Array.from({ length: 10 }, () => listFails('refused'))
  await using rig = new Rig([list(10, [a3]), watchFails('refused'), ...refusals, list(12, [a3]), watch()])
  await rig.full()
  const times: number[] = []
  for (let elapsed = 0; rig.api.left > 0; elapsed += 100) {
    const before = rig.failures.length
    await rig.clock.advance(100)
    if (rig.failures.length > before) times.push(elapsed)
  }
  const waits = times.map((time, index) => time - (times[index - 1] ?? 0))
  // 800 ms doubled up to 30 s, half of it added as jitter
  const expected = [1200, 2400, 4800, 9600, 19_200, 38_400, 45_000, 45_000, 45_000, 45_000]
  assert.equal(waits.length, expected.length)
  for (const [index, wait] of waits.entries()) assert.ok(Math.abs(wait - (expected[index] ?? 0)) <= 100, `${waits}`)
  assert.equal(rig.api.asked.filter((call) => call === 'list').length, 1)
})

test("C04 a back-off of one's own is honoured", async () => {
  await using rig = new Rig([listFails('refused'), listFails('refused'), list(1, []), watch()], {
    reflector: { backoff: { initialMs: 10, maxMs: 10 } },
  })
  await rig.clock.advance(0)
  await rig.clock.advance(14)
  assert.equal(rig.api.calls.length, 1)
  await rig.clock.advance(1)
  assert.equal(rig.api.calls.length, 2)
  await rig.clock.advance(15)
  assert.deepEqual(rig.api.asked, ['list', 'list', 'list', 'watch 1'])
})

test('C05 429, as a status or in the stream, is exactly one step of the back-off', async () => {
  await using rig = new Rig([list(10, []), watchFails('throttled'), watch([error('throttled')]), watch()])
  await rig.clock.advance(0)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10'])
  await rig.clock.advance(1199)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10'])
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 10'])
  await rig.clock.advance(2399)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 10'])
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 10', 'watch 10'])
})

test('C06 four times 429, then a watch: one list, five watches', async () => {
  const busy = Array.from({ length: 4 }, () => watchFails('throttled'))
  await using rig = new Rig([list(10, [a3]), ...busy, watch([added(pod('shop/b', 11))])])
  assert.deepEqual(await rig.deltas(60_000), ['Added shop/a@3', 'Progress 10', 'Added shop/b@11'])
  assert.deepEqual(rig.api.asked, ['list', ...Array.from({ length: 5 }, () => 'watch 10')])
})

test('F05 Retry-After is the least that is waited', async () => {
  await using rig = new Rig([listFails('throttled', { retryAfterMs: 7000 }), list(10, []), watch()])
  await rig.clock.advance(6999)
  assert.deepEqual(rig.api.asked, ['list'])
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked, ['list', 'list', 'watch 10'])
})

test('F05 Retry-After: 0 on a list, a watch or in its stream still takes the back-off of the stream', async () => {
  const now = { retryAfterMs: 0 }
  await using rig = new Rig([
    listFails('throttled', now),
    list(10, []),
    watchFails('throttled', now),
    watch([error('throttled', now)]),
    watch(),
  ])
  for (const [wait, calls] of [
    [1200, 1],
    [2400, 3],
    [4800, 4],
  ] as const) {
    await rig.full(wait - 1)
    assert.equal(rig.api.calls.length, calls)
    await rig.full(1)
    assert.ok(rig.api.calls.length > calls)
  }
})

test('C07 C21 an error 500 in the stream: no second watch but a list, without the object that cannot be read', async () => {
  await using rig = new Rig([list(10, [a3, b4]), watch([error('server')]), list(12, [a3]), watch()])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), ['Gap 10->12 expired', 'Deleted shop/b@4 inferred', 'Progress 12'])
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'list', 'watch 12'])
  assert.deepEqual(rig.store, ['shop/a@3'])
})

test('C09 X9 stopped before it starts: nothing is asked', async () => {
  const clock = new ManualClock()
  const api = new ScriptedListWatch([list(10, [])], clock)
  const batches = await Array.fromAsync(reflect(api, optionsFor(clock), AbortSignal.abort()))
  assert.deepEqual([batches, api.calls], [[], []])
})

test('C09 X9 stopped at any await: returns, opens nothing more, and closes the watch once', async () => {
  const script = [list(10, [a3], 'c'), list(10, [b4]), watch([added(pod('shop/c', 11))], 'close'), watchFails('reset')]
  const moments = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50]
  for (const turns of moments) {
    const clock = new ManualClock()
    const api = new ScriptedListWatch(script, clock)
    const stop = new AbortController()
    const done = Array.fromAsync(reflect(api, optionsFor(clock), stop.signal))
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    stop.abort()
    const calls = api.calls.length
    await done
    assert.equal(api.calls.length, calls, `after ${turns} turns`)
    assert.equal(api.open, 0, `after ${turns} turns`)
    assert.equal(clock.pending, 0, `after ${turns} turns`)
  }
})

test('C09 X9 stopped while it waits between two attempts', async () => {
  const rig = new Rig([listFails('refused')])
  await rig.clock.advance(0)
  assert.equal(rig.clock.pending, 1)
  rig.stop.abort()
  await rig.informer.stopped()
  assert.equal(rig.clock.pending, 0)
  assert.deepEqual(rig.api.asked, ['list'])
})

test('C09 a consumer that leaves closes the watch', async () => {
  const clock = new ManualClock()
  const api = new ScriptedListWatch([list(10, []), watch([bookmark(11)])], clock)
  for await (const items of reflect(api, optionsFor(clock), new AbortController().signal)) {
    if (items.some(({ type }) => type === 'Bookmark')) break
  }
  assert.deepEqual([api.open, api.disposals], [0, 1])
})

test('C10 F02 an ERROR frame ends the watch, after what came before it', async () => {
  await using rig = new Rig([list(10, [a3]), watch([modified(pod('shop/a', 11)), error('expired')]), list(30, [a3])])
  await rig.clock.advance(0)
  assert.deepEqual([rig.api.open, rig.api.disposals], [0, 1])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@3', 'Progress 10', 'Updated shop/a@3->shop/a@11'])
})

test('C12 C34 the page size is kept, continue is followed without a version, every item arrives', async () => {
  await using rig = new Rig([list(10, [a3], 'x'), list(10, [b4], 'y'), list(10, [pod('shop/c', 5)]), watch()], {
    reflector: { pageSize: 1 },
  })
  assert.deepEqual(await rig.deltas(), ['Added shop/a@3', 'Added shop/b@4', 'Added shop/c@5', 'Progress 10'])
  assert.deepEqual(rig.api.calls.slice(0, 3), [
    { list: { limit: 1 } },
    { list: { limit: 1, continue: 'x' } },
    { list: { limit: 1, continue: 'y' } },
  ])
})

test('C13 C14 C15 every list is paged and leaves the version unset, the first as well as a relist', async () => {
  await using rig = new Rig([list(10, []), watch([error('expired')]), list(20, [], 'n'), list(20, []), watch()])
  await rig.full(5000)
  const lists = rig.api.calls.filter((call) => 'list' in call)
  assert.deepEqual(lists, [{ list: { limit: 500 } }, { list: { limit: 500 } }, { list: { limit: 500, continue: 'n' } }])
})

test('C16 F01 a version that has expired at watch start: relist, announced by a gap', async () => {
  await using rig = new Rig([list(10, [a3]), watchFails('expired'), list(30, [a3, b4]), watch()])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), ['Gap 10->30 expired', 'Added shop/b@4 ~', 'Progress 30'])
})

test('F01 a watch that has expired after outages is listed again as soon as one that had none', async () => {
  const outage = Array.from({ length: 6 }, () => listFails('refused'))
  const script = [list(10, []), watchFails('refused'), ...outage, list(12, []), watchFails('expired'), list(30, [])]
  await using rig = new Rig([...script, watchFails('expired'), list(40, []), watch()])
  const count = (call: string) => rig.api.asked.filter((one) => one === call).length
  // 800 ms doubled with each of 7 failures up to 30 s, half of it added
  await rig.clock.advance(1200 * (1 + 2 + 4 + 8 + 16 + 32) + 45_000)
  assert.deepEqual(rig.api.asked.slice(-2), ['check', 'watch 10'])
  const lists = count('list')
  await rig.clock.advance(1199)
  assert.equal(count('list'), lists)
  await rig.clock.advance(1)
  assert.equal(count('list'), lists + 1)
  // a server that says so again is given time
  await rig.full()
  await rig.clock.advance(2399)
  assert.equal(count('list'), lists + 1)
  await rig.full(1)
  assert.deepEqual(rig.api.asked.slice(-4), ['list', 'watch 30', 'list', 'watch 40'])
})

test('C16 C18 F07 Expired and too large, from a list: asked again at once, once; then with back-off', async () => {
  for (const code of ['expired', 'too-large-resource-version'] as const) {
    await using rig = new Rig([listFails(code), listFails(code), list(10, []), watch()])
    await rig.clock.advance(0)
    assert.deepEqual(rig.api.asked, ['list', 'list'])
    await rig.clock.advance(1200)
    assert.deepEqual(rig.api.asked, ['list', 'list', 'list', 'watch 10'])
  }
})

test('a list that has expired is asked again at once, each time anew after a whole list', async () => {
  await using rig = new Rig([
    listFails('expired'),
    list(10, []),
    watchFails('expired'),
    listFails('expired'),
    list(20, []),
    watch(),
  ])
  await rig.deltas(1200)
  assert.deepEqual(rig.api.asked, ['list', 'list', 'watch 10', 'list', 'list', 'watch 20'])
})

test('C17 C34 F03 page 2 has expired: the list begins at page 1 again, and is one list', async () => {
  await using rig = new Rig([
    list(10, [a3, b4], 'c'),
    listFails('expired'),
    list(20, [pod('shop/a', 15)], 'd'),
    list(20, [pod('shop/z', 16)]),
    watch(),
  ])
  assert.deepEqual(await rig.deltas(), ['Added shop/a@15', 'Added shop/z@16', 'Progress 20'])
  assert.deepEqual(rig.api.asked, ['list', 'list next=c', 'list', 'list next=d', 'watch 20'])
})

test('C34 a continue token that comes a second time makes the list unusable: back-off, then page 1', async () => {
  const round = [list(10, [a3], 'c1'), list(10, [b4], 'c1')]
  await using rig = new Rig([...round, ...round, list(11, [a3]), watch()])
  await rig.full(1199)
  assert.deepEqual(rig.api.asked, ['list', 'list next=c1'])
  await rig.clock.advance(1 + 2399)
  assert.deepEqual(rig.api.asked, ['list', 'list next=c1', 'list', 'list next=c1'])
  await rig.full(1)
  assert.deepEqual(rig.store, ['shop/a@3'])
  assert.deepEqual(rig.failures, ['unusable', 'unusable'])
})

test('C34 a page that comes a second time, under whatever token, makes the list unusable', async () => {
  const page = (next: number) => list(10, [a3, b4], `c${next}`)
  await using rig = new Rig([page(1), page(2), list(11, [a3]), watch()])
  await rig.full(5000)
  assert.deepEqual(rig.api.asked, ['list', 'list next=c1', 'list', 'watch 11'])
  assert.deepEqual(rig.failures, ['unusable'])
})

test('C34 pages or tokens that go round in a circle of any length make the list unusable', async () => {
  for (const length of [2, 3, 5, 9]) {
    for (const [tokens, pages] of [
      [length, 1000],
      [1000, length],
    ] as const) {
      const circle = Array.from({ length: 4 * length + 2 }, (_, index) =>
        list(10, [pod(`shop/p${index % pages}`, 3)], `c${index % tokens}`),
      )
      await using rig = new Rig(circle)
      await rig.full()
      assert.deepEqual(rig.failures, ['unusable'], `${tokens} tokens, ${pages} pages`)
    }
  }
})

test('C34 pages that a selector leaves empty are followed, but not under a token that was there before', async () => {
  const empty = (next: string) => list(10, [], next)
  await using rig = new Rig([empty('c1'), empty('c2'), list(10, [a3]), watch()])
  await rig.full()
  assert.deepEqual([rig.store, rig.failures], [['shop/a@3'], []])
  await using stuck = new Rig([empty('c1'), empty('c1')])
  await stuck.full()
  assert.deepEqual(stuck.failures, ['unusable'])
})

test('C34 a thousand pages are a list, also if one begins with the object that the one before it ended with', async () => {
  const pages = Array.from({ length: 1000 }, (_, index) => {
    const items = [pod(`shop/p${index}`, 3), pod(`shop/p${index + 1}`, 3)]
    return list(10, items, index < 999 ? `c${index}` : undefined)
  })
  await using rig = new Rig([...pages, watch()])
  await rig.full()
  assert.deepEqual([rig.store.length, rig.failures], [1001, []])
})

test('F07 the server has yet to reach the version of a watch: the same watch after a back-off, no relist', async () => {
  await using rig = new Rig([list(10, []), watchFails('too-large-resource-version'), watch()])
  await rig.full(5000)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 10'])
})

test('C19 timeoutSeconds is random in [min, 2 min); less than 5 minutes count as 5', async () => {
  const cases = [
    { minWatchTimeoutMs: 300_000, random: 0, seconds: 300 },
    { minWatchTimeoutMs: 300_000, random: 0.999, seconds: 599 },
    { minWatchTimeoutMs: 600_000, random: 0.5, seconds: 900 },
    { minWatchTimeoutMs: 1000, random: 0, seconds: 300 },
  ]
  for (const { minWatchTimeoutMs, random, seconds } of cases) {
    await using rig = new Rig([list(10, []), watch()], { random: () => random, reflector: { minWatchTimeoutMs } })
    await rig.clock.advance(0)
    assert.deepEqual(rig.api.calls[1], { watch: { resourceVersion: '10', timeoutSeconds: seconds } })
  }
})

test('C20 ADDED, MODIFIED, BOOKMARK and DELETED each advance the version of the next watch', async () => {
  await using rig = new Rig([
    list(10, []),
    watch([added(pod('shop/a', 11))], 'close'),
    watch([modified(pod('shop/a', 12))], 'close'),
    watch([bookmark(13)], 'close'),
    watch([deleted(pod('shop/a', 14))], 'close'),
    watch(),
  ])
  await rig.full(5000)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 11', 'watch 12', 'watch 13', 'watch 14'])
})

test('C23 X16 a list that cannot be used, a Table for example, is asked for again and reported', async () => {
  await using rig = new Rig([listFails('unusable'), list(10, [a3]), watch()])
  assert.deepEqual(await rig.deltas(5000), ['Added shop/a@3', 'Progress 10'])
  assert.deepEqual(rig.failures, ['unusable'])
})

test('X16 C08 a frame without a version: one more watch at the last version, then a list', async () => {
  await using rig = new Rig([
    list(10, [a3]),
    watch([modified(pod('shop/a', 11))], fault('unusable')),
    watch(fault('unusable')),
    list(20, [pod('shop/a', 15)]),
    watch(),
  ])
  await rig.full()
  assert.deepEqual(await rig.deltas(10_000), ['Gap 11->20 expired', 'Updated shop/a@11->shop/a@15 ~', 'Progress 20'])
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 11', 'list', 'watch 20'])
})

test('X16 an unusable frame that is usable the second time costs no list', async () => {
  await using rig = new Rig([
    list(10, [a3]),
    watch(fault('unusable')),
    watch([modified(pod('shop/a', 11))], fault('unusable')),
    watch([modified(pod('shop/a', 12))]),
  ])
  await rig.full(10_000)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 10', 'watch 11'])
  assert.deepEqual(rig.store, ['shop/a@12'])
})

test('X5 F11 a truncated last line: the versions are checked, then the watch goes on from the last whole frame', async () => {
  await using rig = new Rig([
    list(10, []),
    watch([added(pod('shop/a', 11))], fault('reset')),
    list(12, [pod('shop/a', 11)]),
    watch([added(pod('shop/b', 12))]),
  ])
  assert.deepEqual(await rig.deltas(5000), ['Progress 10', 'Added shop/a@11', 'Added shop/b@12'])
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'check', 'watch 11'])
  assert.deepEqual(rig.api.calls[2], { list: { limit: 1 } })
})

test('after a lost connection a stream that is behind asks for a short watch first, whose end brings a bookmark', async () => {
  await using rig = new Rig([
    list(10, []),
    watch(fault('reset')),
    list(12, []),
    watch([bookmark(12)], 'close'),
    watch(),
  ])
  await rig.full(20_000)
  const watches = rig.api.calls.flatMap((call) => ('watch' in call ? [call.watch.timeoutSeconds] : []))
  assert.deepEqual(watches, [450, 6, 450])
})

test('X8 F13 versions that went back, found after a lost connection: a whole list, announced as restored', async () => {
  await using rig = new Rig([
    list(100, [pod('shop/a', 90), pod('shop/b', 95), pod('shop/c', 50)]),
    watch(fault('reset')),
    list(60, [pod('shop/c', 50)]),
    list(61, [pod('shop/a', 60), pod('shop/c', 50), pod('shop/d', 61)]),
    watch([modified(pod('shop/a', 62))]),
  ])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), [
    'Gap 100->61 restored',
    'Deleted shop/b@95 inferred',
    'Updated shop/a@90->shop/a@60 ~',
    'Added shop/d@61 ~',
    'Progress 61',
    'Updated shop/a@60->shop/a@62',
  ])
  assert.deepEqual(rig.api.asked, ['list', 'watch 100', 'check', 'list', 'watch 61'])
})

test('X8 F13 versions that went back, found by a relist; one version with two states is an update', async () => {
  await using rig = new Rig([
    list(100, [pod('shop/a', 40, { spec: 'of one history' }), pod('shop/b', 41)]),
    watch([error('expired')]),
    list(50, [pod('shop/a', 40, { spec: 'of another' }), pod('shop/b', 41)]),
    watch(),
  ])
  await rig.full()
  assert.deepEqual(await rig.deltas(5000), ['Gap 100->50 restored', 'Updated shop/a@40->shop/a@40 ~', 'Progress 50'])
})

test('a watch that closes within a second without a frame has told nothing: back-off, then a list', async () => {
  await using rig = new Rig([
    list(10, [a3]),
    watch('close'),
    list(12, [a3]),
    watch({ afterMs: 1000 }, 'close'),
    watch(),
  ])
  await rig.full()
  assert.deepEqual(rig.api.asked, ['list', 'watch 10'])
  assert.deepEqual(await rig.deltas(5000), ['Gap 10->12 expired', 'Progress 12'])
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'list', 'watch 12', 'watch 12'])
  assert.equal(rig.observer.counts['watchEnded short'], 1)
  assert.equal(rig.observer.counts['watchEnded closed'], 1)
})

test('watches that close cleanly are opened again at once, but with jitter if they close close together', async () => {
  await using rig = new Rig([
    list(10, []),
    watch([bookmark(11)], 'close'),
    watch([bookmark(12)], 'close'),
    watch([bookmark(13)], { afterMs: 10_000 }, 'close'),
    watch(),
  ])
  await rig.clock.advance(0)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 11'])
  await rig.clock.advance(500)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 11', 'watch 12'])
  await rig.clock.advance(10_000)
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 11', 'watch 12', 'watch 13'])
  assert.deepEqual(rig.failures, [])
})

test('the back-off starts again only with progress of the server, two minutes after its last step', async () => {
  await using rig = new Rig([
    listFails('refused'),
    listFails('refused'),
    list(10, []),
    watch([bookmark(11)], fault('reset')),
    listFails('refused'),
    list(11, []),
    watch({ afterMs: 120_000 }, [bookmark(12)], fault('reset')),
    list(12, []),
    watch(),
  ])
  // a list that came in at once does not count: it would never grow
  await rig.clock.advance(1200 + 2400)
  assert.deepEqual(rig.api.asked.slice(2), ['list', 'watch 10'])
  await rig.clock.advance(4799)
  assert.equal(rig.api.calls.length, 4)
  await rig.clock.advance(1 + 9600)
  assert.deepEqual(rig.api.asked.slice(4), ['check', 'check', 'watch 11'])
  await rig.clock.advance(120_000 + 1199)
  assert.equal(rig.api.calls.length, 7)
  await rig.clock.advance(1)
  assert.deepEqual(rig.api.asked.slice(7), ['check', 'watch 12'])
})

test('X13 403 and 404 until granted or served: degraded, asked ever more slowly, healed without a restart', async () => {
  const refusals = [...Array.from({ length: 6 }, () => listFails('forbidden')), listFails('not-found')]
  await using rig = new Rig([...refusals, list(10, [a3]), watch()])
  await rig.clock.advance(0)
  const { status } = rig.informer
  assert.equal(status.type === 'degraded' && status.error.code, 'forbidden')
  assert.deepEqual(await rig.deltas(600_000), ['Added shop/a@3', 'Progress 10'])
  assert.deepEqual(rig.informer.status, { type: 'synced' })
})

test('X13 403 on a watch heals when the watch opens, though it stays silent', async () => {
  await using rig = new Rig([list(10, [a3]), watchFails('forbidden'), watch()])
  await rig.full()
  assert.equal(rig.informer.status.type, 'degraded')
  assert.deepEqual(await rig.deltas(1200), [])
  assert.deepEqual(rig.informer.status, { type: 'synced' })
  assert.deepEqual(rig.api.asked, ['list', 'watch 10', 'watch 10'])
})

test('what the API server answers unreadably is a failure like any other, never the end (P9)', async () => {
  const clock = new ManualClock()
  const scripted = new ScriptedListWatch([list(10, [a3]), watch()], clock)
  let calls = 0
  const api = {
    list(...call: Parameters<typeof scripted.list>) {
      if (calls++ === 0) throw new TypeError('a bug')
      return scripted.list(...call)
    },
    watch: scripted.watch.bind(scripted),
  }
  const stop = new AbortController()
  const seen: string[] = []
  const done = (async () => {
    for await (const items of reflect(api, optionsFor(clock), stop.signal))
      for (const { type } of items) seen.push(type)
  })()
  await clock.advance(5000)
  stop.abort()
  await done
  assert.deepEqual(seen, ['Failed', 'Init', 'InitApply', 'InitDone', 'Opened'])
})
