import { test } from 'node:test'
import { judge, measureBigSnapshot } from './support/big-snapshot.ts'

test('I1 P6 a full snapshot of 2,000 objects under updates: every item, true digests, live events in between', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const size = { objects: 2_000, updatesPerSecond: 200, snapshots: 1, secondsAlone: 1 }
  const result = await measureBigSnapshot({ ...size, from: 'store', seed })
  t.diagnostic(JSON.stringify(result))
  judge(result)
})
