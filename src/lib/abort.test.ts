import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { abortable, sleep, withTimeout } from './abort.ts'
import { ManualClock } from './manual-clock.ts'

test('P9 what nobody waits for any more may fail, also if the signal had aborted before: no unhandled rejection', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    const work = Promise.withResolvers<never>()
    await assert.rejects(abortable(work.promise, AbortSignal.abort('stopped')), (reason) => reason === 'stopped')
    work.reject(new Error('late'))
    const controller = new AbortController()
    const late = Promise.withResolvers<never>()
    const waiting = abortable(late.promise, controller.signal)
    controller.abort('stopped')
    await assert.rejects(waiting, (reason) => reason === 'stopped')
    late.reject(new Error('late'))
    // Node tells of them after all microtasks
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(unhandled, [])
  } finally {
    process.off('unhandledRejection', note)
  }
})

test('a sleep ends at its time or with the signal, and leaves no timer behind', async () => {
  const clock = new ManualClock()
  const controller = new AbortController()
  const slept = sleep(100, clock, controller.signal)
  await clock.advance(100)
  await slept
  const cut = sleep(100, clock, controller.signal)
  controller.abort('stopped')
  await assert.rejects(cut, (reason) => reason === 'stopped')
  assert.equal(clock.pending, 0)
  await assert.rejects(sleep(100, clock, controller.signal), (reason) => reason === 'stopped')
  assert.equal(clock.pending, 0)
})

test('work is given a signal that aborts after the time-out', async () => {
  const clock = new ManualClock()
  const { signal } = new AbortController()
  const work = withTimeout(50, clock, signal, async (inner) => {
    await once(inner, 'abort')
    return inner.reason as Error
  })
  await clock.advance(50)
  const { name, message } = await work
  assert.deepEqual([name, message], ['TimeoutError', 'no answer within 50 ms'])
})
