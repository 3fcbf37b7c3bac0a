import fc from 'fast-check'
import { keepLives } from '../../src/bridge/testing/keep-lives.ts'
import { type Lives, lives } from '../../src/bridge/testing/lives.ts'

export const description =
  'A stream killed at any point, its history cut short or replaced meanwhile, sinks away: copies are the cluster. [SEED] [HISTORIES] [PATH]'

const PROGRESS_EVERY = 1_000

export async function prove([seed, histories, path]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 2 ** 31))
  const total: Record<string, number> = {}
  const began = performance.now()
  let kept = 0
  const property = fc.asyncProperty(lives, async (history: Lives) => {
    for (const [name, count] of Object.entries(await keepLives(history))) total[name] = (total[name] ?? 0) + count
    if (++kept % PROGRESS_EVERY === 0) console.log(`${kept} histories in ${seconds(began)} s`)
  })
  const result = await fc.check(property, {
    seed: first,
    numRuns: Number(histories ?? 20_000),
    ...(path && { path, endOnFailure: true }),
  })
  if (result.failed) {
    console.log(`npm run prove -- restarts ${first} 1 ${result.counterexamplePath}`)
    console.log(JSON.stringify(result.counterexample))
    throw new Error(`history ${result.numRuns} of seed ${first}`, { cause: result.errorInstance })
  }
  console.log(JSON.stringify({ seed: first, histories: kept, seconds: seconds(began), ...total }))
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1000)
}
