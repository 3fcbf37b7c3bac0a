import { headlines } from '../e2e/support/headlines.ts'

export const description =
  'What others lose, on a real API server: 5 minutes away, compaction, 410, an emptied cluster, a restored etcd. [CASE] [SECONDS_AWAY] [SEED]'

export async function prove([name, seconds, seed]: readonly string[]): Promise<void> {
  const wanted = Object.entries(headlines).filter(([known]) => name === undefined || known === name)
  if (wanted.length === 0) throw new Error(`there is no case ${name}: ${Object.keys(headlines).join(', ')}`)
  for (const [headline, play] of wanted) {
    const options = {
      seed: Number(seed ?? Math.floor(Math.random() * 1e6)),
      operations: 1_000,
      awayMs: Number(seconds ?? 300) * 1_000,
    }
    console.log(JSON.stringify({ headline, seed: options.seed, ...(await play(options)) }))
  }
}
