import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../kube/object.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { filteringHandler, type Handler, keyOf } from './handlers.ts'
import { Informer } from './informer.ts'
import {
  added,
  bookmark,
  deleted,
  error,
  list,
  listFails,
  modified,
  pod,
  Rig,
  ScriptedListWatch,
  watch,
} from './test-kit.ts'

const a3 = pod('shop/a', 3)
const b4 = pod('shop/b', 4)
const at = ({ metadata }: KubeObject) => `${metadata.name}@${metadata.resourceVersion}`

/** A handler that writes down its calls: `add a@3 initial`, `update a@3->a@4`, `delete a@4`, `tombstone a`. */
function recorder(): Handler & { readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    onAdd: (object, isInInitialList) => calls.push(`add ${at(object)}${isInInitialList ? ' initial' : ''}`),
    onUpdate: (previous, object) => calls.push(`update ${at(previous)}->${at(object)}`),
    onDelete: (object) => calls.push('identity' in object ? `tombstone ${keyOf(object)}` : `delete ${keyOf(object)}`),
  }
}

/** A rig whose only readers are handlers. */
function handled(...script: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig(script)
  rig.reader[Symbol.dispose]()
  return rig
}

test('C57 a handler gets the first list flagged initial, then each change; a late one the store, flagged initial', async () => {
  await using rig = handled(
    list(10, [a3, b4]),
    watch([modified(pod('shop/a', 11)), deleted(pod('shop/b', 12))], { afterMs: 1000 }, [added(pod('shop/c', 13))]),
  )
  const first = recorder()
  rig.informer.addEventHandler(first)
  await rig.clock.advance(0)
  assert.deepEqual(first.calls, ['add a@3 initial', 'add b@4 initial', 'update a@3->a@11', 'delete shop/b'])

  const late = recorder()
  const registration = rig.informer.addEventHandler(late)
  assert.equal(registration.hasSynced, false)
  await rig.clock.advance(0)
  assert.equal(registration.hasSynced, true)
  await registration.synced
  assert.deepEqual(late.calls, ['add a@11 initial'])
  await rig.clock.advance(1000)
  assert.deepEqual(late.calls, ['add a@11 initial', 'add c@13'])
  assert.deepEqual(first.calls.slice(4), ['add c@13'])
})

test('C57 C67 a registration has synced only when the handler has been through its initial objects', async () => {
  await using rig = handled(list(10, [a3, b4]), watch())
  const gate = Promise.withResolvers<void>()
  const calls: string[] = []
  const registration = rig.informer.addEventHandler({
    async onAdd(object) {
      await gate.promise
      calls.push(at(object))
    },
  })
  await rig.clock.advance(0)
  assert.deepEqual([rig.informer.hasSynced, registration.hasSynced, calls], [true, false, []])
  gate.resolve()
  await registration.synced
  assert.deepEqual([registration.hasSynced, calls], [true, ['a@3', 'b@4']])
})

test('a relist reaches a handler as deletes with tombstones, then adds and updates that are not initial', async () => {
  await using rig = handled(
    list(10, [a3, b4]),
    watch([error('expired')]),
    list(20, [pod('shop/a', 11), pod('shop/c', 12)]),
    watch(),
  )
  const handler = recorder()
  rig.informer.addEventHandler(handler)
  await rig.clock.advance(5000)
  assert.deepEqual(handler.calls.slice(2), ['tombstone shop/b', 'update a@3->a@11', 'add c@12'])
})

test('calls of one handler follow each other, each awaited; handlers do not wait for each other', async () => {
  await using rig = handled(list(10, [a3]), watch([modified(pod('shop/a', 11))], [modified(pod('shop/a', 12))]))
  const gate = Promise.withResolvers<void>()
  const slow: string[] = []
  rig.informer.addEventHandler({
    onAdd: () => gate.promise,
    onUpdate: (_previous, object) => slow.push(at(object)),
  })
  const quick = recorder()
  rig.informer.addEventHandler(quick)
  await rig.clock.advance(0)
  assert.deepEqual(slow, [])
  assert.equal(quick.calls.length, 3)
  gate.resolve()
  await rig.clock.advance(0)
  assert.deepEqual(slow, ['a@11', 'a@12'])
})

