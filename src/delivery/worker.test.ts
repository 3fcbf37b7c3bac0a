import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError } from './errors.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'

const delivered = { type: 'delivered' }

test('an offer resolves when the event is accepted, its ack is called once when it is delivered', async () => {
  const { worker, sink, acks, settle } = await bench()
  let count = 0
  await worker.offer(event('a1', 'a'), () => count++, new AbortController().signal)
  await settle()
  assert.deepEqual(sink.sent, [['a1']])
  assert.equal(count, 0)
  sink.attempt('a1').answer()
  await settle()
  assert.equal(count, 1)
  assert.deepEqual(acks, [])
  assert.equal(worker.stats().queueEvents, 0)
})

test('P2 events with one key leave one after the other, other keys do not wait for them', async () => {
  const { sink, acks, offer, settle } = await bench()
  offer(event('a1', 'a'), event('a2', 'a'), event('b1', 'b'), event('a3', 'a'))
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['b1']])
  sink.attempt('a1').answer()
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['b1'], ['a2']])
  sink.attempt('a2').answer()
  await settle()
  sink.attempt('a3').answer()
  await settle()
  assert.deepEqual(acks, [
    ['a1', delivered],
    ['a2', delivered],
    ['a3', delivered],
  ])
})

test('order none: events with one key leave together', async () => {
  const { sink, offer, settle } = await bench({ options: { order: 'none' } })
  offer(event('a1', 'a'), event('a2', 'a'))
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['a2']])
})

test('no more than `concurrency` batches are in flight, and lanes take turns', async () => {
  const { sink, offer, settle } = await bench({ options: { concurrency: 2 } })
  offer(event('a1', 'a'), event('a2', 'a'), event('b1', 'b'), event('c1', 'c'))
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['b1']])
  sink.attempt('a1').answer()
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['b1'], ['c1']], 'c goes before a goes again')
})

test('P7 the queue is bounded in events: offers wait in line until there is room', async () => {
  const { worker, sink, accepted, offer, settle } = await bench({ options: { queue: { events: 2, bytes: 1000 } } })
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'), event('d1', 'd'))
  await settle()
  assert.deepEqual(accepted, ['a1', 'b1'])
  assert.equal(worker.stats().queueEvents, 2)
  assert.equal(worker.stats().blockedOffers, 2)
  sink.attempt('b1').answer()
  await settle()
  assert.deepEqual(accepted, ['a1', 'b1', 'c1'], 'pending and in flight count: one left, one came')
  assert.equal(worker.stats().queueEvents, 2)
})

test('P7 the queue is bounded in bytes, and a small event does not overtake a large one that waits', async () => {
  const { worker, sink, accepted, offer, settle } = await bench({ options: { queue: { events: 100, bytes: 100 } } })
  offer(event('a1', 'a', { dataBytes: 80 }), event('b1', 'b', { dataBytes: 50 }), event('c1', 'c'))
  await settle()
  assert.deepEqual(accepted, ['a1'])
  sink.attempt('a1').answer()
  await settle()
  assert.deepEqual(accepted, ['a1', 'b1', 'c1'])
  assert.equal(worker.stats().queueBytes, 60)
})

test('an event larger than the whole queue is accepted when nothing else is in it', async () => {
  const { sink, acks, offer, settle } = await bench({ options: { queue: { events: 10, bytes: 100 } } })
  offer(event('a1', 'a'), event('b1', 'b', { dataBytes: 500 }))
  await settle()
  assert.deepEqual(sink.sent, [['a1']])
  sink.attempt('a1').answer()
  await settle()
  sink.attempt('b1').answer()
  await settle()
  assert.equal(acks.length, 2)
})

test('an offer that is aborted while it waits rejects with the reason, is never acknowledged and holds up nobody', async () => {
  const { worker, sink, acks, offer, settle } = await bench({ options: { queue: { events: 10, bytes: 100 } } })
  offer(event('a1', 'a', { dataBytes: 60 }))
  const controller = new AbortController()
  const waiting = worker.offer(
    event('b1', 'b', { dataBytes: 60 }),
    () => acks.push(['b1', { type: 'delivered' }]),
    controller.signal,
  )
  offer(event('c1', 'c'))
  await settle()
  assert.deepEqual(sink.sent, [['a1']])
  controller.abort(new Error('stopped'))
  await assert.rejects(waiting, /^Error: stopped$/)
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['c1']])
  sink.attempt('a1').answer()
  sink.attempt('c1').answer()
  await settle()
  assert.deepEqual(
    acks.map(([id]) => id),
    ['a1', 'c1'],
  )
  await assert.rejects(
    worker.offer(event('d1', 'd'), () => {}, controller.signal),
    /^Error: stopped$/,
  )
})

