/** How many batches are in flight after a sink was out of order, or while it is throttled. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeliveryError } from './errors.ts'
import { type Lesson, type Place, Ramp } from './ramp.ts'
import { type Bench, bench, event, ScriptedSink } from './scripted-sink.ts'

const unavailable = new DeliveryError('unavailable', 'ECONNREFUSED')
const throttled = new DeliveryError('throttled', '429')

/** Answers all that is in flight; returns how much that was. */
async function round({ sink, settle }: Bench): Promise<number> {
  const { length } = sink.attempts
  for (const attempt of [...sink.attempts]) attempt.answer()
  await settle()
  return length
}

const events = (count: number) => Array.from({ length: count }, (_, n) => event(`e${n}`, `key-${n}`))

test('a sink that was reached at once gets all that `concurrency` permits from the first moment', async () => {
  const run = await bench({ options: { concurrency: 64 } })
  run.offer(...events(200))
  await run.settle()
  assert.equal(run.sink.attempts.length, 64)
  assert.equal(run.worker.stats().permitted, 64)
})

test('after a pause 1, 2, 4 ... batches are in flight, up to `concurrency`', async () => {
  const run = await bench({ options: { concurrency: 10 } })
  run.offer(...events(100))
  await run.settle()
  const [first, ...others] = run.sink.attempts
  for (const attempt of others) attempt.answer()
  first?.throw(unavailable)
  await run.settle()
  assert.equal(run.sink.attempts.length, 0)
  await run.clock.advance(500)
  const sizes: number[] = []
  for (let n = 0; n < 7; n++) sizes.push(await round(run))
  assert.deepEqual(sizes, [1, 1, 2, 4, 8, 10, 10], 'the probe, and then in rounds')
  assert.equal(run.worker.stats().permitted, 10)
})

test('a sink that could not be reached at first is ramped too: it may just have come back', async () => {
  const sink = new ScriptedSink()
  sink.onConnect = async () => {
    if (sink.connects === 1) throw unavailable
  }
  const run = await bench({ sink, options: { concurrency: 4 } })
  run.offer(...events(20))
  assert.equal(run.worker.stats().permitted, 0)
  await run.clock.advance(500)
  const sizes: number[] = []
  for (let n = 0; n < 4; n++) sizes.push(await round(run))
  assert.deepEqual(sizes, [1, 2, 4, 4])
})

test('a failure of the sink while it is ramped pauses it, and it begins at 1 again', async () => {
  const run = await bench({ options: { concurrency: 16 } })
  run.offer(...events(100))
  await run.settle()
  for (const attempt of [...run.sink.attempts]) attempt.throw(unavailable)
  await run.clock.advance(500)
  await round(run) // the probe
  await round(run)
  await round(run)
  assert.equal(run.sink.attempts.length, 4)
  for (const attempt of [...run.sink.attempts]) attempt.throw(unavailable)
  await run.settle()
  assert.equal(run.worker.stats().state, 'paused')
  await run.clock.advance(500)
  assert.equal(await round(run), 1)
  assert.equal(await round(run), 1)
  assert.equal(await round(run), 2)
})

test('P9 attempts that hang since before the pause take no place from those after it', async () => {
  const run = await bench({ options: { concurrency: 4 } })
  run.offer(...events(20))
  await run.settle()
  run.sink.attempt('e0').throw(unavailable)
  await run.clock.advance(500)
  const hanging = new Set(['e1', 'e2', 'e3'])
  for (let n = 0; n < 17; n++) {
    const attempt = run.sink.attempts.find(({ ids: [id] }) => id !== undefined && !hanging.has(id))
    assert.ok(attempt, `attempt ${n} after the pause`)
    attempt.answer()
    await run.settle()
  }
  assert.equal(run.acks.length, 17)
})

