/** What a sink says of some events of a batch, while it takes the others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError, type DeliveryErrorCode } from './errors.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'

/** An event is given up soon. */
const soon = { retry: { initialMs: 500, maxMs: 300_000, giveUpAfterMs: 60_000 } }
const pairs = { batch: { events: 2, bytes: 1000, lingerMs: 0 } }

/** Fails what `isRefused`, event by event. */
function choosy(code: DeliveryErrorCode, isRefused: (key: string) => boolean): ScriptedSink {
  const sink = new ScriptedSink()
  const error = new DeliveryError(code, 'not this one')
  sink.respond = (batch) => batch.flatMap(({ key }, index) => (isRefused(key) ? [{ index, error }] : []))
  return sink
}

for (const code of ['unauthorized', 'unavailable', 'gone'] satisfies DeliveryErrorCode[]) {
  test(`F44 ${code} for one event of a batch: that one is tried again in its time, the sink stays open`, async () => {
    let isRefused = true
    const sink = choosy(code, (key) => isRefused && key === 'a')
    const { clock, acks, states, offer } = await bench({ sink, options: pairs })
    offer(event('a1', 'a'), event('b1', 'b'), event('a2', 'a'))
    await clock.advance(0)
    offer(event('b2', 'b'), event('b3', 'b'))
    await clock.advance(0)
    assert.deepEqual(sink.sent, [['a1', 'b1'], ['b2'], ['b3']], 'nobody waits but its lane')
    isRefused = false
    await clock.advance(500)
    assert.deepEqual(sink.sent.slice(3), [['a1'], ['a2']])
    assert.ok(acks.every(([, { type }]) => type === 'delivered'))
    assert.deepEqual(states, [{ type: 'open' }])
  })
}

test('P1 F44 an event that is unauthorized for ever beside others is given up in its time, and costs nobody else anything', async () => {
  const sink = choosy('unauthorized', (key) => key === 'forbidden')
  const { clock, acks, deadLetters, worker, offer } = await bench({ sink, options: { ...pairs, ...soon } })
  offer(event('f', 'forbidden'))
  for (let second = 0; second < 300; second++) {
    offer(event(`${second}`, `key-${second % 7}`), event(`and ${second}`, `other-${second % 7}`))
    await clock.advance(1000)
  }
  assert.equal(acks.filter(([, { type }]) => type === 'delivered').length, 600)
  assert.deepEqual(
    acks.filter(([id]) => id === 'f').map(([, outcome]) => outcome),
    [{ type: 'dead-lettered', code: 'unauthorized', reason: 'not this one' }],
  )
  assert.equal(deadLetters.total, 1)
  assert.equal(worker.stats().permitted, 16)
})

test('unauthorized for all of a batch is an outage, as ever', async () => {
  const sink = choosy('unauthorized', () => true)
  const { clock, acks, worker, offer } = await bench({ sink, options: pairs })
  offer(event('a1', 'a'), event('b1', 'b'))
  await clock.advance(24 * 3_600_000)
  assert.notEqual(worker.stats().state, 'open')
  assert.equal(acks.length, 0)
})

test('P1 throttled in a part of a batch: no event ever spends its budget for it, and none waits longer than 30 s', async () => {
  const times: number[] = []
  const sink = choosy('throttled', (key) => key === 'a')
  const { clock, acks, offer } = await bench({ sink, options: { ...pairs, ...soon } })
  const { respond } = sink
  sink.respond = (batch) => {
    if (batch.some(({ key }) => key === 'a')) times.push(clock.monotonic())
    return respond?.(batch) ?? []
  }
  offer(event('a1', 'a'))
  for (let second = 0; second < 3600; second++) {
    offer(event(`b${second}`, 'b'), event(`c${second}`, 'c'), event(`d${second}`, 'd'))
    await clock.advance(1000)
  }
  assert.ok(times.length > 120)
  assert.ok(times.every((time, n) => time - (times[n - 1] ?? time) <= 32_000))
  assert.equal(
    acks.some(([id]) => id === 'a1'),
    false,
  )
  assert.equal(acks.length, 3 * 3600)
})

test('P1 an event for which a sink is throttled as a whole again and again is not given up either', async () => {
  const sink = new ScriptedSink()
  let isThrottled = true
  sink.respond = ([first]) => {
    if (isThrottled && first?.key === 'a') throw new DeliveryError('throttled', '429')
    return []
  }
  const { clock, acks, deadLetters, offer } = await bench({ sink, options: soon })
  offer(event('a1', 'a'))
  for (let second = 0; second < 600; second++) {
    offer(event(`b${second}`, 'b'))
    await clock.advance(1000)
  }
  assert.equal(deadLetters.total, 0)
  assert.equal(acks.length, 600, 'the others get through in between')
  isThrottled = false
  await clock.advance(5000)
  assert.deepEqual(acks.at(-1), ['a1', { type: 'delivered' }])
})

test('a time that is asked for with a part of a batch is a pause of all', async () => {
  const { clock, sink, offer } = await bench({ options: pairs, random: () => 0 })
  offer(event('a1', 'a'), event('b1', 'b'))
  await clock.advance(0)
  sink.attempt('a1').answer([{ index: 0, error: new DeliveryError('throttled', '429', { retryAfterMs: 20_000 }) }])
  await clock.advance(0)
  offer(event('c1', 'c'))
  await clock.advance(19_999)
  assert.equal(sink.sent.length, 1)
  await clock.advance(1)
  assert.deepEqual(sink.sent[1], ['c1'])
})

test('P1 a throttled event is not given up because much stands behind it', async () => {
  const sink = choosy('throttled', (key) => key === 'a')
  const options = { ...pairs, queue: { events: 20, bytes: 10_000 } }
  const { clock, deadLetters, worker, offer } = await bench({ sink, options })
  offer(event('a1', 'a'), event('b1', 'b'))
  await clock.advance(0)
  assert.equal(worker.stats().backingOff, 1)
  offer(...Array.from({ length: 12 }, (_, n) => event(`a${n + 2}`, 'a')), event('b2', 'b'))
  await clock.advance(0)
  assert.equal(deadLetters.total, 0)
})
