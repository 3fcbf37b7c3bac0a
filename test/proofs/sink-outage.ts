import { surviveSinkOutage } from '../e2e/support/sink-outage.ts'

export const description =
  'Two sinks away for 100,000 operations over some thousand objects, beside one that is well. [SEED] [OPERATIONS]'

export async function prove([seed, during]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 1e6))
  const operations = { before: 5_000, during: Number(during ?? 100_000), after: 5_000 }
  const result = await surviveSinkOutage({ seed: first, operations, names: 100 })
  console.log(JSON.stringify({ seed: first, ...result }))
}
