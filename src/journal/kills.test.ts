import { test } from 'node:test'
import { surviveKills } from './testing/kills.ts'

test('F32 kill -9 again and again: nothing acknowledged with fsync always is lost, nothing torn is read', async (t) => {
  t.diagnostic(JSON.stringify(await surviveKills(5, Math.random)))
})
