import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readinessOf } from './readiness.ts'

test('ready is: each stream has synced once, each required sink was reached once', () => {
  const stream = { name: 'a/pods', synced: true }
  const sink = { name: 'audit', required: true, reached: 'connected' } as const
  assert.equal(readinessOf([stream], [sink]).ok, true)
  assert.equal(readinessOf([stream, { ...stream, synced: false }], [sink]).ok, false)
  assert.equal(readinessOf([stream], [sink, { ...sink, reached: 'not connected yet' }]).ok, false)
  assert.equal(readinessOf([stream], [sink, { ...sink, required: false, reached: 'not connected yet' }]).ok, true)
})

test('a required sink that has refused everything so far is not ready', () => {
  const sink = { name: 'audit', required: true, reached: 'connected, but has taken nothing yet' } as const
  assert.deepEqual(readinessOf([], [{ ...sink, degraded: 'receiver answered 401' }]), {
    ok: false,
    checks: [
      {
        name: 'sink audit',
        ok: false,
        degraded: true,
        detail: 'connected, but has taken nothing yet, degraded: receiver answered 401',
      },
    ],
  })
})

test('P9 a trouble that comes later is told and changes nothing', () => {
  const readiness = readinessOf(
    [{ name: 'a/pods', synced: true, degraded: '403 pods is forbidden' }],
    [{ name: 'audit', required: true, reached: 'connected', degraded: 'unavailable: connection refused' }],
  )
  assert.deepEqual(readiness, {
    ok: true,
    checks: [
      { name: 'stream a/pods', ok: true, degraded: true, detail: 'synced, degraded: 403 pods is forbidden' },
      { name: 'sink audit', ok: true, degraded: true, detail: 'connected, degraded: unavailable: connection refused' },
    ],
  })
})
