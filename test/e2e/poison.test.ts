import { test } from 'node:test'
import { survivePoison } from './support/poison.ts'

test('F45 P1 P2 events that a sink can never take go to the dead letters, and nothing else does; after the fix a replay delivers them', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const retry = { initial: '100ms', max: '500ms', giveUpAfter: '1s' }
  t.diagnostic(JSON.stringify(await survivePoison({ seed, objects: 50, writes: 600, retry })))
})
