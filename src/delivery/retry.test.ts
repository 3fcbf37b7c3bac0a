import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError } from './errors.ts'
import { eventDelay, pauseDelay } from './retry.ts'

const options = { initialMs: 500, maxMs: 300_000, giveUpAfterMs: 3_600_000 }

test('the limit of a delay doubles at each failure up to the maximum, the delay is a part of it', () => {
  for (const [failures, limit] of [
    [1, 500],
    [2, 1000],
    [5, 8000],
    [11, 300_000],
    [2000, 300_000],
  ] as const) {
    assert.equal(
      eventDelay(failures, 0, options, () => 1),
      limit,
    )
    assert.equal(
      eventDelay(failures, 0, options, () => 0.5),
      limit / 2,
    )
  }
})

test('the last delay ends with the budget; a spent budget has no delay', () => {
  assert.equal(
    eventDelay(20, 3_590_000, options, () => 1),
    10_000,
  )
  assert.equal(
    eventDelay(20, 3_600_000, options, () => 1),
    undefined,
  )
})

test('a pause is at least what was asked for, and longer when the back-off says so', () => {
  const throttled = new DeliveryError('throttled', '429', { retryAfterMs: 10_000 })
  assert.equal(
    pauseDelay(throttled, 1, options, () => 0),
    10_000,
  )
  assert.equal(
    pauseDelay(throttled, 1, options, () => 1),
    11_000,
  )
  assert.equal(
    pauseDelay(throttled, 6, options, () => 1),
    16_000,
  )
  assert.equal(
    pauseDelay(new DeliveryError('unavailable', '503', { retryAfterMs: 0 }), 1, options, () => 0),
    0,
  )
})

test('a sink that is out of order is asked again within 30 s, however long it was, unless it asked for more', () => {
  const unavailable = new DeliveryError('unavailable', 'ECONNREFUSED')
  for (const failures of [7, 11, 2000]) {
    assert.equal(
      pauseDelay(unavailable, failures, options, () => 1),
      30_000,
    )
  }
  assert.equal(
    pauseDelay(unavailable, 11, { ...options, maxMs: 2_000 }, () => 1),
    2_000,
  )
  assert.equal(
    pauseDelay(new DeliveryError('throttled', '429', { retryAfterMs: 100_000 }), 11, options, () => 0),
    100_000,
  )
})