test('C48 a list that comes in portions makes the same calls as one that comes at once', async () => {
  const objects = Array.from({ length: 2500 }, (_, n) => pod(`p${n}`, n + 1))
  await using paged = handled(list(9000, objects.slice(0, 700), 'c'), list(9000, objects.slice(700)), watch())
  await using whole = handled(list(9000, objects), watch())
  const handlers = [recorder(), recorder()] as const
  paged.informer.addEventHandler(handlers[0])
  whole.informer.addEventHandler(handlers[1])
  for (const rig of [paged, whole]) await rig.clock.advance(0)
  assert.equal(handlers[0].calls.length, 2500)
  assert.deepEqual(handlers[0].calls, handlers[1].calls)
  assert.deepEqual(paged.store, whole.store)
})

test('C55 C61 X10 a handler that throws or rejects, in each kind of call: reported, the next call a second later', async () => {
  await using rig = handled(
    list(10, [a3]),
    watch([modified(pod('shop/a', 11))], [deleted(pod('shop/a', 12))], [added(pod('shop/b', 13))]),
  )
  const calls: string[] = []
  rig.informer.addEventHandler({
    onAdd(object) {
      calls.push(`add ${at(object)}`)
      throw new Error('in add')
    },
    async onUpdate(_previous, object) {
      calls.push(`update ${at(object)}`)
      throw new Error('in update')
    },
    onDelete() {
      calls.push('delete')
      return Promise.reject(new Error('in delete'))
    },
  })
  const other = recorder()
  rig.informer.addEventHandler(other)
  await rig.clock.advance(999)
  assert.deepEqual(calls, ['add a@3'])
  await rig.clock.advance(1)
  assert.deepEqual(calls, ['add a@3', 'update a@11'])
  await rig.clock.advance(2000)
  assert.deepEqual(calls, ['add a@3', 'update a@11', 'delete', 'add b@13'])
  assert.deepEqual(
    rig.faults.map((fault) => fault.type === 'Handler' && String(fault.error)),
    ['Error: in add', 'Error: in update', 'Error: in delete', 'Error: in add'],
  )
  assert.equal(other.calls.length, 4)
})

test('C62 a list that fails is told to the error hook, and the informer goes on', async () => {
  await using rig = handled(listFails('forbidden'), list(1, []), watch())
  await rig.clock.advance(5000)
  assert.deepEqual(rig.failures, ['forbidden'])
  assert.equal(rig.informer.hasSynced, true)
})

test('C58 removal is idempotent, and a handler registered twice has two registrations', async () => {
  await using rig = handled(list(10, [a3]), watch({ afterMs: 1000 }, [modified(pod('shop/a', 11))]))
  const handler = recorder()
  const first = rig.informer.addEventHandler(handler)
  const second = rig.informer.addEventHandler(handler)
  assert.notEqual(first, second)
  await rig.clock.advance(0)
  assert.deepEqual(handler.calls, ['add a@3 initial', 'add a@3 initial'])
  await first.remove()
  await first.remove()
  await rig.clock.advance(1000)
  assert.deepEqual(handler.calls.slice(2), ['update a@3->a@11'])
})

test('C59 C63 on a stopped informer adding throws, removing is harmless', async () => {
  const rig = handled(list(10, [a3]), watch())
  const registration = rig.informer.addEventHandler(recorder())
  await rig.clock.advance(0)
  rig.stop.abort()
  await rig.informer.stopped()
  assert.equal(rig.informer.isStopped, true)
  assert.throws(() => rig.informer.addEventHandler(recorder()), /was stopped/)
  await registration.remove()
})

test('C63 a handler removed before anything was read, or while it runs, is not called again; remove waits for the call', async () => {
  await using rig = handled(list(10, [a3, b4]), watch())
  const early = recorder()
  const removed = rig.informer.addEventHandler(early)
  await removed.remove()
  const gate = Promise.withResolvers<void>()
  const calls: string[] = []
  const running = rig.informer.addEventHandler({
    async onAdd(object) {
      calls.push(`begin ${at(object)}`)
      await gate.promise
      calls.push(`end ${at(object)}`)
    },
  })
  await rig.clock.advance(0)
  const gone = running.remove().then(() => calls.push('removed'))
  gate.resolve()
  await gone
  await rig.clock.advance(0)
  assert.deepEqual(calls, ['begin a@3', 'end a@3', 'removed'])
  assert.deepEqual(early.calls, [])
  await assert.rejects(running.synced, /before it had synced/)
})

