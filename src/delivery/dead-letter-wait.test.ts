/** What a worker does while its dead letters cannot be kept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter } from './dead-letters.ts'
import { type BenchOptions, bench, event, ScriptedSink } from './scripted-sink.ts'
import { DeliveryError } from './sink.ts'

/** A store whose disk takes as long as the test wants. */
class SlowStore {
  readonly waiting: { readonly id: string; kept(): void; closed(): void }[] = []

  add({ event: { attributes } }: DeadLetter): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ id: attributes.id, kept: resolve, closed: () => reject(new Error('closed')) })
    })
  }
}

/** The sink refuses for good what begins with `bad`. */
async function slowBench(options: Partial<BenchOptions> = {}) {
  const store = new SlowStore()
  const sink = new ScriptedSink()
  sink.respond = (batch) =>
    [...batch.entries()].flatMap(([index, { attributes }]) =>
      attributes.id.startsWith('bad') ? [{ index, error: new DeliveryError('rejected', '400') }] : [],
    )
  return { store, ...(await bench({ sink, store, ...options })) }
}

test('P1 an event that was given up is settled only when its letter is kept; its lane waits, the others do not', async () => {
  const run = await slowBench()
  run.offer(event('bad', 'a'), event('a2', 'a'), event('b1', 'b'))
  await run.settle()
  assert.deepEqual(
    run.store.waiting.map(({ id }) => id),
    ['bad'],
  )
  assert.deepEqual(run.acks, [['b1', { type: 'delivered' }]])
  assert.deepEqual(run.sink.sent, [['bad'], ['b1']])
  assert.equal(run.worker.stats().queueEvents, 2)
  run.store.waiting[0]?.kept()
  await run.settle()
  assert.deepEqual(run.acks.slice(1), [
    ['bad', { type: 'dead-lettered', code: 'rejected', reason: '400' }],
    ['a2', { type: 'delivered' }],
  ])
  assert.equal(run.worker.stats().queueEvents, 0)
})

test('several of one lane in one batch are all kept before the lane goes on', async () => {
  const run = await slowBench({ sameKeyInBatch: true, options: { batch: { events: 10, bytes: 1e6, lingerMs: 0 } } })
  run.offer(event('bad1', 'a'), event('bad2', 'a'), event('a3', 'a'), event('b', 'b'))
  await run.settle()
  run.offer(event('a4', 'a'))
  await run.settle()
  const sentLater = () => run.sink.sent.slice(1)
  assert.deepEqual(sentLater(), [])
  run.store.waiting[1]?.kept()
  await run.settle()
  assert.deepEqual(sentLater(), [])
  run.store.waiting[0]?.kept()
  await run.settle()
  assert.deepEqual(sentLater(), [['a4']])
  assert.equal(run.acks.length, 5)
})

test('P7 what waits for the store is counted: the queue gets full, and no fuller', async () => {
  const run = await slowBench({ options: { queue: { events: 3, bytes: 1e6 } } })
  run.offer(...['1', '2', '3', '4', '5'].map((n) => event(`bad${n}`, n)))
  await run.settle()
  assert.deepEqual(run.accepted, ['bad1', 'bad2', 'bad3'])
  for (const { kept } of run.store.waiting) kept()
  await run.settle()
  assert.deepEqual(run.accepted, ['bad1', 'bad2', 'bad3', 'bad4', 'bad5'])
})

test('P7 what is too large does not fill a queue that coalesces while the store keeps nothing', async () => {
  const run = await slowBench({ options: { maxEventBytes: 50, queue: { events: 3, whenFull: 'coalesce' } } })
  for (let n = 0; n < 100; n++) run.offer(event(`huge${n}`, `${n}`, { dataBytes: 60 }))
  await run.settle()
  assert.equal(run.worker.stats().queueEvents, 3)
  assert.equal(run.store.waiting.length, 3)
  assert.equal(run.acks.filter(([, { type }]) => type === 'overflowed').length, 97)
  for (const { kept } of run.store.waiting) kept()
  await run.settle()
  run.offer(event('huge100', '100', { dataBytes: 60 }))
  assert.equal(run.store.waiting.length, 4)
})

test('P6 the end of a snapshot waits for the letters before it, of events that were never sent too', async () => {
  const run = await slowBench({ options: { maxEventBytes: 100 } })
  run.offer(event('bad', 'a'), event('huge', 'b', { dataBytes: 200 }), event('end', 'pods:end', { kind: 'end' }))
  await run.settle()
  assert.deepEqual(run.sink.sent, [['bad']])
  for (const { kept } of run.store.waiting) kept()
  await run.settle()
  assert.deepEqual(run.sink.sent, [['bad'], ['end']])
})

test('a lane that was relieved of its head waits for its letter too', async () => {
  const run = await slowBench({ options: { queue: { events: 8, bytes: 1e6 } } })
  run.sink.respond = ([one]) => {
    if (one?.attributes.id === 'first') throw new DeliveryError('failed', '500')
    return []
  }
  run.offer(event('first', 'a'), event('other', 'b'))
  await run.settle()
  run.offer(event('a2', 'a'), event('a3', 'a'))
  await run.settle()
  assert.deepEqual(
    run.store.waiting.map(({ id }) => id),
    ['first'],
  )
  assert.deepEqual(run.sink.sent, [['first'], ['other']])
  run.store.waiting[0]?.kept()
  await run.settle()
  assert.deepEqual(run.sink.sent.slice(2), [['a2'], ['a3']])
})

test('P1 a worker that is closed meanwhile acknowledges nothing that is not kept', async () => {
  const run = await slowBench()
  run.offer(event('bad', 'a'))
  await run.settle()
  const closing = run.worker.close(AbortSignal.abort())
  run.store.waiting[0]?.closed()
  assert.deepEqual(await closing, { undelivered: 1 })
  assert.deepEqual(run.acks, [])
})

test('P1 coalescing drops nothing that waits for the store, and merges nothing into it', async () => {
  const queue = { events: 4, bytes: 1e6, whenFull: 'coalesce' } as const
  const run = await slowBench({ options: { queue } })
  const merge = () => event('merged', 'a')
  run.offer({ ...event('bad', 'a'), merge })
  await run.settle()
  run.sink.respond = undefined
  run.offer(...['1', '2', '3', '4', '5', '6'].map((n) => event(n, 'a')))
  await run.settle()
  const fates = () => run.acks.map(([id, { type }]) => `${id} ${type}`)
  assert.ok(fates().some((fate) => fate.endsWith('overflowed')))
  assert.ok(!fates().some((fate) => fate.startsWith('bad') || fate.startsWith('merged')))
  run.store.waiting[0]?.kept()
  await run.settle()
  assert.equal(fates().at(-1), 'bad dead-lettered')
})