test('a batch closes at its number of events, at its bytes, or when its first event lingered', async () => {
  const { clock, sink, offer, settle } = await bench({ options: { batch: { events: 3, bytes: 100, lingerMs: 5 } } })
  offer(event('a1', 'a'), event('b1', 'b'))
  await settle()
  assert.deepEqual(sink.sent, [])
  offer(event('c1', 'c'), event('d1', 'd'))
  await settle()
  assert.deepEqual(sink.sent, [['a1', 'b1', 'c1']])
  await clock.advance(5)
  assert.deepEqual(sink.sent.slice(1), [['d1']])
  offer(event('e1', 'e', { dataBytes: 60 }), event('f1', 'f', { dataBytes: 60 }))
  await settle()
  assert.deepEqual(sink.sent.slice(2), [['e1']])
  await clock.advance(5)
  assert.deepEqual(sink.sent.slice(3), [['f1']])
})

test('a batch holds one event per key, unless the sink takes several', async () => {
  const events = [event('a1', 'a'), event('a2', 'a'), event('b1', 'b')]
  const options = { batch: { events: 10, bytes: 1000, lingerMs: 5 } }
  const one = await bench({ options })
  one.offer(...events)
  await one.clock.advance(5)
  assert.deepEqual(one.sink.sent, [['a1', 'b1']])
  const several = await bench({ options, sameKeyInBatch: true })
  several.offer(...events)
  await several.clock.advance(5)
  assert.deepEqual(several.sink.sent, [['a1', 'a2', 'b1']])
})

test('S6 of a batch only what failed is sent again', async () => {
  const { clock, sink, acks, offer } = await bench({ options: { batch: { events: 10, bytes: 1000, lingerMs: 5 } } })
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'))
  await clock.advance(5)
  sink.attempt('b1').answer([{ index: 1, error: new DeliveryError('failed', '500') }])
  await clock.advance(0)
  assert.deepEqual(
    acks.map(([id]) => id),
    ['a1', 'c1'],
  )
  await clock.advance(505)
  assert.deepEqual(sink.sent, [['a1', 'b1', 'c1'], ['b1']])
})

test('P4 a retry is the same event: source, id, all attributes and data, byte for byte', async () => {
  const sink = new ScriptedSink()
  const sent: string[] = []
  sink.respond = ([one]) => {
    sent.push(JSON.stringify([one?.attributes, one?.data]))
    if (sent.length < 4) throw new DeliveryError(sent.length === 2 ? 'unavailable' : 'failed', '500')
    return []
  }
  const { clock, offer } = await bench({ sink })
  const one = event('a1', 'a')
  offer(one)
  await clock.advance(60_000)
  assert.deepEqual(sent, Array(4).fill(JSON.stringify([one.attributes, one.data])))
})

test('P2 with several events of a key in one batch, those behind a failed one keep their place', async () => {
  const { clock, sink, offer } = await bench({
    options: { batch: { events: 10, bytes: 1000, lingerMs: 5 } },
    sameKeyInBatch: true,
  })
  offer(event('a1', 'a'), event('a2', 'a'), event('a3', 'a'))
  await clock.advance(5)
  const error = new DeliveryError('failed', 'no')
  sink.attempt('a1').answer([1, 2].map((index) => ({ index, error })))
  offer(event('a4', 'a'))
  await clock.advance(505)
  assert.deepEqual(sink.sent, [
    ['a1', 'a2', 'a3'],
    ['a2', 'a3', 'a4'],
  ])
})

test('P2 when a batch is split, an event is not sent while its predecessor has failed', async () => {
  const { clock, sink, offer } = await bench({
    options: { batch: { events: 2, bytes: 1000, lingerMs: 5 } },
    sameKeyInBatch: true,
  })
  offer(event('a1', 'a'), event('a2', 'a'))
  await clock.advance(0)
  sink.attempt('a1').throw(new Error('unknown'))
  await clock.advance(0)
  sink.attempt('a1').throw(new Error('unknown'))
  await clock.advance(0)
  assert.deepEqual(sink.sent, [['a1', 'a2'], ['a1']])
  await clock.advance(505)
  assert.deepEqual(sink.sent.slice(2), [['a1', 'a2']])
})