test('stopping the informer stops its handlers, however much still waits for them', async () => {
  const rig = handled(
    list(
      9000,
      Array.from({ length: 3000 }, (_, n) => pod(`p${n}`, n + 1)),
    ),
    watch(),
  )
  const gate = Promise.withResolvers<void>()
  let calls = 0
  rig.informer.addEventHandler({
    onAdd() {
      calls++
      return gate.promise
    },
  })
  await rig.clock.advance(0)
  rig.stop.abort()
  gate.resolve()
  await rig.informer.stopped()
  assert.equal(calls, 1)
})

test('C60 handlers added and removed at random moments: no gap, no duplicate', async () => {
  const frames = Array.from({ length: 300 }, (_, n) => [added(pod(`p${n}`, 11 + n))])
  await using rig = handled(list(10, [a3]), watch(...frames))
  const steady = recorder()
  rig.informer.addEventHandler(steady)
  for (let round = 0; round < 40; round++) {
    for (let turn = 0; turn < round % 7; turn++) await Promise.resolve()
    const handler = recorder()
    const registration = rig.informer.addEventHandler(handler)
    if (round % 3 === 0) void registration.remove()
    else {
      await rig.clock.advance(0)
      assert.equal(handler.calls.length, 301)
      assert.equal(new Set(handler.calls.map((call) => call.replace(' initial', ''))).size, 301)
      await registration.remove()
    }
  }
  assert.equal(steady.calls.length, 301)
})

test('C54 the key of an object, of a tombstone with its object, and of one without', () => {
  const identity = { namespace: 'shop', name: 'a', uid: a3.metadata.uid }
  assert.equal(keyOf(a3), 'shop/a')
  assert.equal(keyOf({ identity, object: a3 }), 'shop/a')
  assert.equal(keyOf({ identity, object: undefined }), 'shop/a')
  assert.equal(keyOf(pod('node-7', 1)), 'node-7')
})

test('a filtering handler: an update that crosses the filter is an add, or a delete of the previous object', () => {
  const handler = recorder()
  const filtering = filteringHandler((object) => object.metadata.labels?.app === 'web', handler)
  const web = (version: number) => pod('p', version, { labels: { app: 'web' } })
  filtering.onAdd?.(pod('p', 1), true)
  filtering.onAdd?.(web(2), true)
  filtering.onUpdate?.(pod('p', 1), pod('p', 3))
  filtering.onUpdate?.(pod('p', 3), web(4))
  filtering.onUpdate?.(web(4), web(5))
  filtering.onUpdate?.(web(5), pod('p', 6))
  filtering.onDelete?.(pod('p', 6))
  filtering.onDelete?.(web(7))
  const identity = { name: 'p', uid: a3.metadata.uid }
  filtering.onDelete?.({ identity, object: pod('p', 6) })
  filtering.onDelete?.({ identity, object: undefined })
  assert.deepEqual(handler.calls, [
    'add p@2 initial',
    'add p@4',
    'update p@4->p@5',
    'delete p',
    'delete p',
    'tombstone p',
  ])
})

test('a handler resync shows every object of the store again, period for period, without asking the server', async () => {
  await using rig = handled(list(10, [a3]), watch({ afterMs: 15_000 }, [modified(pod('shop/a', 11))]))
  const resynced = recorder()
  const plain = recorder()
  rig.informer.addEventHandler(resynced, { resyncPeriod: 10_000 })
  rig.informer.addEventHandler(plain)
  await rig.clock.advance(20_000)
  assert.deepEqual(resynced.calls, ['add a@3 initial', 'update a@3->a@3', 'update a@3->a@11', 'update a@11->a@11'])
  assert.deepEqual(plain.calls, ['add a@3 initial', 'update a@3->a@11'])
  assert.deepEqual(rig.api.asked, ['list', 'watch 10'])
})

