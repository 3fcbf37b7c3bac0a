/** What happens when a whole sink is out of order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError, type DeliveryErrorCode } from './errors.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'

const delivered = { type: 'delivered' }
const unavailable = new DeliveryError('unavailable', 'ECONNREFUSED')

/** A sink that is out of order while `down` is set. */
function fragile(): ScriptedSink & { down: DeliveryError | undefined } {
  const sink: ScriptedSink & { down: DeliveryError | undefined } = Object.assign(new ScriptedSink(), {
    down: undefined,
  })
  sink.respond = () => {
    if (sink.down) throw sink.down
    return []
  }
  return sink
}

for (const code of ['unavailable', 'unauthorized', 'throttled'] satisfies DeliveryErrorCode[]) {
  test(`P1 ${code}: everything waits, one event of another lane is tried at each probe, none spends its budget`, async () => {
    const sink = fragile()
    sink.down = new DeliveryError(code, 'no')
    const { clock, acks, states, deadLetters, offer } = await bench({ sink, options: { concurrency: 1 } })
    offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'), event('a2', 'a'))
    await clock.advance(0)
    assert.deepEqual(sink.sent, [['a1']])
    await clock.advance(499)
    assert.deepEqual(sink.sent, [['a1']])
    await clock.advance(1 + 1000 + 2000)
    assert.deepEqual(sink.sent, [['a1'], ['b1'], ['c1'], ['a1']])
    await clock.advance(24 * 3_600_000)
    assert.equal(acks.length, 0, 'a day spends no budget')
    assert.ok(sink.sent.length < 2_900, 'a probe every 30 s')
    sink.down = undefined
    await clock.advance(30_000)
    assert.deepEqual(acks.map(([id]) => id).sort(), ['a1', 'a2', 'b1', 'c1'])
    assert.equal(deadLetters.length, 0)
    const reason = 'no'
    assert.deepEqual(states.slice(0, 4), [
      { type: 'open' },
      { type: 'paused', code, reason },
      { type: 'probing', code, reason },
      { type: 'paused', code, reason },
    ])
    assert.deepEqual(states.at(-1), { type: 'open' })
  })
}

test('what was in flight when the outage began makes the pause no longer, unless it was asked for more patience', async () => {
  const { clock, sink, offer } = await bench()
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'))
  await clock.advance(0)
  sink.attempt('a1').throw(unavailable)
  sink.attempt('b1').throw(unavailable)
  await clock.advance(500)
  assert.deepEqual(sink.sent.slice(3), [['b1']], 'the probe is not the event that failed first')
  sink.attempt('b1').answer()
  await clock.advance(0)
  assert.deepEqual(sink.sent.slice(4), [['a1']])
  sink.attempt('a1').throw(unavailable)
  sink.attempt('c1').throw(new DeliveryError('throttled', '429', { retryAfterMs: 10_000 }))
  await clock.advance(10_999)
  assert.equal(sink.sent.length, 5)
  await clock.advance(1)
  assert.equal(sink.sent.length, 6)
})

test('Retry-After is obeyed in full, with at most a tenth on top, by the whole worker', async () => {
  for (const [random, waits] of [
    [0, 30_000],
    [0.5, 31_500],
    [1, 33_000],
  ] as const) {
    const { clock, sink, offer } = await bench({ random: () => random })
    offer(event('a1', 'a'), event('b1', 'b'))
    await clock.advance(0)
    sink.attempt('a1').throw(new DeliveryError('throttled', '429', { retryAfterMs: 30_000 }))
    sink.attempt('b1').answer()
    await clock.advance(0)
    offer(event('c1', 'c'))
    await clock.advance(waits - 1)
    assert.equal(sink.sent.length, 2, `random ${random}`)
    await clock.advance(1)
    assert.deepEqual(sink.sent[2], ['c1'], `random ${random}`)
  }
})

test('a Retry-After about one event pauses the worker too', async () => {
  const { clock, sink, offer } = await bench({ random: () => 0 })
  offer(event('a1', 'a'))
  await clock.advance(0)
  sink.attempt('a1').throw(new DeliveryError('failed', '500', { retryAfterMs: 5000 }))
  await clock.advance(0)
  offer(event('b1', 'b'))
  await clock.advance(4999)
  assert.equal(sink.sent.length, 1)
  await clock.advance(1)
  assert.equal(sink.sent.length, 2)
})

