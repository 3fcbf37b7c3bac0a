import { surviveBrokerKills } from '../e2e/support/kafka.ts'

export const description =
  'Kafka killed under 5,000 random operations, read back with its console consumer. [SEED] [ROUNDS]'

export async function prove([seed, rounds]: readonly string[]): Promise<void> {
  const first = Number(seed ?? Math.floor(Math.random() * 1e6))
  for (let round = 0; round < Number(rounds ?? 2); round++) {
    const result = await surviveBrokerKills({ seed: first + round, operations: 5000, kills: 2 })
    console.log(JSON.stringify({ seed: first + round, ...result }))
  }
}
