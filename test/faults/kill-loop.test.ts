import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newSeed } from './support/fault-stand.ts'
import { surviveKillLoop } from './support/kill-loop.ts'

test('F32 I5 kill -9 again and again under load: every version and deletion arrives once by id, in order, and no state is damaged', async (t) => {
  const result = await surviveKillLoop({ seed: newSeed(t), goOn: (kills) => kills < 6 })
  t.diagnostic(JSON.stringify(result))
  assert.ok(result.versions > 0)
  assert.deepEqual([result.lost, result.outOfOrder], [0, 0])
})