test('a timeout keeps the lane locked until the old attempt has really settled', async () => {
  const { clock, sink, acks, offer } = await bench()
  offer(event('a1', 'a'), event('a2', 'a'))
  await clock.advance(15_000)
  const { signal } = sink.attempt('a1')
  assert.equal(signal.aborted, true)
  assert.equal(signal.reason.name, 'TimeoutError')
  await clock.advance(60_000)
  assert.deepEqual(sink.sent, [['a1']], 'it may still land')
  sink.attempt('a1').throw(signal.reason)
  await clock.advance(499)
  assert.deepEqual(sink.sent, [['a1']])
  await clock.advance(1)
  assert.deepEqual(sink.sent, [['a1'], ['a1']])
  sink.attempt('a1').answer()
  await clock.advance(0)
  assert.deepEqual(acks, [['a1', delivered]])
  assert.deepEqual(sink.sent.at(-1), ['a2'])
})

test('an attempt that succeeds after its time is up is delivered', async () => {
  const { clock, sink, acks, offer } = await bench()
  offer(event('a1', 'a'))
  await clock.advance(15_000)
  sink.attempt('a1').answer()
  await clock.advance(0)
  assert.deepEqual(acks, [['a1', delivered]])
})

test('an event that fails backs off alone, doubled up to the maximum, and is given up when its budget is spent', async () => {
  const { clock, sink, acks, deadLetters, offer } = await bench()
  sink.respond = ([first]) =>
    first?.key === 'a' ? [{ index: 0, error: new DeliveryError('failed', 'receiver answered 500') }] : []
  offer(event('a1', 'a'))
  await clock.advance(0)
  const attempts = () => sink.sent.filter(([id]) => id === 'a1').length
  let expected = 1
  for (const delay of [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]) {
    offer(event('b1', 'b')) // others get through
    await clock.advance(delay - 1)
    assert.equal(attempts(), expected, `before the delay of ${delay} ms`)
    await clock.advance(1)
    assert.equal(attempts(), ++expected, `after the delay of ${delay} ms`)
  }
  offer(event('a2', 'a'))
  for (let minute = 0; minute < 60; minute++) {
    offer(event('b1', 'b'))
    await clock.advance(60_000)
  }
  const reason = 'receiver answered 500'
  const others = acks.filter(([id]) => id !== 'b1')
  assert.deepEqual(others, [['a1', { type: 'dead-lettered', code: 'failed', reason }]])
  const [letter] = deadLetters.list()
  assert.equal(letter?.event.attributes.id, 'a1')
  assert.equal(letter?.sink, 'audit')
  assert.equal(letter?.attempts, attempts())
  assert.equal(letter?.time, '2026-01-01T01:00:00.000Z', 'the last attempt is at the very end of the budget')
  assert.ok(
    sink.sent.some(([id]) => id === 'a2'),
    'the lane goes on',
  )
})

test('delays are full jitter: anything from nothing to the limit', async () => {
  for (const [random, delay] of [
    [0, 0],
    [0.25, 125],
  ] as const) {
    const { clock, sink, offer, settle } = await bench({ random: () => random })
    offer(event('a1', 'a'))
    await settle()
    sink.attempt('a1').throw(new DeliveryError('conflict', '409'))
    await clock.advance(delay)
    assert.equal(sink.sent.length, 2, `random ${random}`)
  }
})

test('a permanent failure goes to the dead letters at once and its lane goes on', async () => {
  const { sink, acks, deadLetters, offer, settle } = await bench()
  offer(event('a1', 'a'), event('a2', 'a'))
  await settle()
  sink.attempt('a1').answer([{ index: 0, error: new DeliveryError('rejected', 'receiver answered 400') }])
  await settle()
  assert.deepEqual(acks, [['a1', { type: 'dead-lettered', code: 'rejected', reason: 'receiver answered 400' }]])
  assert.equal(deadLetters.length, 1)
  assert.deepEqual(sink.sent, [['a1'], ['a2']])
})

test('a batch that is too large is halved until the one is found, which goes out smaller', async () => {
  const { sink, acks, deadLetters, offer, clock } = await bench({
    options: { batch: { events: 4, bytes: 1000, lingerMs: 5 } },
  })
  const small = event('c1', 'c', { dataBytes: 5 })
  sink.respond = (batch) => {
    if (batch.some(({ dataBytes }) => dataBytes > 50)) throw new DeliveryError('too-large', '413')
    return []
  }
  offer(
    event('a1', 'a'),
    event('b1', 'b'),
    event('c1', 'c', { dataBytes: 99, smaller: () => small }),
    event('d1', 'd', { dataBytes: 99 }),
  )
  await clock.advance(0)
  assert.deepEqual(sink.sent, [['a1', 'b1', 'c1', 'd1'], ['a1', 'b1'], ['c1', 'd1'], ['c1'], ['d1']])
  await clock.advance(5)
  assert.deepEqual(sink.sent.at(-1), ['c1'])
  assert.deepEqual(acks, [
    ['a1', delivered],
    ['b1', delivered],
    ['d1', { type: 'dead-lettered', code: 'too-large', reason: '413' }],
    ['c1', delivered],
  ])
  assert.equal(deadLetters.list()[0]?.event.dataBytes, 99)
})