test('a sink that is gone is asked again once an hour', async () => {
  const sink = fragile()
  sink.down = new DeliveryError('gone', '410')
  const { clock, offer } = await bench({ sink, random: () => 0 })
  offer(event('a1', 'a'))
  await clock.advance(3_599_999)
  assert.equal(sink.sent.length, 1)
  await clock.advance(1)
  assert.equal(sink.sent.length, 2)
})

test('no answer to a probe means that the sink is still out of order, whatever the event', async () => {
  const { clock, sink, acks, worker, offer } = await bench({ options: { concurrency: 1 } })
  offer(event('a1', 'a'), event('b1', 'b'))
  await clock.advance(0)
  sink.attempt('a1').throw(unavailable)
  await clock.advance(500 + 15_000)
  sink.attempt('b1').throw(sink.attempt('b1').signal.reason)
  await clock.advance(0)
  assert.equal(worker.stats().state, 'paused')
  assert.equal(worker.stats().backingOff, 0)
  await clock.advance(1000)
  sink.attempt('a1').answer()
  await clock.advance(0)
  sink.attempt('b1').answer()
  await clock.advance(0)
  assert.deepEqual(acks, [
    ['a1', delivered],
    ['b1', delivered],
  ])
})

test('a probe that is refused for its own sake shows that the sink is in order', async () => {
  const { clock, sink, acks, worker, offer } = await bench({ options: { concurrency: 1 } })
  offer(event('a1', 'a'), event('b1', 'b'))
  await clock.advance(0)
  sink.attempt('a1').throw(unavailable)
  await clock.advance(500)
  sink.attempt('b1').throw(new DeliveryError('rejected', '400'))
  await clock.advance(0)
  assert.equal(worker.stats().state, 'open')
  assert.deepEqual(acks, [['b1', { type: 'dead-lettered', code: 'rejected', reason: '400' }]])
})

test('F45 an event that takes the sink down again and again ends up alone in back-off and is given up', async () => {
  const sink = new ScriptedSink()
  sink.respond = ([first]) => {
    if (first?.key === 'poison') throw new DeliveryError('unavailable', 'ECONNRESET')
    return []
  }
  const { clock, acks, states, offer } = await bench({
    sink,
    options: { retry: { initialMs: 500, maxMs: 5000, giveUpAfterMs: 60_000 } },
  })
  offer(event('p1', 'poison'))
  for (let second = 0; second < 300; second++) {
    offer(event(`a${second}`, 'a'))
    await clock.advance(1000)
  }
  assert.equal(acks.filter(([, outcome]) => outcome.type === 'delivered').length, 300)
  const reason = 'ECONNRESET'
  assert.deepEqual(
    acks.find(([id]) => id === 'p1'),
    ['p1', { type: 'dead-lettered', code: 'unavailable', reason }],
  )
  const pauses = states.filter(({ type }) => type === 'paused').length
  assert.ok(pauses <= 4, `once it is known to be at fault it holds up nobody else, but there were ${pauses} pauses`)
})

test('what a sink asks for is waited in full also when the event is known to be at fault', async () => {
  const sink = new ScriptedSink()
  let retryAfterMs: number | undefined
  let asked = 0
  sink.respond = ([first]) => {
    if (first?.key !== 'poison') return []
    if (retryAfterMs !== undefined) asked++
    throw new DeliveryError('unavailable', '503', { retryAfterMs })
  }
  const { clock, offer } = await bench({
    sink,
    options: { retry: { initialMs: 500, maxMs: 5000, giveUpAfterMs: 60_000 } },
  })
  offer(event('p1', 'poison'))
  for (let second = 0; second < 40 && asked === 0; second++) {
    if (second === 20) retryAfterMs = 60_000
    offer(event(`a${second}`, 'a'))
    await clock.advance(1000)
  }
  assert.equal(asked, 1)
  const { length } = sink.sent
  offer(event('b1', 'b'))
  await clock.advance(58_000)
  assert.equal(sink.sent.length, length)
})

test('ten permanent failures in a row over different keys mean a misconfigured sink: the rest waits and is kept', async () => {
  const sink = new ScriptedSink()
  let refuses = true
  sink.respond = () => {
    if (refuses) throw new DeliveryError('rejected', 'receiver answered 422')
    return []
  }
  const { clock, acks, worker, deadLetters, states, offer } = await bench({ sink, options: { concurrency: 1 } })
  offer(...Array.from({ length: 30 }, (_, n) => event(`e${n}`, `key-${n}`)))
  await clock.advance(0)
  assert.equal(deadLetters.length, 9)
  assert.equal(worker.stats().state, 'paused')
  assert.deepEqual(states.at(-1), {
    type: 'paused',
    code: 'unavailable',
    reason: 'events of 10 different keys failed in a row, the last one: receiver answered 422',
  })
  await clock.advance(24 * 3_600_000)
  assert.equal(deadLetters.length, 9, 'probes give up nothing')
  refuses = false
  await clock.advance(300_000)
  assert.equal(acks.filter(([, { type }]) => type === 'delivered').length, 21)
})

