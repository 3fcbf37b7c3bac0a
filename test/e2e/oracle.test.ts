/** One shortened seed of each server; `npm run prove -- oracle` plays many, whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playSeed } from './support/oracle-run.ts'

for (const server of ['simulator', 'real'] as const) {
  test(`P1-P6 I1-I9 on the ${server}: whatever is killed, both sinks were told the truth, by their logs alone`, async (t) => {
    const seed = Math.floor(Math.random() * 1e6)
    t.diagnostic(`seed ${seed}`)
    const { problems, ...result } = await playSeed(server, seed, 'short')
    t.diagnostic(JSON.stringify(result))
    assert.deepEqual(problems, [])
    assert.ok(result.kills > 0 && result.delivered > 0)
  })
}
