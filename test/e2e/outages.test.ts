import assert from 'node:assert/strict'
import { test } from 'node:test'
import { surviveOutages } from './support/outages.ts'

test('P3 P5 F01 F06 nothing is lost when the API server is killed and when history is compacted away', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const result = await surviveOutages({ seed, operations: 1500, kills: 3 })
  t.diagnostic(JSON.stringify(result))
  assert.ok(result.delivered > 0)
})
