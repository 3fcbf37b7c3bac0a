/** A full queue where `whenFull` is `coalesce`: what becomes one, what never does, and what is dropped in the end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome } from './entry.ts'
import { DeliveryError } from './errors.ts'
import { type Bench, type BenchOptions, bench, event, version } from './scripted-sink.ts'

const delivered: Outcome = { type: 'delivered' }
const merged: Outcome = { type: 'merged' }
const overflowed: Outcome = { type: 'overflowed' }
const refused = new DeliveryError('unavailable', 'ECONNREFUSED')

interface CoalescingBench extends Bench {
  /** Events merged away, and what overflowed, as the observer was told. */
  readonly told: { merged: number; readonly overflows: [stream: string, events: number][] }
  /** What the target took from now on, until nothing is left; batches answered at once. */
  drain(): Promise<readonly string[]>
}

async function coalescing(events: number, settings: BenchOptions = {}): Promise<CoalescingBench> {
  const told: CoalescingBench['told'] = { merged: 0, overflows: [] }
  const run = await bench({
    ...settings,
    options: {
      concurrency: 1,
      ...settings.options,
      queue: { events, whenFull: 'coalesce', ...settings.options?.queue },
    },
    observer: {
      merged: (count) => {
        told.merged += count
      },
      overflowed: (stream, count) => told.overflows.push([stream, count]),
    },
  })
  const drain = async () => {
    const from = run.sink.sent.length
    run.sink.respond = () => []
    for (const attempt of [...run.sink.attempts]) attempt.answer()
    await run.clock.advance(3_600_000)
    assert.deepEqual([run.worker.stats().queueEvents, run.worker.stats().queueBytes], [0, 0])
    return run.sink.sent.slice(from).flat()
  }
  return { ...run, told, drain }
}

test('P1 while the sink is in order and the queue below half of its limit, every version leaves', async () => {
  const { offer, settle, drain, told } = await coalescing(10)
  offer(event('busy', 'x'), version('a', 1), version('a', 2), version('a', 3))
  await settle()
  assert.deepEqual(await drain(), ['a:1', 'a:2', 'a:3'])
  assert.equal(told.merged, 0)
})

test('P5 from half of the limit until below a quarter only the newest version of each object waits', async () => {
  const { offer, settle, worker, sink, told, drain } = await coalescing(8)
  offer(version('x', 1), version('a', 1), version('b', 1))
  await settle()
  assert.equal(worker.stats().coalescing, false)
  offer(version('a', 2)) // the fourth of eight
  assert.deepEqual(
    [worker.stats().queueEvents, worker.stats().coalescing, told.merged],
    [3, true, 1],
    'what waits is merged',
  )
  for (let n = 3; n < 50; n++) offer(version('a', n), version('b', n))
  assert.equal(worker.stats().queueEvents, 3)
  sink.attempt('x:1').answer()
  await settle()
  sink.attempt('a:49').answer()
  await settle()
  assert.equal(worker.stats().coalescing, false, 'one of eight is left')
  offer(version('c', 1), version('c', 2))
  await settle()
  assert.deepEqual(await drain(), ['c:1', 'c:2'])
})

test('P2 an event that was sent keeps its id; what comes later waits behind it', async () => {
  const { offer, settle, sink, worker, drain } = await coalescing(100)
  offer(version('a', 1))
  await settle()
  sink.attempt('a:1').throw(refused)
  await settle()
  assert.equal(worker.stats().state, 'paused')
  offer(version('a', 2), version('a', 3), version('a', 4))
  assert.equal(worker.stats().queueEvents, 2)
  assert.deepEqual(await drain(), ['a:1', 'a:4'])
})

test('P7 an hour of versions for a sink that is away takes the room of one per object, in events and bytes', async () => {
  const { offer, settle, sink, worker, acks, drain } = await coalescing(1000)
  offer(version('x', 0))
  await settle()
  sink.attempt('x:0').throw(refused)
  await settle()
  for (let n = 1; n <= 2000; n++) offer(version(`o${n % 50}`, n, 'updated', { dataBytes: 10 + (n % 7) }))
  await settle()
  const { queueEvents, queueBytes } = worker.stats()
  assert.equal(queueEvents, 51)
  assert.ok(queueBytes <= 51 * 16)
  assert.equal(acks.length, 2000 - 50 - 50, 'what is neither the first nor the newest is settled')
  const sent = await drain()
  assert.equal(sent.length, 51)
  assert.equal(acks.length, 2001)
})

