import { surviveOutages } from '../e2e/support/outages.ts'

export const description =
  'API server killed and history compacted away under 6,000 random operations; every second one has no WatchList. [SEED] [ROUNDS]'

export async function prove([seed, rounds]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 1e6))
  for (let round = 0; round < Number(rounds ?? 3); round++) {
    const lists = round % 2 === 0 ? 'streamed' : 'paged'
    const result = await surviveOutages({ seed: first + round, operations: 6000, kills: 6, lists })
    console.log(JSON.stringify({ seed: first + round, lists, ...result }))
  }
}
