/** The end of a worker: drain, deadline, dispose. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError } from './errors.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'

test('S7 close delivers what was accepted, lingers no longer, then disposes the sink, once', async () => {
  const { worker, sink, acks, states, offer, settle } = await bench({
    options: { concurrency: 1, batch: { events: 10, bytes: 1000, lingerMs: 5000 } },
  })
  sink.respond = () => []
  offer(event('a1', 'a'), event('a2', 'a'), event('b1', 'b'))
  await settle()
  assert.deepEqual(sink.sent, [])
  const deadline = new AbortController()
  const closing = worker.close(deadline.signal)
  assert.equal(worker.close(deadline.signal), closing)
  assert.deepEqual(await closing, { undelivered: 0 })
  assert.deepEqual(acks.map(([id]) => id).sort(), ['a1', 'a2', 'b1'])
  assert.equal(sink.disposed, 1)
  assert.deepEqual(states.at(-1), { type: 'closed' })
})

test('after close no event is accepted, and an offer that waited is refused; neither is acknowledged', async () => {
  const { worker, sink, acks, refused, offer, settle } = await bench({ options: { queue: { events: 1, bytes: 1000 } } })
  offer(event('a1', 'a'), event('b1', 'b'))
  await settle()
  const closing = worker.close(new AbortController().signal)
  offer(event('c1', 'c'))
  await settle()
  assert.deepEqual(refused.map(String), ['Error: sink audit is closed', 'Error: sink audit is closed'])
  sink.attempt('a1').answer()
  assert.deepEqual(await closing, { undelivered: 0 })
  assert.deepEqual(acks, [['a1', { type: 'delivered' }]])
})

test('P1 at the deadline attempts are aborted and awaited; what was not delivered is neither acknowledged nor given up', async () => {
  const { worker, clock, sink, acks, deadLetters, offer, settle } = await bench({ options: { concurrency: 2 } })
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'))
  await settle()
  const deadline = new AbortController()
  const closing = worker.close(deadline.signal)
  deadline.abort()
  await settle()
  assert.equal(sink.attempt('a1').signal.aborted, true)
  assert.equal(sink.disposed, 0)
  sink.attempt('a1').answer()
  sink.attempt('b1').throw(new DeliveryError('rejected', '400'))
  assert.deepEqual(await closing, { undelivered: 2 })
  assert.deepEqual(acks, [['a1', { type: 'delivered' }]])
  assert.equal(deadLetters.length, 0)
  assert.equal(sink.disposed, 1)
  assert.equal(clock.pending, 0, 'no timer is left')
})

for (const [situation, error] of [
  ['a lane is in back-off', new DeliveryError('failed', '500')],
  ['the sink is out of order', new DeliveryError('unavailable', '503')],
] as const) {
  test(`S7 close while ${situation}: it goes on trying until the deadline, and leaves no timer`, async () => {
    for (const heals of ['in time', 'too late'] as const) {
      const { worker, clock, sink, acks, offer, settle } = await bench()
      offer(event('a1', 'a'))
      await settle()
      sink.attempt('a1').throw(error)
      await settle()
      const deadline = new AbortController()
      const closing = worker.close(deadline.signal)
      if (heals === 'in time') {
        await clock.advance(500)
        sink.attempt('a1').answer()
        assert.deepEqual(await closing, { undelivered: 0 })
        assert.equal(acks.length, 1)
      } else {
        deadline.abort()
        assert.deepEqual(await closing, { undelivered: 1 })
        assert.equal(acks.length, 0)
      }
      assert.equal(clock.pending, 0)
    }
  })
}

test('close while it still connects: the attempt is aborted, and the sink disposed only after it has settled', async () => {
  const sink = new ScriptedSink()
  const connecting = Promise.withResolvers<void>()
  let aborted = false
  sink.onConnect = (signal) => {
    signal.addEventListener('abort', () => {
      aborted = true
    })
    return connecting.promise
  }
  const { worker, clock, offer } = await bench({ sink })
  offer(event('a1', 'a'))
  await clock.advance(0)
  const closing = worker.close(AbortSignal.abort())
  await clock.advance(0)
  assert.equal(aborted, true)
  assert.equal(sink.disposed, 0)
  connecting.reject(new Error('aborted'))
  assert.deepEqual(await closing, { undelivered: 1 })
  assert.equal(sink.disposed, 1)
  assert.equal(clock.pending, 0)
})

test('close while an end waits for its predecessors leaves no timer', async () => {
  const { worker, clock, sink, offer } = await bench()
  offer(event('a1', 'a'), event('end', 'end', { kind: 'end' }))
  await clock.advance(0)
  const closing = worker.close(AbortSignal.abort())
  sink.attempt('a1').throw(new Error('aborted'))
  assert.deepEqual(await closing, { undelivered: 2 })
  assert.equal(clock.pending, 0)
})

test('close while an end stands behind a fence that is under way leaves no timer', async () => {
  const { clock, sink, worker, offer, acks, settle } = await bench()
  offer(event('b1', 'begin', { kind: 'begin' }), event('a1', 'a'), event('e1', 'end', { kind: 'end' }))
  await settle()
  const closed = worker.close(AbortSignal.abort())
  await settle()
  sink.attempt('b1').answer()
  assert.deepEqual(await closed, { undelivered: 2 })
  assert.deepEqual(acks, [['b1', { type: 'delivered' }]])
  assert.equal(clock.pending, 0)
})