test('S9 an event above maxEventBytes goes out in its largest form that fits, or to the dead letters, unsent', async () => {
  const { sink, worker, acks, deadLetters, offer, settle } = await bench({ options: { maxEventBytes: 100 } })
  const reference = event('a1', 'a', { dataBytes: 40 })
  const metadata = event('a1', 'a', { dataBytes: 120, smaller: () => reference })
  offer(
    event('a1', 'a', { dataBytes: 300, smaller: () => metadata }),
    event('b1', 'b', { dataBytes: 101 }),
    event('b2', 'b'),
  )
  await settle()
  assert.deepEqual(sink.sent, [['a1'], ['b2']])
  assert.equal(worker.stats().queueBytes, 50)
  assert.deepEqual(acks, [
    ['b1', { type: 'dead-lettered', code: 'too-large', reason: '101 bytes in its smallest form, the limit is 100' }],
  ])
  assert.equal(deadLetters.list()[0]?.attempts, 0)
})

test('a throw that is no DeliveryError splits the batch; who causes it alone three times is given up, without its text', async () => {
  const { clock, sink, acks, offer } = await bench({ options: { batch: { events: 4, bytes: 1000, lingerMs: 5 } } })
  sink.respond = (batch) => {
    if (batch.some(({ key }) => key === 'c')) throw new TypeError('cannot read "hunter2" of undefined')
    return []
  }
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'), event('d1', 'd'))
  await clock.advance(5)
  assert.deepEqual(
    acks.map(([id]) => id),
    ['a1', 'b1', 'd1'],
  )
  await clock.advance(10_000)
  assert.equal(sink.sent.filter((ids) => ids.length === 1 && ids[0] === 'c1').length, 3)
  const reason = 'sink audit threw an unexpected TypeError'
  assert.deepEqual(acks.at(-1), ['c1', { type: 'dead-lettered', code: 'failed', reason }])
})

test('a failure that names no event of the batch counts as a failure of all', async () => {
  const { clock, sink, acks, offer } = await bench()
  offer(event('a1', 'a'))
  await clock.advance(0)
  sink.attempt('a1').answer([{ index: 1, error: new DeliveryError('rejected', 'no') }])
  await clock.advance(500)
  assert.deepEqual(sink.sent, [['a1'], ['a1']])
  sink.attempt('a1').answer()
  await clock.advance(0)
  assert.deepEqual(acks, [['a1', delivered]])
})

test('P7 a lane in back-off that holds up more than a quarter of the queue gives up its head', async () => {
  const { clock, sink, acks, offer } = await bench({ options: { queue: { events: 20, bytes: 10_000 } } })
  offer(event('a1', 'a'))
  await clock.advance(0)
  sink.attempt('a1').throw(new DeliveryError('failed', '500'))
  offer(event('b1', 'b'))
  await clock.advance(0)
  sink.attempt('b1').answer()
  await clock.advance(0)
  acks.length = 0
  offer(event('a2', 'a'), event('a3', 'a'), event('a4', 'a'), event('a5', 'a'))
  await clock.advance(0)
  assert.deepEqual(acks, [])
  offer(event('a6', 'a'))
  await clock.advance(0)
  const reason = '5 events waited behind it; its last error: 500'
  assert.deepEqual(acks, [['a1', { type: 'dead-lettered', code: 'lane-full', reason }]])
  assert.deepEqual(sink.sent, [['a1'], ['b1'], ['a2']])
})

test('P1 a full lane in back-off gives up nothing while nothing else gets through', async () => {
  const { clock, sink, acks, offer } = await bench({ options: { queue: { events: 8, bytes: 10_000 } } })
  offer(event('a1', 'a'))
  await clock.advance(0)
  sink.attempt('a1').throw(new DeliveryError('failed', '500'))
  await clock.advance(0)
  offer(...Array.from({ length: 20 }, (_, n) => event(`a${n + 2}`, 'a')))
  await clock.advance(500)
  assert.deepEqual(acks, [])
  assert.deepEqual(sink.sent, [['a1'], ['a1']])
})

