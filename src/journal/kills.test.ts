import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { linesOf, startAppender, surviveKills } from './testing/kills.ts'
import { openJournal, temporaryFolder } from './testing/kit.ts'

test('F32 kill -9 again and again: nothing accepted with fsync always is lost, nothing is repeated that the cursor had passed', async (t) => {
  t.diagnostic(JSON.stringify(await surviveKills({ goOn: (kills) => kills < 5, random: Math.random })))
})

test('F32 two processes never have one folder, and the second has it as soon as the first was killed', async () => {
  await using folder = await temporaryFolder()
  const child = startAppender(folder.path, 0)
  const ended = once(child, 'exit')
  try {
    for await (const line of linesOf(child)) if (line.startsWith('appended')) break
    await assert.rejects(openJournal(folder.path), {
      message: `${folder.path} is in use by another process: each needs a folder of its own`,
    })
  } finally {
    child.kill('SIGKILL')
    await ended
  }
  await using journal = await openJournal(folder.path)
  assert.ok(journal.end > 0)
})