test('permanent failures of one key, or with deliveries in between, are only about the events', async () => {
  const sink = new ScriptedSink()
  sink.respond = ([first]) => {
    if (first?.key.startsWith('bad')) throw new DeliveryError('rejected', '400')
    return []
  }
  const { clock, worker, deadLetters, offer } = await bench({ sink, options: { concurrency: 1 } })
  offer(...Array.from({ length: 30 }, (_, n) => event(`e${n}`, 'bad')))
  await clock.advance(0)
  assert.equal(deadLetters.length, 30)
  offer(...Array.from({ length: 30 }, (_, n) => event(`f${n}`, n % 5 === 0 ? `good-${n}` : `bad-${n}`)))
  await clock.advance(0)
  assert.equal(deadLetters.length, 54)
  assert.equal(worker.stats().state, 'open')
})

for (const [what, error, takesMs] of [
  ['answers 500 to everybody', new DeliveryError('failed', 'receiver answered 500'), 0],
  ['answers 409 to everybody', new DeliveryError('conflict', 'receiver answered 409'), 0],
  ['stalls', new DeliveryError('timeout', 'no answer within 15000 ms'), 15_000],
] as const) {
  test(`P1 a sink that ${what} for a day is out of order: one event is tried at a time, the queue is kept`, async () => {
    const sink = new ScriptedSink()
    let down = true
    const { clock, acks, worker, deadLetters, states, offer } = await bench({ sink })
    sink.respond = async () => {
      if (!down) return []
      if (takesMs > 0) await new Promise<void>((resolve) => clock.after(takesMs, resolve))
      throw error
    }
    offer(...Array.from({ length: 200 }, (_, n) => event(`e${n}`, `key-${n % 100}`)))
    await clock.advance(takesMs)
    const first = sink.sent.length
    assert.ok(first <= 16 + 9, 'what was in flight when it began, and when the first nine had failed')
    assert.equal(worker.stats().state, 'paused')
    assert.deepEqual(states.at(-1), {
      type: 'paused',
      code: 'unavailable',
      reason: `events of 10 different keys failed in a row, the last one: ${error.message}`,
    })
    await clock.advance(24 * 3_600_000)
    assert.ok(sink.sent.length < first + 2_900, 'a probe every 30 s, less often than events would be sent again')
    assert.equal(new Set(sink.sent.slice(0, 100).flat()).size, 100, 'each probe is an event that was not sent before')
    assert.equal(acks.length, 0, 'nothing is given up')
    down = false
    await clock.advance(400_000)
    assert.equal(acks.filter(([, { type }]) => type === 'delivered').length, 200)
    assert.equal(deadLetters.length, 0)
  })
}

test('P2 a few events that time out while others pass are only about themselves, and are given up in their time', async () => {
  const sink = new ScriptedSink()
  const { clock, acks, states, deadLetters, offer } = await bench({ sink })
  sink.respond = ([first]) => {
    if (first?.key.startsWith('bad')) throw new DeliveryError('timeout', 'no answer within 15000 ms')
    return []
  }
  offer(...Array.from({ length: 9 }, (_, n) => event(`bad-${n}`, `bad-${n}`)))
  for (let second = 0; second < 3700; second++) {
    offer(event(`good-${second}`, 'good'))
    await clock.advance(1000)
  }
  assert.equal(acks.filter(([, { type }]) => type === 'delivered').length, 3700)
  assert.equal(deadLetters.length, 9)
  assert.deepEqual(states, [{ type: 'open' }])
})

test('P2 an event offered while many others fail is the next to be tried, and gets through', async () => {
  const sink = new ScriptedSink()
  const { clock, acks, worker, offer } = await bench({ sink })
  sink.respond = ([first]) => {
    if (first?.key.startsWith('bad')) throw new DeliveryError('failed', '500')
    return []
  }
  offer(...Array.from({ length: 30 }, (_, n) => event(`bad-${n}`, `bad-${n}`)))
  await clock.advance(2 * 3_600_000)
  assert.equal(worker.stats().state, 'paused')
  offer(event('good', 'good'))
  await clock.advance(300_000)
  assert.deepEqual(acks, [['good', delivered]])
})

