import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeliveryError, type DeliveryErrorCode, deliveryErrors } from './errors.ts'

test('each code is about one event, for now or for good, or about the whole sink', () => {
  const codes = Object.keys(deliveryErrors) as DeliveryErrorCode[]
  const of = (name: string) => codes.filter((code) => deliveryErrors[code].class === name)
  assert.deepEqual(of('event'), ['failed', 'timeout', 'conflict'])
  assert.deepEqual(of('permanent'), ['rejected', 'malformed', 'unsupported', 'too-large'])
  assert.deepEqual(of('sink'), ['unavailable', 'unauthorized', 'throttled', 'gone'])
  const forGood = codes.filter((code) => !new DeliveryError(code, '').retryable)
  assert.deepEqual(forGood, of('permanent'))
})

test('the text of an error has at most 1 KiB, whatever the target said', () => {
  assert.equal(new DeliveryError('failed', 'x'.repeat(100_000)).message.length, 1024)
})
