import { test } from 'node:test'
import { surviveSinkOutage } from './support/sink-outage.ts'

test('P1 P3 P7 I8 I9 F42 sinks that go away and come back miss nothing that counts, and the one beside them not one version', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const operations = { before: 500, during: 3_000, after: 500 }
  t.diagnostic(JSON.stringify(await surviveSinkOutage({ seed, operations, names: 20 })))
})