test('many failures in a batch of which others are delivered are about the events', async () => {
  const { clock, sink, worker, offer } = await bench({ options: { batch: { events: 12, bytes: 1000, lingerMs: 5 } } })
  offer(...Array.from({ length: 12 }, (_, n) => event(`e${n}`, `key-${n}`)))
  await clock.advance(5)
  const error = new DeliveryError('failed', 'no')
  sink.attempt('e0').answer(Array.from({ length: 11 }, (_value, index) => ({ index, error })))
  await clock.advance(0)
  assert.equal(worker.stats().state, 'open')
  assert.equal(worker.stats().backingOff, 11)
})

test('the halves of a batch are not sent when the first one finds the sink out of order', async () => {
  const { clock, sink, acks, worker, offer } = await bench({
    options: { batch: { events: 4, bytes: 1000, lingerMs: 5 } },
  })
  offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'), event('d1', 'd'))
  await clock.advance(0)
  sink.attempt('a1').throw(new Error('unknown'))
  await clock.advance(0)
  sink.attempt('a1').throw(unavailable)
  await clock.advance(0)
  assert.deepEqual(sink.sent, [
    ['a1', 'b1', 'c1', 'd1'],
    ['a1', 'b1'],
  ])
  assert.equal(worker.stats().queueEvents, 4)
  await clock.advance(500)
  assert.equal(sink.sent[2]?.length, 1)
  sink.respond = () => []
  sink.attempts[0]?.answer()
  await clock.advance(5)
  assert.deepEqual(acks.map(([id]) => id).sort(), ['a1', 'b1', 'c1', 'd1'])
})

/** An event is given up soon. */
const few = { timeoutMs: 300, retry: { initialMs: 100, maxMs: 1000, giveUpAfterMs: 5000 } }

for (const [what, error, takesMs] of [
  ['answers 500', new DeliveryError('failed', 'receiver answered 500'), 0],
  ['stalls', new DeliveryError('timeout', 'no answer within 300 ms'), 300],
] as const) {
  for (const ids of [['begin'], ['a', 'b', 'c']]) {
    test(`P1 a sink that ${what} is out of order also when only ${ids.length} can tell: nothing is given up`, async () => {
      const sink = new ScriptedSink()
      let down = true
      const { clock, acks, worker, states, offer } = await bench({ sink, options: few })
      sink.respond = async () => {
        if (!down) return []
        if (takesMs > 0) await new Promise<void>((resolve) => clock.after(takesMs, resolve))
        throw error
      }
      for (const id of ids) offer(event(id, id, { kind: id === 'begin' ? 'begin' : 'item' }))
      offer(event('end', 'end', { kind: 'end' }))
      await clock.advance(2000)
      const reason = `nothing was delivered since the first of several attempts failed, the last one: ${error.message}`
      assert.deepEqual(states[1], { type: 'paused', code: 'unavailable', reason })
      await clock.advance(600_000)
      assert.equal(acks.length, 0)
      assert.notEqual(worker.stats().state, 'open')
      down = false
      await clock.advance(3000)
      assert.deepEqual(acks.map(([id]) => id).sort(), [...ids, 'end'].sort())
      assert.ok(acks.every(([, { type }]) => type === 'delivered'))
      assert.equal(worker.stats().state, 'open')
    })
  }
}

/** Fails what `isPoison` for ever. */
function poisoned(isPoison: (key: string) => boolean): ScriptedSink {
  const sink = new ScriptedSink()
  sink.respond = ([first]) => {
    if (first && isPoison(first.key)) throw new DeliveryError('failed', '500')
    return []
  }
  return sink
}

test('P2 while a lone event fails for ever, a new one goes out at once, and proves that the sink is in order', async () => {
  const sink = poisoned((key) => key === 'poison')
  const { clock, acks, worker, offer } = await bench({ sink })
  offer(event('p1', 'poison'))
  await clock.advance(24 * 3_600_000)
  assert.equal(worker.stats().state, 'paused')
  assert.equal(acks.length, 0, 'nothing proves that it is the event')
  offer(event('a1', 'a'))
  await clock.advance(0)
  assert.deepEqual(acks, [['a1', delivered]])
  assert.equal(worker.stats().state, 'open')
})

