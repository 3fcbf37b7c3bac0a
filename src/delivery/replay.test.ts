import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter, DeadLetterRing } from './dead-letters.ts'
import { Replay, type Replayed } from './replay.ts'
import { type Bench, type BenchOptions, bench, type EventOptions, event } from './scripted-sink.ts'
import { DeliveryError, type OutboundEvent } from './sink.ts'

function letter(id: string, key = 'a', options: EventOptions = {}, sink = 'audit'): DeadLetter {
  const time = '2026-01-01T00:00:00.000Z'
  return { sink, code: 'rejected', reason: '400', attempts: 1, time, event: event(id, key, options) }
}

interface ReplayBench extends Bench {
  readonly store: DeadLetterRing
  readonly replay: Replay
  run(ids: readonly string[], signal?: AbortSignal): Promise<readonly unknown[]>
}

async function replayBench(
  letters: readonly DeadLetter[],
  settings: BenchOptions & { readonly objection?: (sink: string, event: OutboundEvent) => string | undefined } = {},
): Promise<ReplayBench> {
  const run = await bench(settings)
  for (const one of letters) run.deadLetters.add(one)
  const store = run.deadLetters
  const { objection = () => undefined } = settings
  const replay = new Replay({ store, worker: (sink) => (sink === 'audit' ? run.worker : undefined), objection })
  return {
    ...run,
    store,
    replay,
    run: async (ids, signal = new AbortController().signal) => {
      const results: unknown[] = []
      for await (const result of replay.run(ids, signal)) results.push(told(result))
      return results
    },
  }
}

function told(result: Replayed): readonly unknown[] {
  const id = 'id' in result ? result.id : result.letter.id
  return 'reason' in result ? [id, result.type, result.reason] : [id, result.type]
}

test('what is delivered leaves the store, and each is told', async () => {
  const run = await replayBench([letter('x'), letter('y', 'b'), letter('z')])
  run.sink.respond = () => []
  assert.deepEqual(await run.run(['1', '2']), [
    ['1', 'delivered'],
    ['2', 'delivered'],
  ])
  assert.deepEqual(run.sink.sent, [['x'], ['y']])
  assert.deepEqual(await run.store.ids(), ['3'])
})

test('P2 those of one key leave one after the other, in the order in which they are named', async () => {
  const run = await replayBench([letter('x1', 'x'), letter('y1', 'y'), letter('x2', 'x')])
  const results = run.run(['1', '2', '3'])
  await run.settle()
  assert.deepEqual(run.sink.sent, [['x1'], ['y1']])
  run.sink.attempt('x1').answer()
  await run.settle()
  assert.deepEqual(run.sink.sent, [['x1'], ['y1'], ['x2']])
  run.sink.attempt('y1').answer()
  run.sink.attempt('x2').answer()
  assert.equal((await results).length, 3)
})

test('what is given up again is in the store once, with the new reason', async () => {
  const run = await replayBench([letter('x'), letter('y', 'b')])
  run.sink.respond = ([one]) =>
    one?.attributes.id === 'x' ? [{ index: 0, error: new DeliveryError('unsupported', '415') }] : []
  assert.deepEqual(await run.run(['1', '2']), [
    ['1', 'given-up', 'unsupported: 415'],
    ['2', 'delivered'],
  ])
  assert.deepEqual(
    run.store.list().map(({ event: { attributes }, code }) => [attributes.id, code]),
    [['x', 'unsupported']],
  )
})

/** As what comes from a stream: its forms are made from what only it knows. */
class Shrinking implements OutboundEvent {
  readonly attributes = event('x', 'a').attributes
  readonly key = 'a'
  readonly stream = 'pods'
  readonly kind = 'change'
  readonly #bytes: number

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  get data(): string {
    return `"${'x'.repeat(this.#bytes - 2)}"`
  }

  get dataBytes(): number {
    return this.#bytes
  }

  smaller(): OutboundEvent | undefined {
    return this.#bytes > 10 ? new Shrinking(Math.floor(this.#bytes / 2)) : undefined
  }
}

