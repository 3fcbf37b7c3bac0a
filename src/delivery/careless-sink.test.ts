/** Sinks that do not keep the contract: of the worker they cost what they cost themselves, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { Attempts } from './attempt.ts'
import { DeliveryError, type DeliveryErrorCode } from './errors.ts'
import { GRACE_MS } from './grace.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'
import type { Sink, SinkLimits } from './sink.ts'
import { soundLimits } from './sound-limits.ts'

const batch = [event('a', 'a'), event('b', 'b')]
const secret = 'canary-3fa1'

/** What the compiler lets nobody return, but JavaScript does. */
const careless = (deliver: () => unknown): Sink =>
  Object.assign(new ScriptedSink(), { deliver: deliver as Sink['deliver'] })

const answers: readonly (readonly [what: string, deliver: () => unknown, message: string])[] = [
  ['nothing', () => undefined, 'answered with undefined, not with a list of failures'],
  ['true', () => Promise.resolve(true), 'answered with boolean, not with a list of failures'],
  ['an object', () => ({ failures: [] }), 'answered with object, not with a list of failures'],
  ['an index beyond the batch', () => [failure(2)], 'answered with a failure of index 2 in a batch of 2'],
  ['a negative index', () => [failure(-1)], 'answered with a failure of index -1 in a batch of 2'],
  ['no index', () => [failure(undefined)], 'answered with a failure of index undefined in a batch of 2'],
  ['a list of texts', () => [secret], 'answered with a failure of index undefined in a batch of 2'],
  ['a list of null', () => [null], 'answered with a failure of index undefined in a batch of 2'],
  [
    'an error of its own',
    () => [{ index: 0, error: new Error(secret) }],
    'answered with a failure whose error is no DeliveryError, but Error',
  ],
  ['no error', () => [{ index: 0 }], 'answered with a failure whose error is no DeliveryError, but undefined'],
  ['a throw, synchronously', raise(() => new RangeError(secret)), 'threw an unexpected RangeError'],
  ['a throw of a text', raise(() => secret), 'threw an unexpected string'],
  [
    'a code that there is not',
    raise(() => new DeliveryError('gon' as DeliveryErrorCode, '')),
    'threw an unexpected TypeError',
  ],
]

function failure(index: unknown): unknown {
  return { index, error: new DeliveryError('rejected', '400') }
}

function raise(make: () => unknown): () => never {
  return () => {
    throw make()
  }
}

for (const [what, deliver, message] of answers) {
  test(`P9 a sink that answers with ${what}: the attempt has failed, and says so without what was answered`, async () => {
    const options = { name: 'mine', timeoutMs: 1000, clock: new ManualClock() }
    const result = await new Attempts(careless(deliver), options, new AbortController().signal).attempt(batch)
    assert.ok(result.type === 'thrown' && !result.known)
    assert.deepEqual([result.error.code, result.error.message], ['failed', `sink mine ${message}`])
    assert.equal(options.clock.pending, 0, 'no timer is left')
  })
}

for (const [what, deliver] of answers) {
  test(`P9 a worker over a sink that answers with ${what} goes on, and delivers once the sink does right`, async () => {
    const { worker, sink, clock, acks, offer } = await bench({
      options: { batch: { events: 2, bytes: 1e6, lingerMs: 0 } },
    })
    sink.respond = deliver as typeof sink.respond
    offer(event('a', 'a'), event('b', 'b'))
    await clock.advance(400)
    assert.deepEqual(acks, [])
    sink.respond = () => []
    await clock.advance(600_000)
    assert.deepEqual(acks.sort(), [
      ['a', { type: 'delivered' }],
      ['b', { type: 'delivered' }],
    ])
    assert.deepEqual(await worker.close(new AbortController().signal), { undelivered: 0 })
  })
}

test('P2 P9 an attempt that never settles keeps its lane and no other, and the worker closes without it', async () => {
  const { worker, sink, clock, acks, offer, settle } = await bench()
  const { attempts } = sink
  offer(event('a1', 'a'), event('a2', 'a'), event('b1', 'b'))
  await settle()
  sink.attempt('b1').answer()
  await clock.advance(3_600_000)
  assert.deepEqual(acks, [['b1', { type: 'delivered' }]])
  assert.deepEqual(
    attempts.map(({ ids, signal }) => [ids, signal.aborted]),
    [[['a1'], true]],
  )
  const closing = worker.close(AbortSignal.abort())
  await clock.advance(GRACE_MS - 1)
  assert.equal(sink.disposed, 0)
  await clock.advance(1)
  assert.deepEqual(await closing, { undelivered: 2 })
  assert.equal(sink.disposed, 1)
  assert.equal(clock.pending, 0, 'no timer is left')
})

test('P9 a connect that never settles does not keep the worker from closing', async () => {
  const sink = new ScriptedSink()
  sink.onConnect = () => new Promise(() => {})
  const { worker, clock } = await bench({ sink })
  const closing = worker.close(AbortSignal.abort())
  await clock.advance(GRACE_MS)
  assert.deepEqual(await closing, { undelivered: 0 })
})

test('a dispose that throws, or never settles, is told when the worker is closed', async () => {
  for (const [dispose, message] of [
    [() => Promise.reject(new Error('a socket is stuck')), 'a socket is stuck'],
    [raise(() => 'text'), 'sink audit threw a string'],
    [() => new Promise<void>(() => {}), 'sink audit did not end its dispose in time'],
  ] as const) {
    const sink = Object.assign(new ScriptedSink(), { [Symbol.asyncDispose]: dispose })
    const { worker, clock } = await bench({ sink })
    const closing = worker.close(new AbortController().signal)
    await clock.advance(GRACE_MS)
    const { undelivered, undisposed } = await closing
    assert.deepEqual([undelivered, undisposed?.message], [0, message])
  }
})

test('a size that is none counts as that of the event as JSON, and is told', () => {
  const problems: string[] = []
  const limits = (sizeOf: () => unknown): SinkLimits => ({
    maxEventBytes: 1000,
    maxBatchEvents: 1,
    maxBatchBytes: 1000,
    sizeOf: sizeOf as SinkLimits['sizeOf'],
    sameKeyInBatch: false,
    concurrency: 1,
  })
  const sizes = [() => Number.NaN, () => -1, () => undefined, () => 1n, raise(() => new Error(secret)), () => 7].map(
    (sizeOf) => soundLimits(limits(sizeOf), (problem) => problems.push(problem)).sizeOf(event('a', 'a')),
  )
  assert.ok(
    sizes.slice(0, -1).every((size) => size > 100 && size < 1000),
    `${sizes}`,
  )
  assert.equal(sizes.at(-1), 7)
  assert.deepEqual(problems, [
    'limits.sizeOf returned NaN',
    'limits.sizeOf returned -1',
    'limits.sizeOf returned undefined',
    'limits.sizeOf returned bigint',
    'limits.sizeOf threw Error',
  ])
})

test('what a target asks for as a delay counts only if it is one', () => {
  const delays = [Number.NaN, -1, Number.POSITIVE_INFINITY, 0, 1500].map(
    (retryAfterMs) => new DeliveryError('throttled', '', { retryAfterMs }).retryAfterMs,
  )
  assert.deepEqual(delays, [undefined, undefined, undefined, 0, 1500])
})