test('an event that fails for ever is given up once its budget is spent and something else gets through', async () => {
  const sink = poisoned((key) => key === 'poison')
  const { clock, acks, offer } = await bench({ sink, options: few })
  offer(event('p1', 'poison'))
  await clock.advance(60_000)
  assert.equal(acks.length, 0)
  for (let second = 0; second < 10; second++) {
    offer(event(`a${second}`, 'a'))
    await clock.advance(1000)
  }
  const { outcome } = acks.map(([id, outcome]) => ({ id, outcome })).find(({ id }) => id === 'p1') ?? {}
  assert.deepEqual(outcome, { type: 'dead-lettered', code: 'failed', reason: '500' })
  assert.equal(acks.length, 11)
})

test('an event whose budget is shorter than three attempts is kept too while nothing was delivered', async () => {
  const sink = poisoned((key) => key === 'poison')
  const { clock, acks, offer } = await bench({
    sink,
    options: { retry: { initialMs: 500, maxMs: 500, giveUpAfterMs: 0 } },
  })
  offer(event('p1', 'poison'))
  await clock.advance(60_000)
  assert.equal(acks.length, 0)
  offer(event('a1', 'a'))
  await clock.advance(0)
  assert.deepEqual(
    acks.map(([id, { type }]) => [id, type]),
    [
      ['a1', 'delivered'],
      ['p1', 'dead-lettered'],
    ],
  )
})

test('what the sink asked for is waited in full, whatever is offered meanwhile', async () => {
  const sink = new ScriptedSink()
  sink.respond = () => {
    throw new DeliveryError('failed', '500', { retryAfterMs: 60_000 })
  }
  const { clock, offer } = await bench({ sink, random: () => 0 })
  offer(event('a1', 'a'))
  await clock.advance(180_000)
  const { length } = sink.sent
  offer(event('b1', 'b'))
  await clock.advance(59_999)
  assert.equal(sink.sent.length, length)
  await clock.advance(1)
  assert.deepEqual(sink.sent.slice(length), [['b1']])
})

test('what the sink asked for is waited in full, whatever becomes of attempts that were under way', async () => {
  for (const error of [
    new DeliveryError('gone', '410'),
    new DeliveryError('throttled', '429', { retryAfterMs: 3_600_000 }),
  ]) {
    const { clock, sink, offer } = await bench({ options: few, random: () => 0 })
    offer(event('a1', 'a'), event('b1', 'b'), event('c1', 'c'))
    await clock.advance(0)
    sink.attempt('a1').throw(unavailable)
    sink.attempt('b1').throw(error)
    await clock.advance(20_000)
    sink.attempt('c1').throw(new DeliveryError('failed', 'its budget is spent, and nothing was delivered'))
    offer(event('d1', 'd'))
    await clock.advance(3_579_999)
    assert.equal(sink.sent.length, 3, error.code)
    await clock.advance(1)
    assert.deepEqual(sink.sent.slice(3), [['d1']])
  }
})

test('a suspicion does not hold up a stream: its end is aborted in time, and what follows is tried', async () => {
  const sink = poisoned((key) => key === 'poison')
  const { clock, acks, worker, offer } = await bench({ sink, options: few })
  offer(event('p1', 'poison', { kind: 'item' }))
  await clock.advance(10_000)
  assert.equal(worker.stats().state, 'paused')
  const abort = () => event('end', 'end', { kind: 'aborted' })
  offer(event('end', 'end', { kind: 'end', aborted: abort }), event('c1', 'c'))
  await clock.advance(300)
  assert.deepEqual(
    acks.map(([id, { type }]) => [id, type]),
    [
      ['end', 'aborted'],
      ['c1', 'delivered'],
    ],
  )
  assert.equal(worker.stats().state, 'open')
})

test('P1 an item that failed before an outage does not give way during it', async () => {
  let down = false
  const sink = poisoned((key) => down || key === 'poison')
  const { clock, acks, worker, deadLetters, offer } = await bench({ sink, options: few })
  offer(event('p1', 'poison', { kind: 'item' }))
  await clock.advance(0)
  offer(event('a1', 'a'))
  await clock.advance(0)
  assert.deepEqual(acks, [['a1', delivered]])
  down = true
  await clock.advance(2000)
  assert.equal(worker.stats().state, 'paused')
  offer(event('end', 'end', { kind: 'end', aborted: () => event('end', 'end', { kind: 'aborted' }) }))
  await clock.advance(300)
  assert.deepEqual(sink.sent.at(-1), ['end'], 'as aborted, and in time')
  await clock.advance(60_000)
  assert.equal(deadLetters.total, 0)
})
