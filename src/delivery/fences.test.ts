/** Fences through the worker: what a consumer of a snapshot relies on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError } from './errors.ts'
import { type Bench, bench, defaults, event } from './scripted-sink.ts'

const delivered = { type: 'delivered' }
const failed = new DeliveryError('failed', '500')

const begin = event('begin', 'pods:begin', { kind: 'begin' })
const gap = event('gap', 'pods:gap', { kind: 'gap' })
const aborted = event('aborted', 'pods:aborted', { kind: 'aborted' })
const end = event('end', 'pods:end', {
  kind: 'end',
  aborted: (cause) => event('aborted', 'pods:end', { kind: 'aborted', dataBytes: cause.length }),
})
const item = (id: string) => event(id, id, { kind: 'item' })
const change = (id: string) => event(id, id)

async function answer({ sink, settle }: Bench, ...ids: string[]): Promise<void> {
  for (const id of ids) sink.attempt(id).answer()
  await settle()
}

for (const fence of [begin, gap]) {
  const { id } = fence.attributes
  test(`P6 ${id} waits for nothing, what its stream offers later waits for it, other streams do not`, async () => {
    const run = await bench()
    run.offer(change('c1'), fence, item('i1'), change('c2'), event('n1', 'n', { stream: 'nodes' }))
    await run.settle()
    assert.deepEqual(run.sink.sent, [['c1'], [id], ['n1']])
    await answer(run, 'c1')
    assert.equal(run.sink.sent.length, 3)
    await answer(run, id)
    assert.deepEqual(run.sink.sent.slice(3), [['i1'], ['c2']])
  })
}

test('P6 end waits until everything its stream offered before is settled, and nothing of the stream overtakes it', async () => {
  const run = await bench()
  run.offer(begin, item('i1'), change('c1'), end, change('c2'))
  await run.settle()
  await answer(run, 'begin')
  assert.deepEqual(run.sink.sent, [['begin'], ['i1'], ['c1']])
  await answer(run, 'c1')
  assert.equal(run.sink.sent.length, 3)
  await answer(run, 'i1')
  assert.deepEqual(run.sink.sent.slice(3), [['end']])
  await answer(run, 'end')
  assert.deepEqual(run.sink.sent.slice(4), [['c2']])
  await answer(run, 'c2')
  assert.deepEqual(
    run.acks.map(([id]) => id),
    ['begin', 'c1', 'i1', 'end', 'c2'],
  )
})

test('P6 an event that is given up does not keep end waiting', async () => {
  const run = await bench()
  run.offer(item('i1'), end)
  await run.settle()
  run.sink.attempt('i1').throw(new DeliveryError('rejected', '400'))
  await run.settle()
  assert.deepEqual(run.sink.sent, [['i1'], ['end']])
})

test('P6 end waits for an event of its stream that is tried again, whether it failed before or after', async () => {
  for (const failsFirst of ['before', 'after'] as const) {
    const run = await bench()
    run.offer(item('i1'), item('i2'))
    await run.settle()
    if (failsFirst === 'before') run.sink.attempt('i1').throw(failed)
    await run.settle()
    run.offer(end, change('c1'))
    await run.settle()
    if (failsFirst === 'after') run.sink.attempt('i1').throw(failed)
    await answer(run, 'i2')
    assert.deepEqual(run.sink.sent, [['i1'], ['i2']], failsFirst)
    await run.clock.advance(500)
    await answer(run, 'i1')
    await answer(run, 'end')
    assert.deepEqual(run.sink.sent.slice(2), [['i1'], ['end'], ['c1']], failsFirst)
    assert.deepEqual(run.acks.at(-1), ['end', delivered])
  }
})

test('P6 an event that keeps failing turns end into aborted after the time of an attempt; nobody waits longer', async () => {
  const run = await bench({ options: { timeoutMs: 10_000, retry: { ...defaults.retry, initialMs: 60_000 } } })
  run.offer(item('i1'), end, change('c1'))
  await run.settle()
  run.sink.attempt('i1').throw(failed)
  await run.clock.advance(9999)
  assert.equal(run.sink.sent.length, 1)
  await run.clock.advance(1)
  assert.deepEqual(run.sink.sent.slice(1), [['aborted'], ['c1']])
  await answer(run, 'aborted', 'c1')
  assert.deepEqual(run.acks, [
    ['end', { type: 'aborted', cause: 'nothing of the stream was delivered for 10000 ms' }],
    ['c1', delivered],
  ])
  assert.equal(run.worker.stats().queueBytes, 10)
})

test('P6 an event that is given up after a back-off does not keep end waiting', async () => {
  const run = await bench()
  run.offer(item('i1'), end)
  await run.settle()
  run.sink.attempt('i1').throw(failed)
  await run.clock.advance(500)
  run.sink.attempt('i1').throw(new DeliveryError('rejected', '400'))
  await run.settle()
  await answer(run, 'end')
  assert.deepEqual(run.acks, [
    ['i1', { type: 'dead-lettered', code: 'rejected', reason: '400' }],
    ['end', delivered],
  ])
})

test('P6 snapshots of 140 objects are complete although every twentieth attempt fails', async () => {
  const run = await bench()
  let attempts = 0
  run.sink.respond = () => {
    if (++attempts % 20 === 0) throw failed
    return []
  }
  for (let n = 1; n <= 10; n++) {
    run.offer(begin, ...Array.from({ length: 140 }, (_, i) => item(`i${i}`)), end)
    await run.clock.advance(15_000)
  }
  const ends = run.acks.filter(([id]) => id === 'end').map(([, outcome]) => outcome)
  assert.deepEqual(ends, Array(10).fill(delivered))
})

test('P6 an event of another stream that is tried again is nothing to end', async () => {
  const run = await bench()
  run.offer(event('n1', 'n', { stream: 'nodes' }), item('i1'), end)
  await run.settle()
  run.sink.attempt('n1').throw(failed)
  await run.settle()
  await answer(run, 'i1')
  assert.deepEqual(run.sink.sent.at(-1), ['end'])
})

test('P6 end becomes aborted when nothing of its stream is settled for the time of an attempt', async () => {
  const run = await bench({ options: { timeoutMs: 10_000 } })
  run.offer(item('i1'), item('i2'), end, change('c1'))
  await run.clock.advance(9000)
  await answer(run, 'i2')
  await run.clock.advance(9999)
  assert.equal(run.sink.sent.length, 2, 'it counts from the last one that was settled')
  await run.clock.advance(1)
  assert.deepEqual(run.sink.sent.slice(2), [['aborted'], ['c1']])
  await answer(run, 'aborted')
  const cause = 'nothing of the stream was delivered for 10000 ms'
  assert.deepEqual(run.acks, [
    ['i2', delivered],
    ['end', { type: 'aborted', cause }],
  ])
})

test('P6 the time when the whole sink is out of order aborts no snapshot', async () => {
  const run = await bench()
  run.offer(item('i1'), end)
  await run.settle()
  run.sink.attempt('i1').throw(new DeliveryError('throttled', '429', { retryAfterMs: 600_000 }))
  await run.clock.advance(660_000)
  await answer(run, 'i1')
  await answer(run, 'end')
  assert.deepEqual(run.acks, [
    ['i1', delivered],
    ['end', delivered],
  ])
})

test('P6 an end that knows no aborted form goes on waiting', async () => {
  const run = await bench()
  run.offer(item('i1'), event('plain-end', 'pods:end', { kind: 'end' }))
  await run.clock.advance(0)
  run.sink.attempt('i1').throw(failed)
  await run.clock.advance(60_000)
  await answer(run, 'i1')
  assert.deepEqual(run.sink.sent, [['i1'], ['i1'], ['plain-end']])
})

test('P6 aborted waits only for its begin, and nothing waits for it', async () => {
  const run = await bench()
  run.offer(begin, item('i1'), aborted, change('c1'))
  await run.settle()
  assert.deepEqual(run.sink.sent, [['begin']])
  await answer(run, 'begin')
  assert.deepEqual(run.sink.sent.slice(1), [['i1'], ['aborted'], ['c1']])
})

test('P6 fences one behind the other: each group leaves when the one before it is settled', async () => {
  const run = await bench()
  run.offer(gap, begin, end, event('begin-2', 'pods:begin', { kind: 'begin' }), change('c1'))
  await run.settle()
  for (const id of ['gap', 'begin', 'end', 'begin-2', 'c1']) {
    assert.deepEqual(run.sink.sent.at(-1), [id])
    await answer(run, id)
  }
  assert.equal(run.worker.stats().queueEvents, 0)
})

test('P7 a fence in back-off that holds up more than a quarter of the queue is given up', async () => {
  const run = await bench({ options: { queue: { events: 12, bytes: 10_000 } } })
  run.offer(begin, item('i1'))
  await run.settle()
  run.sink.attempt('begin').throw(failed)
  run.offer(event('n1', 'n', { stream: 'nodes' }))
  await run.settle()
  await answer(run, 'n1')
  run.acks.length = 0
  run.offer(item('i2'))
  await run.settle()
  assert.deepEqual(run.acks, [])
  run.offer(item('i3'))
  await run.settle()
  const reason = '3 events waited behind it; its last error: 500'
  assert.deepEqual(run.acks, [['begin', { type: 'dead-lettered', code: 'lane-full', reason }]])
  assert.deepEqual(run.sink.sent.slice(2), [['i1'], ['i2'], ['i3']])
})

const cause = 'nothing of the stream was delivered for 15000 ms'

test('P6 an item that keeps failing gives way to the end of each snapshot, as nothing else does', async () => {
  const run = await bench()
  run.sink.respond = ([first]) => {
    if (first?.key === 'poison') throw failed
    return []
  }
  const counts: number[] = []
  for (let n = 1; n <= 5; n++) {
    const final = () => {
      counts.push(run.deadLetters.total)
      return end
    }
    run.offer(begin, item('i1'), item('poison'), { ...end, final }, change('c1'))
    await run.settle()
    run.offer(event('n1', 'n', { stream: 'nodes' })) // the sink is in order
    await run.clock.advance(14_999)
    assert.equal(run.acks.filter(([id]) => id === 'end').length, n - 1)
    await run.clock.advance(1)
    assert.deepEqual(run.acks.slice(-3), [
      ['poison', { type: 'dead-lettered', code: 'failed', reason: '500' }],
      ['end', delivered],
      ['c1', delivered],
    ])
  }
  assert.deepEqual(counts, [1, 2, 3, 4, 5], 'it is counted before the end goes')
  assert.equal(run.deadLetters.list()[0]?.code, 'failed')
  await run.clock.advance(3_600_000)
  assert.equal(run.worker.stats().queueEvents, 0)
})

test('P6 where only the poison is left to prove that the sink is in order, the next snapshot has an end', async () => {
  const run = await bench()
  run.sink.respond = ([first]) => {
    if (first?.key === 'poison') throw failed
    return []
  }
  run.offer(begin, item('poison'), end)
  await run.clock.advance(15_000)
  assert.deepEqual(run.acks.at(-1), ['end', { type: 'aborted', cause }])
  run.offer(begin, item('poison'), end)
  await run.clock.advance(15_000)
  const reason = '500'
  assert.deepEqual(run.acks.slice(2), [
    ['begin', delivered],
    ['poison', { type: 'dead-lettered', code: 'failed', reason }],
    ['poison', { type: 'dead-lettered', code: 'failed', reason }],
    ['end', delivered],
  ])
})

test('P6 ten items and more that are never taken, with nothing else, cost the end of one snapshot', async () => {
  const run = await bench()
  run.sink.respond = ([first]) => {
    if (first?.key.startsWith('poison')) throw failed
    return []
  }
  const items = Array.from({ length: 12 }, (_, n) => item(`poison-${n}`))
  for (let snapshot = 0; snapshot < 2; snapshot++) {
    run.offer(begin, ...items, end)
    await run.clock.advance(16_000)
  }
  const ends = run.acks.filter(([id]) => id === 'end').map(([, { type }]) => type)
  assert.deepEqual(ends, ['aborted', 'delivered'])
})

test('P1 an item that failed in one outage and was delivered then is not given up in the next one', async () => {
  const run = await bench()
  let down = true
  run.sink.respond = () => {
    if (down) throw failed
    return []
  }
  run.offer(begin)
  down = false
  await run.settle()
  down = true
  run.offer(item('i1'), end)
  await run.clock.advance(16_000)
  down = false
  await run.clock.advance(600_000)
  assert.deepEqual(run.acks.at(-1), ['end', { type: 'aborted', cause }])
  run.offer(begin)
  await run.settle()
  down = true
  run.offer(item('i1'), end)
  await run.clock.advance(60_000)
  assert.equal(run.deadLetters.total, 0)
})

test('P1 P6 a change does not give way to an end, nor do items beside it', async () => {
  const run = await bench()
  run.sink.respond = ([first]) => {
    if (first?.key.startsWith('bad')) throw failed
    return []
  }
  run.offer(begin, item('bad-item'), change('bad-change'), end)
  await run.settle()
  run.offer(event('n1', 'n', { stream: 'nodes' }))
  await run.clock.advance(15_000)
  assert.deepEqual(run.acks.at(-1), ['end', { type: 'aborted', cause }])
  assert.equal(run.deadLetters.total, 0)
})

test('P6 an item whose next attempt is under way gives way when that fails, and not if it succeeds', async () => {
  for (const succeeds of ['succeeds', 'fails'] as const) {
    const run = await bench()
    run.offer(item('i1'), end)
    await run.settle()
    run.sink.attempt('i1').throw(failed)
    run.offer(event('n1', 'n', { stream: 'nodes' }))
    await run.settle()
    await answer(run, 'n1')
    await run.clock.advance(14_999)
    assert.deepEqual(run.sink.sent, [['i1'], ['n1'], ['i1']])
    await run.clock.advance(1)
    assert.equal(run.sink.sent.length, 3)
    if (succeeds === 'succeeds') run.sink.attempt('i1').answer()
    else run.sink.attempt('i1').throw(failed)
    await run.settle()
    assert.deepEqual(run.sink.sent.slice(3), [['end']])
    assert.equal(run.deadLetters.total, succeeds === 'succeeds' ? 0 : 1)
  }
})

test('P6 an item whose attempt never ends does not give way: end becomes aborted after a second wait', async () => {
  const run = await bench()
  run.offer(item('i1'), end)
  await run.settle()
  run.sink.attempt('i1').throw(failed)
  run.offer(event('n1', 'n', { stream: 'nodes' }))
  await run.settle()
  await answer(run, 'n1')
  await run.clock.advance(30_000)
  assert.deepEqual(run.sink.sent.slice(3), [['aborted']])
  assert.equal(run.deadLetters.total, 0)
})
