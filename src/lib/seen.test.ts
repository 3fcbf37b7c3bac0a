import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seen } from './seen.ts'

test('each of 50,000 texts is new once, also while the table grows', () => {
  const seen = new Seen()
  for (let n = 0; n < 50_000; n++) {
    assert.ok(seen.add(`uid-${n}`), `${n} is new`)
    const earlier = Math.floor(n / 2)
    assert.ok(!seen.add(`uid-${earlier}`), `${earlier} was seen`)
  }
})
