import assert from 'node:assert/strict'
import { surviveKills } from '../../src/journal/testing/kills.ts'

export const description = 'A journal whose process is killed again and again while it appends and settles. [SECONDS]'

/** The cursor is noted within a second: that, and what the disk takes for it on a busy machine. */
const MOST_LAG_MS = 3_000

export async function prove([seconds]: readonly string[]): Promise<void> {
  const started = performance.now()
  const lasts = Number(seconds ?? 600) * 1_000
  const goOn = () => performance.now() - started < lasts
  const result = await surviveKills({ goOn, random: Math.random })
  console.log(JSON.stringify({ ...result, seconds: Math.round((performance.now() - started) / 1_000) }))
  assert.ok(result.lagMs <= MOST_LAG_MS, `a record was repeated that was settled ${result.lagMs} ms before`)
}