test('P1 while the whole sink is out of order a full lane in back-off gives up nothing', async () => {
  const { clock, sink, acks, offer } = await bench({ options: { queue: { events: 8, bytes: 10_000 } } })
  offer(event('a1', 'a'), event('b1', 'b'))
  await clock.advance(0)
  sink.attempt('a1').throw(new DeliveryError('failed', '500'))
  sink.attempt('b1').throw(new DeliveryError('unavailable', '503', { retryAfterMs: 60_000 }))
  await clock.advance(0)
  offer(...Array.from({ length: 6 }, (_, n) => event(`a${n + 2}`, 'a')))
  await clock.advance(60_000)
  assert.deepEqual(acks, [])
})

test('it connects with back-off until it succeeds and accepts events meanwhile', async () => {
  const sink = new ScriptedSink()
  sink.onConnect = async () => {
    if (sink.connects < 4) throw new DeliveryError('unavailable', 'ECONNREFUSED')
  }
  const { clock, worker, states, accepted, offer } = await bench({ sink })
  offer(event('a1', 'a'))
  await clock.advance(0)
  assert.deepEqual(accepted, ['a1'])
  await clock.advance(500 + 1000 + 2000 - 1)
  assert.deepEqual(sink.sent, [])
  assert.equal(worker.stats().state, 'connecting')
  await clock.advance(1)
  assert.deepEqual(sink.sent, [['a1']])
  const refused = { type: 'connecting', code: 'unavailable', reason: 'ECONNREFUSED' }
  assert.deepEqual(states, [refused, refused, refused, { type: 'open' }])
})

test('an attempt to connect has the time limit of an attempt, and never overlaps the next one', async () => {
  const sink = new ScriptedSink()
  let settleFirst = () => {}
  sink.onConnect = (signal) => {
    if (sink.connects > 1) return Promise.resolve()
    return new Promise((_, reject) => {
      settleFirst = () => reject(signal.reason)
    })
  }
  const { clock, worker } = await bench({ sink })
  await clock.advance(60_000)
  assert.equal(sink.connects, 1)
  settleFirst()
  await clock.advance(500)
  assert.equal(sink.connects, 2)
  assert.equal(worker.stats().state, 'open')
})

test('the observer is told of attempts, events, retries and dead letters; stats show what is there', async () => {
  const seen: unknown[] = []
  const { clock, worker, sink, offer } = await bench({
    options: { batch: { events: 3, bytes: 1000, lingerMs: 5 } },
    observer: {
      attempt: (attempt) => seen.push(attempt),
      sent: (result) => seen.push(`sent ${result}`),
      retry: ({ code, message }) => seen.push(`retry ${code} ${message}`),
      deadLetter: ({ code, reason, event }) => seen.push(`dead letter ${code} ${reason} ${event.attributes.id}`),
    },
  })
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'))
  await clock.advance(30)
  assert.deepEqual(worker.stats(), {
    state: 'open',
    queueEvents: 3,
    queueBytes: 30,
    oldestAgeMs: 30,
    blockedOffers: 0,
    coalescing: false,
    inFlight: 1,
    permitted: 16,
    backingOff: 0,
  })
  sink.attempt('a1').answer([
    { index: 1, error: new DeliveryError('failed', '500') },
    { index: 2, error: new DeliveryError('rejected', '400') },
  ])
  await clock.advance(0)
  assert.deepEqual(seen, [
    { events: 3, durationMs: 30, result: 'partial' },
    'sent delivered',
    'sent failed',
    'retry failed 500',
    'sent rejected',
    'dead letter rejected 400 c1',
  ])
  assert.equal(worker.stats().backingOff, 1)
  assert.equal(worker.stats().queueEvents, 1)
})

test('an ack that throws surfaces: `failed` rejects with it and nothing more is delivered', async () => {
  const { worker, sink, settle } = await bench()
  const { signal } = new AbortController()
  const failed = assert.rejects(worker.failed, /^Error: a bug in the caller$/)
  await worker.offer(
    event('a1', 'a'),
    () => {
      throw new Error('a bug in the caller')
    },
    signal,
  )
  await settle()
  sink.attempt('a1').answer()
  await failed
  await assert.rejects(
    worker.offer(event('b1', 'b'), () => {}, signal),
    /^Error: a bug in the caller$/,
  )
  await worker.close(signal)
  assert.equal(sink.disposed, 1)
})