test('C38 C39 a resync of nothing calls nothing, and one leaves out what a queued change is about', async () => {
  await using rig = handled(
    list(2, []),
    watch({ afterMs: 1500 }, [added(a3), added(b4)], { afterMs: 1000 }, [bookmark(12)], [modified(pod('shop/a', 13))]),
  )
  const handler = recorder()
  rig.informer.addEventHandler(handler, { resyncPeriod: 1000 })
  await rig.clock.advance(1000)
  assert.deepEqual(handler.calls, [])
  // a second reader that takes nothing keeps the rest in the queue
  await rig.clock.advance(500)
  const late = rig.informer.deltas(rig.stop.signal)
  await rig.clock.advance(1500)
  assert.deepEqual(handler.calls, ['add a@3', 'add b@4', 'update a@3->a@3', 'update b@4->b@4', 'update b@4->b@4'])
  late[Symbol.dispose]()
  await rig.clock.advance(0)
  assert.deepEqual(handler.calls.slice(5), ['update a@3->a@13'])
})

test('C11 a handler resync that throws is reported and ends nothing, least of all the watch', async () => {
  await using rig = handled(list(10, [a3, b4]), watch())
  const calls: string[] = []
  const onUpdate = (_previous: KubeObject, object: KubeObject) => {
    calls.push(at(object))
    throw new Error('no')
  }
  rig.informer.addEventHandler({ onUpdate }, { resyncPeriod: 5000 })
  await rig.clock.advance(7000)
  assert.deepEqual(calls, ['a@3', 'b@4'])
  assert.deepEqual(rig.failures, ['Handler', 'Handler'])
  assert.deepEqual(rig.api.asked, ['list', 'watch 10'])
})

test('C56 resync periods: at least a second; the shortest asked before the start is the least for later ones', async () => {
  const clock = new ManualClock()
  const informer = new Informer(new ScriptedListWatch([list(10, [a3]), watch()], clock), { scope: 'whole', clock })
  const stop = new AbortController()
  const counts = { shortest: 0, longer: 0, late: 0, never: 0 }
  const counting = (name: keyof typeof counts): Handler => ({ onUpdate: () => counts[name]++ })
  informer.addEventHandler(counting('shortest'), { resyncPeriod: 10 })
  informer.addEventHandler(counting('longer'), { resyncPeriod: 5000 })
  informer.addEventHandler(counting('never'))
  informer.start(stop.signal)
  informer.addEventHandler(counting('late'), { resyncPeriod: 1 })
  await clock.advance(10_000)
  assert.deepEqual(counts, { shortest: 10, longer: 2, late: 10, never: 0 })
  stop.abort()
  await informer.stopped()
  assert.equal(clock.pending, 0)
})

test('C56 a later handler that asks for a shorter period gets the shortest asked for before the start', async () => {
  const clock = new ManualClock()
  const informer = new Informer(new ScriptedListWatch([list(10, [a3]), watch()], clock), { scope: 'whole', clock })
  const stop = new AbortController()
  informer.addEventHandler({}, { resyncPeriod: 5000 })
  informer.start(stop.signal)
  let updates = 0
  informer.addEventHandler({ onUpdate: () => updates++ }, { resyncPeriod: 2000 })
  await clock.advance(10_000)
  assert.equal(updates, 2)
  stop.abort()
  await informer.stopped()
})

test('P7 a handler that falls behind holds up its informer, gets everything, and no resync before its time', async () => {
  const objects = Array.from({ length: 12_000 }, (_, n) => pod(`p${n}`, n + 1))
  await using rig = handled(list(90_000, objects), watch([added(pod('new', 90_001))]))
  const gate = Promise.withResolvers<void>()
  const told = new Set<string>()
  let resynced = 0
  rig.informer.addEventHandler(
    {
      async onAdd({ metadata }) {
        await gate.promise
        told.add(metadata.name)
      },
      onUpdate(_previous, { metadata }) {
        assert.ok(told.has(metadata.name), `${metadata.name} was updated before it was added`)
        resynced++
      },
    },
    { resyncPeriod: 1000 },
  )
  await rig.clock.advance(1000)
  assert.equal(rig.informer.hasSynced, false)
  gate.resolve()
  while (resynced === 0) await rig.clock.advance(0)
  assert.equal(told.size, 12_001)
  assert.deepEqual(rig.failures, [])
})
