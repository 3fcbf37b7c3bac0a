import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { linesOf, startAppender, surviveKills } from './testing/kills.ts'
import { openJournal, temporaryFolder } from './testing/kit.ts'

test('F32 kill -9 again and again: nothing accepted with fsync always is lost, nothing is repeated that the cursor had passed', async (t) => {
  t.diagnostic(JSON.stringify(await surviveKills({ goOn: (kills) => kills < 5, random: Math.random })))
})

for (const [length, below] of [
  ['short', ''],
  ['long', 'path'.repeat(60)],
] as const) {
  test(`F32 two processes never have one folder, and the second has it as soon as the first was killed: a ${length} path`, async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, below)
    const child = startAppender(path, 0)
    const ended = once(child, 'exit')
    try {
      for await (const line of linesOf(child)) if (line.startsWith('appended')) break
      await assert.rejects(openJournal(path), {
        message: `${path} is in use by another process: each needs a folder of its own`,
      })
    } finally {
      child.kill('SIGKILL')
      await ended
    }
    await using journal = await openJournal(path)
    assert.ok(journal.end > 0)
  })
}
