import { test } from 'node:test'
import { surviveSinkFaults } from './support/sink-faults.ts'

test('P1 P2 P7 F42 F43 F51 a slow, throttling, failing and resetting sink loses nothing and mixes up no object', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  t.diagnostic(JSON.stringify(await surviveSinkFaults({ seed, operations: 300, outageMs: 3_000 })))
})