test('P1 an event is settled when the one that stands for it is; none before one that stands before it', async () => {
  const { offer, settle, sink, acks, drain } = await coalescing(100)
  offer(event('busy', 'x'))
  await settle()
  sink.attempt('busy').throw(refused)
  await settle()
  offer(version('a', 1), version('a', 2), version('a', 3))
  await settle()
  assert.deepEqual(acks, [['a:2', merged]], 'a:1 is not settled yet')
  await drain()
  assert.deepEqual(acks.slice(1), [
    ['a:1', merged],
    ['a:3', delivered],
    ['busy', delivered],
  ])
})

test('P3 what was deleted and came back are two events, and deleted again one, waiting or offered later', async () => {
  const again = [version('a', 1, 'added'), version('a', 2, 'deleted'), version('a', 3, 'added'), version('a', 4)]
  const late = await coalescing(100)
  late.offer(event('busy', 'x'))
  await late.settle()
  late.sink.attempt('busy').throw(refused)
  await late.settle()
  late.offer(...again)
  assert.equal(late.worker.stats().queueEvents, 3)
  late.offer(version('a', 5, 'deleted'))
  assert.equal(late.worker.stats().queueEvents, 2)
  late.offer(version('a', 6, 'added'), version('a', 7))
  assert.deepEqual(await late.drain(), ['a:5', 'busy', 'a:7'])

  const early = await coalescing(12)
  early.offer(event('busy', 'x'), ...again, version('a', 5, 'deleted'))
  await early.settle()
  assert.equal(early.worker.stats().queueEvents, 2)
  assert.deepEqual(await early.drain(), ['a:5'])
  assert.deepEqual(early.acks.map(([id]) => id).sort(), ['a:1', 'a:2', 'a:3', 'a:4', 'a:5', 'busy'])
})

test('P2 P6 never two objects, never an item or a marker, never across a marker', async () => {
  const { offer, settle, worker, drain } = await coalescing(100, { options: { timeoutMs: 1 } })
  offer(event('busy', 'x'))
  await settle()
  const mark = (kind: 'begin' | 'end' | 'aborted' | 'gap', n: number) => event(`${kind}${n}`, `pods:${kind}`, { kind })
  const offered = [
    version('a', 1, 'deleted', { key: 'name' }),
    version('b', 1, 'added', { key: 'name' }),
    mark('gap', 1),
    version('b', 2, 'updated', { key: 'name' }),
    mark('begin', 1),
    version('b', 3, 'updated', { key: 'name' }),
    event('item', 'name', { kind: 'item' }),
    version('b', 4, 'updated', { key: 'name' }),
    mark('end', 1),
    version('b', 5, 'updated', { key: 'name' }),
    mark('aborted', 1),
    version('b', 6, 'updated', { key: 'name' }),
  ]
  for (let n = 0; n < 50; n++) offer(version(`other${n}`, 1))
  assert.equal(worker.stats().coalescing, true)
  offer(...offered)
  const sent = await drain()
  for (const { attributes } of offered) assert.ok(sent.includes(attributes.id), attributes.id)
})

test('P7 what waits behind a marker is merged too', async () => {
  const { offer, settle, sink, worker, drain } = await coalescing(100)
  offer(event('begin', 'pods:begin', { kind: 'begin' }))
  await settle()
  sink.attempt('begin').throw(refused)
  await settle()
  for (let n = 1; n <= 80; n++) offer(version('a', n), version('b', n, 'updated', { dataBytes: 10 + n }))
  assert.deepEqual([worker.stats().queueEvents, worker.stats().queueBytes], [3, 10 + 10 + 90])
  assert.deepEqual(await drain(), ['begin', 'a:80', 'b:80'])
})

test('a merged event that is too large goes out smaller', async () => {
  const small = event('a:2', 'a', { dataBytes: 20 })
  const large = { ...event('a:2', 'a', { dataBytes: 500 }), smaller: () => small }
  const { offer, settle, worker, sink, drain } = await coalescing(100, { options: { maxEventBytes: 100 } })
  offer(event('busy', 'x'))
  await settle()
  sink.attempt('busy').throw(refused)
  await settle()
  offer(event('a:1', 'a', { merge: () => large }), event('a:2', 'a', { dataBytes: 50 }))
  assert.deepEqual([worker.stats().queueEvents, worker.stats().queueBytes], [2, 30])
  assert.deepEqual(await drain(), ['a:2', 'busy'])
})

