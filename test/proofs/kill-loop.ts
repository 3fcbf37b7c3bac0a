import { surviveKillLoop } from '../faults/support/kill-loop.ts'

export const description = 'kill -9 of the bridge in a loop, under load, with its state on a disk. [SEED] [MINUTES]'

export async function prove([given, minutes]: readonly string[]): Promise<void> {
  const seed = Number(given ?? Math.floor(Math.random() * 1e6))
  const end = performance.now() + Number(minutes ?? 10) * 60_000
  const result = await surviveKillLoop({ seed, goOn: () => performance.now() < end })
  console.log(JSON.stringify({ seed, ...result }))
}
