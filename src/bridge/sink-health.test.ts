import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter } from '../delivery/dead-letters.ts'
import { noObserver } from '../delivery/observer.ts'
import { event } from '../delivery/scripted-sink.ts'
import { newHealth, watchHealth } from './sink-health.ts'

const letter: DeadLetter = {
  sink: 'hook',
  code: 'rejected',
  reason: 'receiver answered 400',
  attempts: 1,
  time: '2026-01-01T00:00:00Z',
  event: event('1', 'a'),
}

test('a sink that is reached is connected; what it is sent then decides', () => {
  const health = newHealth()
  const observer = watchHealth(noObserver, health)
  assert.deepEqual(health, { reached: 'not connected yet', degraded: undefined })
  observer.state({ type: 'open' })
  assert.deepEqual(health, { reached: 'connected', degraded: undefined })
  observer.sent('unauthorized')
  observer.state({ type: 'paused', code: 'unauthorized', reason: 'receiver answered 401' })
  assert.deepEqual(health, { reached: 'connected, but has taken nothing yet', degraded: 'receiver answered 401' })
  observer.sent('delivered')
  observer.state({ type: 'open' })
  assert.deepEqual(health, { reached: 'connected', degraded: undefined })
})

test('P9 once it has taken something, a later trouble is told and changes nothing', () => {
  const health = newHealth()
  const observer = watchHealth(noObserver, health)
  observer.state({ type: 'open' })
  observer.sent('delivered')
  observer.sent('unavailable')
  observer.state({ type: 'paused', code: 'unavailable', reason: 'refused' })
  assert.deepEqual(health, { reached: 'connected', degraded: 'refused' })
})

test('while nothing else is delivered the last dead letter is shown', () => {
  const health = newHealth()
  const observer = watchHealth(noObserver, health)
  observer.state({ type: 'open' })
  observer.sent('rejected')
  observer.deadLetter(letter)
  const degraded = 'the last event was given up: receiver answered 400'
  assert.deepEqual(health, { reached: 'connected, but has taken nothing yet', degraded })
  observer.sent('delivered')
  assert.deepEqual(health, { reached: 'connected', degraded: undefined })
})