test('one that is too large now goes out in the largest of its forms that the sink takes', async () => {
  const run = await replayBench([{ ...letter('x'), event: new Shrinking(1000) }], { options: { maxEventBytes: 300 } })
  const sizes: number[] = []
  run.sink.respond = (batch) => {
    for (const { dataBytes } of batch) sizes.push(dataBytes)
    return []
  }
  assert.deepEqual(await run.run(['1']), [['1', 'delivered']])
  assert.deepEqual(sizes, [250])
})

test('what is not there, has no sink, or would do harm is not sent', async () => {
  const markers = (['begin', 'end', 'aborted'] as const).map((kind) => letter(kind, kind, { kind }))
  const restored = letter('gap', 'gap', { kind: 'gap', supersedes: 'stream' })
  const letters = [letter('gone', 'a', {}, 'old'), letter('late'), ...markers, restored]
  const objection = (sink: string, { attributes }: OutboundEvent) =>
    attributes.id === 'late' ? `${sink}: too late` : undefined
  const run = await replayBench(letters, { objection })
  const over = 'it is about a snapshot that is over: the next one says how things stand'
  assert.deepEqual(await run.run(['0', '1', '2', '3', '4', '5', '6']), [
    ['0', 'missing'],
    ['1', 'refused', 'the configuration has no sink of this name any more'],
    ['2', 'refused', 'audit: too late'],
    ['3', 'refused', over],
    ['4', 'refused', over],
    ['5', 'refused', over],
    ['6', 'refused', 'it would make void what was delivered since'],
  ])
  assert.deepEqual(run.sink.sent, [])
  assert.equal(run.store.length, 6)
})

test('it is a part of no stream any more: nothing of its stream waits for it, nor it for that', async () => {
  const run = await replayBench([letter('item', 'a', { kind: 'item' })])
  run.offer(event('begin', 'pods:begin', { kind: 'begin' }), event('behind', 'c'))
  await run.settle()
  const results = run.run(['1'])
  await run.settle()
  assert.deepEqual(run.sink.sent, [['begin'], ['item']])
  run.sink.attempt('item').answer()
  assert.deepEqual(await results, [['1', 'delivered']])
})

test('P7 of many only a hundred are under way at a time', async () => {
  const letters = Array.from({ length: 250 }, (_, n) => letter(`e${n}`, `key ${n}`))
  const run = await replayBench(letters, { options: { concurrency: 1000 } })
  const results = run.run(await run.store.ids())
  await run.settle()
  assert.equal(run.sink.attempts.length, 100)
  run.sink.respond = () => []
  for (const attempt of [...run.sink.attempts]) attempt.answer()
  await run.settle()
  assert.equal((await results).length, 250)
  assert.equal(run.store.length, 0)
})

test('who asked has gone: what was sent goes on and leaves the store, others are not sent', async () => {
  const letters = Array.from({ length: 150 }, (_, n) => letter(`e${n}`, `key ${n}`))
  const run = await replayBench(letters, { options: { concurrency: 1000 } })
  const stop = new AbortController()
  const results = run.run(await run.store.ids(), stop.signal)
  await run.settle()
  stop.abort()
  for (const attempt of [...run.sink.attempts]) attempt.answer()
  assert.ok((await results).length <= 100)
  await run.settle()
  assert.equal(run.store.length, 50)
})

test('one that is being replayed is not sent a second time', async () => {
  const run = await replayBench([letter('x')])
  const first = run.run(['1'])
  await run.settle()
  assert.deepEqual(await run.run(['1']), [['1', 'unsettled', 'it is being replayed already']])
  run.sink.attempt('x').answer()
  assert.deepEqual(await first, [['1', 'delivered']])
  assert.deepEqual(run.sink.sent, [['x']])
})

test('a bridge that ends meanwhile says so, and the letter stays', async () => {
  const run = await replayBench([letter('x')])
  await run.worker.close(AbortSignal.abort())
  assert.deepEqual(await run.run(['1']), [['1', 'unsettled', 'sink audit is closed']])
  assert.equal(run.store.length, 1)
})
