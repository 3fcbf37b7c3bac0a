/** What a disk may do to a journal: F39 and fsyncs that fail. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { append, FaultyDisk, openJournal, temporaryFolder, textsOf } from './testing/kit.ts'

const segmentBytes = 2 ** 20

/** What is in the folder for the next process. */
async function afterRestart(folder: string): Promise<readonly string[]> {
  await using journal = await openJournal(folder)
  return await textsOf(journal)
}

/** It fails so often, then not any more. */
function times(count: number, code: string): () => string | undefined {
  let left = count
  return () => (left-- > 0 ? code : undefined)
}

test('F39 on a full disk an append is refused, leaves nothing behind, and the next one that fits is taken', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  await using journal = await openJournal(folder.path, { disk, segmentBytes })
  await append(journal, 'before')
  const failing = times(1, 'ENOSPC')
  disk.fails = (operation) => (operation === 'write' ? failing() : undefined)
  await assert.rejects(append(journal, 'a record of some length'), {
    name: 'JournalError',
    code: 'full',
    message: 'the disk has no room (ENOSPC)',
  })
  const end = journal.end
  assert.deepEqual(await append(journal, 'after'), [end])
  assert.deepEqual(await textsOf(journal), ['before', 'after'])
  await journal[Symbol.asyncDispose]()
  assert.deepEqual(await afterRestart(folder.path), ['before', 'after'])
})

test('F39 nor does what cannot even be cut off', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  await using journal = await openJournal(folder.path, { disk, segmentBytes })
  await append(journal, 'before')
  disk.fails = (operation) => (operation === 'write' || operation === 'truncate' ? 'ENOSPC' : undefined)
  await assert.rejects(append(journal, 'a record of some length'), { code: 'full' })
  disk.fails = () => undefined
  await append(journal, 'after')
  await journal[Symbol.asyncDispose]()
  assert.deepEqual(await afterRestart(folder.path), ['before', 'after'])
})

/** Only root may mount one; on the disk above, which fails on purpose, the rest is shown to everybody. */
const mayMount = process.getuid?.() === 0

if (mayMount)
  test('F39 on a real file system that gets full, what was acknowledged stays, and deleting makes room', async () => {
    await using folder = await temporaryFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'deltawire-test', folder.path])
    try {
      const texts: string[] = []
      {
        await using journal = await openJournal(folder.path, { segmentBytes: 64 * 1024 })
        const offsets: number[] = []
        const fill = async () => {
          for (let n = 0; ; n++) {
            const text = `${texts.length} ${n} ${'x'.repeat(3_000)}`
            offsets.push(...(await append(journal, text)))
            texts.push(text)
          }
        }
        await assert.rejects(fill(), { name: 'JournalError', code: 'full' })
        assert.ok(texts.length > 50)
        assert.deepEqual(await textsOf(journal), texts)
        journal.advance(offsets[40] ?? 0)
        texts.splice(0, 40)
        await journal.release()
        await append(journal, 'there is room again')
        texts.push('there is room again')
      }
      assert.deepEqual(await afterRestart(folder.path), texts)
    } finally {
      execFileSync('umount', [folder.path])
    }
  })

test('after a failed fsync what was not synced is written to a new segment, and acknowledged only then', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  await using journal = await openJournal(folder.path, { disk, segmentBytes })
  await append(journal, 'before')
  const failing = times(1, 'EIO')
  disk.fails = (operation) => (operation === 'sync' ? failing() : undefined)
  disk.done.length = 0
  assert.deepEqual(await append(journal, 'in doubt'), [14])
  assert.deepEqual(disk.done, ['write', 'sync', 'create', 'syncFolder', 'write', 'sync'])
  await append(journal, 'after')
  assert.deepEqual(await textsOf(journal), ['before', 'in doubt', 'after'])
  await journal[Symbol.asyncDispose]()
  const names = (await readdir(folder.path)).filter((name) => name.endsWith('.log')).sort()
  assert.deepEqual(names, [`${'0'.repeat(20)}.log`, `${'14'.padStart(20, '0')}.log`])
  assert.deepEqual(await afterRestart(folder.path), ['before', 'in doubt', 'after'])
})

test('if the new segment fails too the append is refused, and nothing of it is ever read', async () => {
  for (const operation of ['sync', 'create', 'syncFolder'] as const) {
    await using folder = await temporaryFolder()
    const disk = new FaultyDisk()
    await using journal = await openJournal(folder.path, { disk, segmentBytes })
    await append(journal, 'before')
    disk.fails = (one) => (one === operation || one === 'sync' ? 'EIO' : undefined)
    await assert.rejects(append(journal, 'in doubt'), { code: 'failed', message: 'the disk has failed (EIO)' })
    assert.deepEqual(await textsOf(journal), ['before'])
    disk.fails = () => undefined
    await append(journal, 'after')
    assert.deepEqual(await textsOf(journal), ['before', 'after'])
    await journal[Symbol.asyncDispose]()
    assert.deepEqual(await afterRestart(folder.path), ['before', 'after'], operation)
  }
})

test('with interval a failed fsync loses nothing that was acknowledged: it is written again until that succeeds', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const faults: unknown[] = []
  const onFault = (error: unknown) => faults.push(error)
  await using journal = await openJournal(folder.path, { disk, clock, fsync: 'interval', segmentBytes, onFault })
  await append(journal, 'one', 'two')
  disk.fails = (operation) => (operation === 'sync' || operation === 'create' ? 'EIO' : undefined)
  await clock.advance(1_000)
  await journal.release() // behind the failed sync
  await assert.rejects(append(journal, 'refused'), { code: 'failed' })
  assert.equal(faults.length, 1)
  disk.fails = () => undefined
  await append(journal, 'three')
  await journal[Symbol.asyncDispose]()
  assert.deepEqual(await afterRestart(folder.path), ['one', 'two', 'three'])
})

test('so it is when the disk heals only before the journal is closed', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const journal = await openJournal(folder.path, { disk, clock, fsync: 'interval', segmentBytes })
  await append(journal, 'one', 'two')
  disk.fails = (operation) => (operation === 'sync' || operation === 'create' ? 'EIO' : undefined)
  await clock.advance(1_000)
  await journal.release() // behind the failed sync
  disk.fails = () => undefined
  await journal[Symbol.asyncDispose]()
  assert.deepEqual(await afterRestart(folder.path), ['one', 'two'])
})

test('a cursor that cannot be written is told and tried again', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const faults: unknown[] = []
  await using journal = await openJournal(folder.path, { disk, clock, onFault: (error) => faults.push(error) })
  await append(journal, 'one', 'two')
  disk.fails = (operation) => (operation === 'rename' ? 'EIO' : undefined)
  journal.advance(11)
  await clock.advance(1_000)
  await journal.release()
  assert.equal(faults.length, 1)
  disk.fails = () => undefined
  await clock.advance(1_000)
  await journal.release()
  await journal[Symbol.asyncDispose]()
  assert.deepEqual(await afterRestart(folder.path), ['two'])
})
