import { keepPromises } from '../../src/delivery/testing/keep-promises.ts'

export const description =
  'A worker over random histories: order, owners, fences, retries, merges, close. [SEED] [ROUNDS]'

export async function prove([seed, rounds]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 1e9))
  const started = performance.now()
  const figures = await keepPromises(first, Number(rounds ?? 2000))
  console.log(JSON.stringify({ seed: first, ...figures, seconds: Math.round((performance.now() - started) / 1000) }))
}