test('a pause because few events failed, each for its own sake, is no outage: it is not ramped', async () => {
  const sink = new ScriptedSink()
  let isFailing = true
  sink.respond = ([first]) => {
    if (isFailing && first?.key === 'bad') throw new DeliveryError('failed', '500')
    return []
  }
  const run = await bench({ sink, options: { timeoutMs: 300, concurrency: 8 } })
  run.offer(event('b', 'bad'))
  await run.clock.advance(5000)
  assert.equal(run.worker.stats().state, 'paused')
  isFailing = false
  run.offer(event('a', 'good'))
  await run.settle()
  assert.equal(run.worker.stats().permitted, 8)
})

test('a suspicion that turns out to be an outage is ramped as any other', async () => {
  const sink = new ScriptedSink()
  let error: DeliveryError | undefined = new DeliveryError('failed', '500')
  sink.respond = () => {
    if (error) throw error
    return []
  }
  const run = await bench({ sink, options: { timeoutMs: 300, concurrency: 8 } })
  run.offer(event('b', 'bad'))
  await run.clock.advance(5000)
  assert.equal(run.worker.stats().state, 'paused')
  error = unavailable
  await run.clock.advance(60_000)
  error = undefined
  await run.clock.advance(30_000)
  assert.equal(run.worker.stats().state, 'open')
  assert.equal(run.worker.stats().permitted, 1)
})

test('throttled: half as many batches as before, and from there one more in each round', async () => {
  const run = await bench({ options: { concurrency: 16 } })
  run.offer(...events(300))
  await run.settle()
  for (const attempt of [...run.sink.attempts]) attempt.throw(throttled)
  await run.clock.advance(500)
  const sizes: number[] = []
  for (let n = 0; n < 9; n++) sizes.push(await round(run))
  assert.deepEqual(sizes, [1, 1, 2, 4, 8, 8, 9, 10, 11])
})

test('throttled in a part of a batch: the sink stays open, with half as many batches, once for all in flight', async () => {
  const options = { concurrency: 8, batch: { events: 2, bytes: 1000, lingerMs: 0 } }
  const run = await bench({ options })
  run.offer(...events(100))
  await run.settle()
  assert.equal(run.sink.attempts.length, 8)
  for (const attempt of [...run.sink.attempts]) attempt.answer([{ index: 1, error: throttled }])
  await run.settle()
  assert.deepEqual(run.states, [{ type: 'open' }])
  assert.equal(run.worker.stats().permitted, 4)
  assert.equal(run.sink.attempts.length, 4)
  for (const attempt of [...run.sink.attempts]) attempt.answer([{ index: 1, error: throttled }])
  await run.settle()
  assert.equal(run.worker.stats().permitted, 2)
})

const step = fc.record({ what: fc.constantFrom('take', 'more', 'fewer', 'nothing', 'pause'), which: fc.nat(20) })

test('P9 whatever is learned, one batch may always be sent, never more than `concurrency`, and successes lead back there', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 200 }), (concurrency, steps) => {
      const ramp = new Ramp(concurrency)
      /** Those that began since the last pause, and those before it. */
      let since: Place[] = []
      let before: Place[] = []
      /** What the ramp may permit at most. */
      let bound = concurrency
      for (const { what, which } of steps) {
        if (what === 'take') {
          assert.ok(ramp.hasPlace || since.length > 0, 'with nothing in flight there is a place')
          if (!ramp.hasPlace) continue
          since.push(ramp.take())
          assert.ok(since.length <= bound)
        } else if (what === 'pause') {
          ramp.restart(which % 2 === 0 ? 'throttled' : 'out of order')
          before = [...before, ...since]
          since = []
          bound = 1
        } else {
          const all = [...since, ...before]
          const place = all[which % all.length]
          if (!place) continue
          ramp.learn(what as Lesson, place)
          ramp.giveBack(place)
          since = since.filter((one) => one !== place)
          before = before.filter((one) => one !== place)
          if (what === 'more') bound = Math.min(concurrency, bound + 1)
        }
        assert.ok(ramp.permitted >= 1 && ramp.permitted <= bound)
      }
      for (let n = 0; n < concurrency * concurrency; n++) ramp.learn('more', ramp.take())
      assert.equal(ramp.permitted, concurrency)
    }),
    { numRuns: 500 },
  )
})
