import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertValidAttributes } from '../events/attributes.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { DeadLetterSink, deadLetterEvent } from './dead-letter-sink.ts'
import type { DeadLetter } from './dead-letters.ts'
import type { Ack, Outcome } from './entry.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'
import { DeliveryError, type OutboundEvent } from './sink.ts'

const letter: DeadLetter = {
  sink: 'audit',
  code: 'rejected',
  reason: '400 Bad\nRequest',
  attempts: 3,
  time: '2026-01-01T00:00:00.000Z',
  event: event('1', 'a', { kind: 'item', smaller: () => event('1', 'a', { dataBytes: 4 }) }),
}

test('a dead letter as an event: source, id and data of the original, and what became of it', () => {
  const { attributes, key, kind, data, smaller } = deadLetterEvent(letter)
  assert.deepEqual(attributes, {
    ...letter.event.attributes,
    deadsink: 'audit',
    deadcode: 'rejected',
    deadreason: '400 Bad\ufffdRequest',
    deadattempts: '3',
    deadtime: '2026-01-01T00:00:00.000Z',
  })
  assertValidAttributes(attributes)
  assert.deepEqual([key, kind, data], ['a', 'change', letter.event.data])
  const small = smaller?.()
  assert.deepEqual([small?.dataBytes, small?.attributes.deadsink, small?.smaller?.()], [4, 'audit', undefined])
})

test('what a sink is not given goes to the other one, and is settled when that has taken it', async () => {
  const other = await bench()
  const clock = new ManualClock()
  const store = new DeadLetterSink({ worker: () => other.worker, clock, signal: new AbortController().signal })
  const sink = new ScriptedSink()
  sink.respond = () => [{ index: 0, error: new DeliveryError('rejected', '400') }]
  const run = await bench({ sink, store })
  run.offer(event('1', 'a'), event('2', 'a'))
  await run.settle()
  assert.equal(run.acks.length, 0)
  other.sink.attempt('1').answer()
  await run.settle()
  assert.deepEqual(
    run.acks.map(([id, { type }]) => [id, type]),
    [['1', 'dead-lettered']],
  )
  assert.deepEqual(run.sink.sent, [['1'], ['2']])
})

test('what the other one gives up is in its dead letters, which is as good', async () => {
  const refusing = new ScriptedSink()
  refusing.respond = () => [{ index: 0, error: new DeliveryError('rejected', '400') }]
  const other = await bench({ sink: refusing })
  const clock = new ManualClock()
  const store = new DeadLetterSink({ worker: () => other.worker, clock, signal: new AbortController().signal })
  await store.add(letter)
  assert.deepEqual(
    other.deadLetters.list().map(({ event: { attributes } }) => [attributes.id, attributes.deadsink]),
    [['1', 'audit']],
  )
})

test('what the other one throws out of its queue is offered again; what it cannot take any more is not settled', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const acks: ((outcome: Outcome) => void)[] = []
  const worker = {
    offer: async (_: OutboundEvent, ack: Ack, signal: AbortSignal) => {
      signal.throwIfAborted()
      acks.push(ack)
    },
  }
  const store = new DeadLetterSink({ worker: () => worker, clock, signal: stop.signal })
  const adding = store.add(letter)
  acks[0]?.({ type: 'dropped' })
  await clock.advance(5_000)
  assert.equal(acks.length, 2)
  acks[1]?.({ type: 'dropped' })
  stop.abort(new Error('closed'))
  await assert.rejects(adding, { message: 'closed' })
})
