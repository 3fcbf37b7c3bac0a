/**
 * A stream over many lives: killed at any point, its server's history cut short or replaced by a backup meanwhile, its
 * sinks away, slow or too small; held against what a consumer of each must have in the end, and must never have seen.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keepLives, type Lives, lives } from './testing/lives.ts'

const runs = 60

for (const keeps of ['ledger', 'nothing'] as const) {
  test(`P1 P2 P3 P4 P5 P6 I1-I6 with ${keeps === 'ledger' ? 'a ledger' : 'no memory'} whatever happens between its lives, in the end every copy is the cluster`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    const total: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(lives, async (history: Lives) => {
        for (const [name, count] of Object.entries(await keepLives(history, keeps))) {
          total[name] = (total[name] ?? 0) + count
        }
      }),
      { numRuns: runs, seed },
    )
    t.diagnostic(JSON.stringify(total))
    const expected =
      keeps === 'ledger' ? ['replay', 'compare', 'announce', 'kills', 'overflows'] : ['announce', 'kills']
    for (const name of expected) assert.ok((total[name] ?? 0) > 0, `${name} happened`)
  })
}
