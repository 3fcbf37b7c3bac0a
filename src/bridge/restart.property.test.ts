/**
 * A stream over many lives: killed at any point, its server's history cut short or replaced by a backup meanwhile, its
 * sinks away, failing, slow or too small, and each with a view of its own; held against what a consumer of each must have
 * in the end, and must never have seen.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keepLives } from './testing/keep-lives.ts'
import { knownLives } from './testing/known-lives.ts'
import { livesWith } from './testing/lives.ts'

/** What must have happened, with each store. */
const expected = {
  ledger: ['replay', 'compare', 'announce', 'kill', 'dooms', 'overflows', 'gaps: expired', 'gaps: restored'],
  nothing: ['announce', 'kill', 'overflows', 'gaps: expired'],
} as const

for (const keeps of ['ledger', 'nothing'] as const) {
  test(`S5 P1 P2 P3 P4 P5 P6 I1-I6 with ${keeps === 'ledger' ? 'a ledger' : 'no memory'} whatever happens between its lives, in the end every copy is the cluster`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    const total: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(livesWith(keeps), async (lives) => {
        for (const [name, count] of Object.entries(await keepLives(lives))) total[name] = (total[name] ?? 0) + count
      }),
      { numRuns: 80, seed },
    )
    t.diagnostic(JSON.stringify(total))
    for (const name of expected[keeps]) assert.ok((total[name] ?? 0) > 0, `${name} happened`)
  })
}

for (const [name, lives] of Object.entries(knownLives)) test(`I1 I2 I3 ${name}`, () => keepLives(lives).then(() => {}))
