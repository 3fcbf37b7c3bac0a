import fc from 'fast-check'
import { keepLives } from '../../src/bridge/testing/keep-lives.ts'
import { lives } from '../../src/bridge/testing/lives.ts'

export const description =
  'A stream killed at any point, its history cut short or replaced meanwhile, sinks away: copies are the cluster. [SEED] [HISTORIES]'

export async function prove([seed, histories, path]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 2 ** 31))
  const total: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(lives, async (history) => {
      for (const [name, count] of Object.entries(await keepLives(history))) {
        total[name] = (total[name] ?? 0) + count
      }
    }),
    { seed: first, numRuns: Number(histories ?? 20_000), ...(path && { path }) },
  )
  console.log(JSON.stringify({ seed: first, ...total }))
}
