/** A gap with which a server's history begins anew: what a consumer must not get after it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError } from './errors.ts'
import { bench, event } from './scripted-sink.ts'

const delivered = { type: 'delivered' }
const dropped = { type: 'dropped' }
const failed = new DeliveryError('failed', '500')

const end = event('end', 'pods:end', { kind: 'end', aborted: () => event('aborted', 'pods:end', { kind: 'aborted' }) })
const restored = event('restored', 'pods:gap', { kind: 'gap', supersedes: 'stream' })

test('P4 a gap that supersedes drops what waits in lanes and awaits what is under way', async () => {
  const { sink, acks, worker, deadLetters, offer, settle } = await bench({ options: { concurrency: 2 } })
  offer(event('a1', 'a'), event('b1', 'b'), event('a2', 'a'), event('c1', 'c'))
  await settle()
  offer(restored, event('a3', 'a'))
  await settle()
  assert.deepEqual(acks, [
    ['a2', dropped],
    ['c1', dropped],
  ])
  assert.equal(worker.stats().queueEvents, 4)
  sink.attempt('a1').answer()
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['b1']], 'b1 may still land')
  sink.attempt('b1').throw(failed)
  await settle()
  assert.deepEqual(acks.slice(2), [
    ['a1', delivered],
    ['b1', dropped],
  ])
  assert.deepEqual(sink.sent.slice(2), [['restored']])
  sink.attempt('restored').answer()
  await settle()
  assert.deepEqual(sink.sent.slice(3), [['a3']])
  sink.attempt('a3').answer()
  await settle()
  assert.equal(deadLetters.length, 0)
  assert.equal(worker.stats().queueBytes, 0)
})

test('P4 it drops what is in back-off, an end that waits and what that holds back; of its own stream only', async () => {
  const { clock, sink, acks, worker, offer, settle } = await bench()
  offer(
    event('a1', 'a'),
    event('b1', 'b'),
    event('n1', 'n', { stream: 'nodes' }),
    event('n2', 'n', { stream: 'nodes' }),
  )
  await settle()
  sink.attempt('a1').throw(failed)
  sink.attempt('n1').throw(failed)
  await settle()
  assert.equal(worker.stats().backingOff, 2)
  offer(event('end', 'pods:end', { kind: 'end' }), event('a2', 'a'), event('c1', 'c'), restored, event('a3', 'a'))
  await settle()
  assert.deepEqual(
    acks,
    ['end', 'a2', 'c1', 'a1'].map((id) => [id, dropped]),
  )
  assert.equal(worker.stats().backingOff, 1, 'that of the other stream')
  sink.attempt('b1').answer()
  await settle()
  assert.deepEqual(sink.sent.at(-1), ['restored'])
  await clock.advance(500)
  for (const id of ['restored', 'n1', 'n2', 'a3']) {
    sink.attempt(id).answer()
    await settle()
  }
  assert.equal(worker.stats().queueEvents, 0)
  assert.equal(sink.sent.length, 7)
})

test('P4 an end that waits for what is under way is dropped, not aborted', async () => {
  const { sink, acks, offer, settle } = await bench()
  offer(event('a1', 'a'))
  await settle()
  offer(end, event('b1', 'b'), restored)
  await settle()
  assert.deepEqual(acks, [
    ['end', dropped],
    ['b1', dropped],
  ])
  sink.attempt('a1').answer()
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['restored']])
})

test('P4 a permanent failure of something that is void is no dead letter, and a second gap supersedes the first', async () => {
  const { sink, acks, deadLetters, offer, settle } = await bench()
  const again = event('restored again', 'pods:gap', { kind: 'gap', supersedes: 'stream' })
  offer(event('a1', 'a'))
  await settle()
  offer(restored, event('a2', 'a'), again)
  await settle()
  sink.attempt('a1').throw(new DeliveryError('rejected', '400'))
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['restored again']])
  assert.deepEqual(
    acks,
    ['restored', 'a2', 'a1'].map((id) => [id, dropped]),
  )
  assert.equal(deadLetters.length, 0)
})

test('P7 what is dropped makes room, also while the sink is out of order', async () => {
  const { sink, accepted, worker, offer, settle } = await bench({ options: { queue: { events: 3, bytes: 1000 } } })
  offer(event('a1', 'a'))
  await settle()
  sink.attempt('a1').throw(new DeliveryError('unavailable', 'ECONNREFUSED'))
  await settle()
  offer(event('b1', 'b'), restored, event('a2', 'a'), event('b2', 'b'))
  await settle()
  assert.deepEqual(accepted, ['a1', 'b1', 'restored', 'a2', 'b2'])
  assert.equal(worker.stats().queueEvents, 3)
})