test('P7 I8 at a limit all that waits of the stream with the largest share is dropped, and nobody ever waits', async () => {
  const { offer, settle, accepted, acks, worker, told, drain } = await coalescing(10)
  offer(version('busy', 1), version('n', 1, 'added', { stream: 'nodes' }))
  for (let n = 0; n < 8; n++) offer(version(`a${n}`, 1))
  await settle()
  assert.deepEqual(told.overflows, [])
  offer(version('m', 1, 'added', { stream: 'nodes' }))
  await settle()
  assert.deepEqual(told.overflows, [['pods', 8]])
  assert.deepEqual(
    acks,
    Array.from({ length: 8 }, (_, n) => [`a${n}:1`, overflowed]),
    'but not what is under way',
  )
  assert.equal(accepted.length, 11)
  assert.equal(worker.stats().queueEvents, 3)
  assert.deepEqual(await drain(), ['n:1', 'm:1'])
})

test('P1 what was merged into an event that is dropped is dropped with it', async () => {
  const { offer, settle, sink, acks, told } = await coalescing(3)
  offer(version('busy', 1))
  await settle()
  sink.attempt('busy:1').throw(refused)
  await settle()
  offer(version('a', 1), version('a', 2, 'deleted'), version('b', 1), version('c', 1))
  await settle()
  assert.deepEqual(told.overflows, [['pods', 4]])
  const expected = ['busy:1', 'a:1', 'a:2', 'b:1', 'c:1']
  assert.deepEqual(acks.sort(), expected.map((id) => [id, overflowed]).sort())
})

test('an overflow in bytes drops the stream with the most bytes; an event as large as the queue is taken by itself', async () => {
  const { offer, settle, told, worker, drain } = await coalescing(1000, {
    options: { queue: { events: 1000, bytes: 1000 } },
  })
  offer(version('busy', 1))
  await settle()
  for (let n = 0; n < 20; n++) offer(version(`n${n}`, 1, 'added', { stream: 'nodes' }))
  offer(version('a', 1, 'added', { dataBytes: 700 }), version('b', 1, 'added', { dataBytes: 200 }))
  assert.deepEqual(told.overflows, [['pods', 2]])
  assert.equal((await drain()).length, 20)
  offer(version('huge', 1, 'added', { dataBytes: 5000 }))
  await settle()
  assert.equal(worker.stats().queueEvents, 0)
  assert.equal(told.overflows.length, 1)
})

test('F13 a gap after which history begins anew is never dropped', async () => {
  const { offer, settle, sink, told, drain } = await coalescing(4)
  offer(event('busy', 'x', { stream: 'nodes' }))
  await settle()
  sink.attempt('busy').throw(refused)
  await settle()
  offer(version('a', 1), event('restored', 'pods:gap', { kind: 'gap', supersedes: 'stream' }))
  for (let n = 0; n < 9; n++) offer(version(`b${n}`, 1))
  await settle()
  assert.ok(told.overflows.length > 0)
  assert.ok((await drain()).includes('restored'))
})

for (const whenFull of ['coalesce', 'block'] as const) {
  test(`of items there is room for as many as can be under way, so a live change waits behind none that waits: ${whenFull}`, async () => {
    const options = { concurrency: 2, queue: { events: 100, bytes: 10_000, whenFull } }
    const { offer, settle, sink, worker } = await bench({ options })
    await settle()
    let told = 0
    worker.onRoom(() => told++)
    const item = (n: number) => event(`item${n}`, `key${n}`, { kind: 'item' })
    offer(item(1), version('a', 1), version('b', 1))
    await settle()
    assert.deepEqual([worker.hasRoom, told], [true, 0])
    offer(item(2))
    await settle()
    assert.deepEqual([worker.hasRoom, told], [false, 0])
    sink.attempt('item1').answer()
    await settle()
    assert.deepEqual([worker.hasRoom, told], [true, 1])
  })
}

test('whoever asks is told when there is room again: the sink is in order and less than a quarter of the queue used', async () => {
  const { offer, settle, sink, worker, clock } = await coalescing(8)
  let told = 0
  worker.onRoom(() => told++)
  await settle()
  offer(version('a', 1), version('b', 1), version('c', 1))
  await settle()
  assert.deepEqual([worker.hasRoom, told], [false, 0])
  sink.attempt('a:1').answer()
  await settle()
  assert.deepEqual([worker.hasRoom, told], [false, 0])
  sink.attempt('b:1').answer()
  await settle()
  assert.deepEqual([worker.hasRoom, told], [true, 1])
  sink.attempt('c:1').throw(refused)
  await settle()
  assert.equal(worker.hasRoom, false)
  sink.respond = () => []
  await clock.advance(60_000)
  assert.deepEqual([worker.hasRoom, told], [true, 2])
})
