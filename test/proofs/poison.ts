import assert from 'node:assert/strict'
import { type PoisonResult, survivePoison } from '../e2e/support/poison.ts'

export const description =
  '10,000 events, and among them some that one of two sinks can never take; replayed when it can. [SEED] [EVENTS]'

export async function prove([seed, events]: readonly string[]): Promise<void> {
  const options = {
    seed: Number(seed ?? Math.floor(Math.random() * 1e6)),
    objects: 500,
    writes: Number(events ?? 10_000),
    perSecond: 200,
    retry: { giveUpAfter: '10s' },
  }
  const result = await survivePoison(options)
  console.log(JSON.stringify({ seed: options.seed, ...result }))
  console.table(result.latency)
  const ratios = ratiosOf(result)
  console.log(`beside poison, times as long: ${JSON.stringify(ratios)}`)
  assert.ok(ratios.p50 <= 2 && ratios.p99 <= 2, 'what the sink takes waits more than twice as long beside poison')
}

function ratiosOf({ latency: { clean, minds } }: PoisonResult): { readonly p50: number; readonly p99: number } {
  const ratio = (of: 'p50' | 'p99') => Math.round(((minds[of] ?? 0) / (clean[of] ?? 1)) * 100) / 100
  return { p50: ratio('p50'), p99: ratio('p99') }
}
