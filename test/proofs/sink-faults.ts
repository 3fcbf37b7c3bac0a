import { surviveSinkFaults } from '../e2e/support/sink-faults.ts'

export const description = 'A sink that is slow, throttles, is out for 30 s and resets connections. [SEED] [ROUNDS]'

export async function prove([seed, rounds]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 1e6))
  for (let round = 0; round < Number(rounds ?? 2); round++) {
    const result = await surviveSinkFaults({ seed: first + round, operations: 1500, outageMs: 30_000 })
    console.log(JSON.stringify({ seed: first + round, ...result }))
  }
}
