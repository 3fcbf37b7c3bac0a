import { test } from 'node:test'
import { surviveBrokerKills } from './support/kafka.ts'

test('P1 P2 P4 P6 S3 nothing is lost when Kafka is killed twice: keys, headers and order by its own console consumer', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  t.diagnostic(JSON.stringify(await surviveBrokerKills({ seed, operations: 1000, kills: 2 })))
})
