/** The promises of a worker over random histories. Many more of them: `npm run prove -- delivery`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepPromises } from './testing/keep-promises.ts'

test('P1 P2 P3 P4 P5 P6 P7 S15 whatever a target does and whenever it ends, a worker keeps its promises', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const figures = await keepPromises(seed, 200)
  t.diagnostic(JSON.stringify(figures))
  for (const [what, count] of Object.entries(figures)) assert.ok(count > 0, `${what} happened`)
})
