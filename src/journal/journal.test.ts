import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { append, FaultyDisk, openJournal, recordsOf, temporaryFolder, textsOf } from './testing/kit.ts'

test('what was appended is read in order, at once and after it was opened again', async () => {
  await using folder = await temporaryFolder()
  {
    await using journal = await openJournal(folder.path)
    assert.deepEqual(await append(journal, 'one', 'two'), [0, 11])
    assert.deepEqual(await append(journal, 'three'), [22])
    assert.deepEqual(await textsOf(journal), ['one', 'two', 'three'])
  }
  await using journal = await openJournal(folder.path)
  assert.deepEqual(journal.damage, [])
  await append(journal, 'four')
  const expected = [
    [0, 'one'],
    [11, 'two'],
    [22, 'three'],
    [35, 'four'],
  ]
  assert.deepEqual(await recordsOf(journal), expected)
  assert.equal(Buffer.from(await journal.readAt(22)).toString(), 'three')
  assert.deepEqual([journal.start, journal.end], [0, 47])
})

test('segments end at their limit, are named by their first offset, and only their owner may read them', async () => {
  await using folder = await temporaryFolder()
  await using journal = await openJournal(folder.path)
  for (let n = 0; n < 10; n++) await append(journal, `record ${n} ${'x'.repeat(20)}`)
  const names = (await readdir(folder.path)).filter((name) => name.endsWith('.log'))
  assert.deepEqual(names.sort().slice(0, 2), ['00000000000000000000.log', '00000000000000000074.log'])
  for (const name of names) {
    const { mode, size } = await stat(join(folder.path, name))
    assert.equal(mode & 0o777, 0o600)
    assert.ok(size <= 100)
  }
  assert.equal((await textsOf(journal)).length, 10)
})

test('records much larger than what is read at a time are read whole', async () => {
  await using folder = await temporaryFolder()
  await using journal = await openJournal(folder.path, { segmentBytes: 2 ** 26 })
  const sizes = [1, 2 ** 20 - 20, 3 * 2 ** 20, 5, 2 ** 20, 7]
  await append(journal, ...sizes.map((size) => 'x'.repeat(size)))
  assert.deepEqual(
    (await textsOf(journal)).map(({ length }) => length),
    sizes,
  )
})

test('the cursor is noted within a second, and segments below it are deleted', async () => {
  await using folder = await temporaryFolder()
  const clock = new ManualClock()
  const open = () => openJournal(folder.path, { clock })
  {
    await using journal = await open()
    const offsets: number[] = []
    for (let n = 0; n < 6; n++) offsets.push(...(await append(journal, `record ${n} ${'x'.repeat(60)}`)))
    journal.advance(offsets[3] ?? 0)
    assert.equal(journal.start, 0)
    await clock.advance(1_000)
    await journal.release() // behind the deletion that the clock began
    assert.equal(journal.start, offsets[3])
    assert.deepEqual((await textsOf(journal)).length, 3)
    journal.advance(offsets[4] ?? 0)
  }
  await using journal = await open()
  assert.deepEqual((await textsOf(journal)).length, 2)
  assert.throws(() => journal.advance(10_000), RangeError)
})

test('a cursor that cannot be read is named, and all is read again', async () => {
  await using folder = await temporaryFolder()
  {
    await using journal = await openJournal(folder.path)
    await append(journal, 'one', 'two')
    journal.advance(11)
  }
  const file = join(folder.path, 'cursor')
  for (const text of ['', '11 00000000\n', '11', 'x'.repeat(100)]) {
    await writeFile(file, text)
    await using journal = await openJournal(folder.path)
    assert.deepEqual(journal.damage, [{ type: 'cursor', file }])
    assert.deepEqual(await textsOf(journal), ['one', 'two'])
  }
})

test('a folder is used by one at a time; one that was killed or damaged holds nothing', async () => {
  await using folder = await temporaryFolder()
  {
    await using _first = await openJournal(folder.path)
    await assert.rejects(openJournal(folder.path), {
      message: `${folder.path} is in use by another process: each needs a folder of its own`,
    })
  }
  await writeFile(join(folder.path, 'lock'), 'no socket')
  await using _second = await openJournal(folder.path)
})

test('so is one whose path is longer than that of a socket may be', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'long'.repeat(50), 'path'.repeat(50))
  {
    await using _first = await openJournal(path)
    await assert.rejects(openJournal(path), {
      message: `${path} is in use by another process: each needs a folder of its own`,
    })
    assert.ok((await readdir(path)).includes('lock'))
  }
  assert.ok(!(await readdir(path)).includes('lock'))
  await writeFile(join(path, 'lock'), 'no socket')
  await using _second = await openJournal(path)
})

test('a folder is made with its parents; where none can be made that is said at once', {
  timeout: 10_000,
}, async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'of', 'its own')
  await using _made = await openJournal(path)
  assert.equal((await stat(path)).mode & 0o777, 0o700)
  await writeFile(join(folder.path, 'file'), 'in its place')
  for (const place of [join(folder.path, 'file'), join(folder.path, 'file/x'), '/proc/deltawire/x']) {
    await assert.rejects(
      openJournal(place),
      / cannot be used \(E\w+: .*, mkdir '.*\): it must be a folder that this process may read and write$/,
    )
  }
})

test('a record is neither empty nor longer than the limit', async () => {
  await using folder = await temporaryFolder()
  await using journal = await openJournal(folder.path, { maxPayloadBytes: 10 })
  assert.throws(() => append(journal, ''), RangeError)
  assert.throws(() => append(journal, 'eleven byte'), RangeError)
  assert.deepEqual(await append(journal, 'ten bytes.'), [0])
})

test('appends that come together share one fsync', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  await using journal = await openJournal(folder.path, { disk, clock, groupMs: 2, segmentBytes: 2 ** 20 })
  const first = Array.from({ length: 100 }, (_, n) => append(journal, `first ${n}`))
  await clock.advance(2)
  await Promise.all(first)
  assert.deepEqual(disk.done, ['create', 'syncFolder', 'write', 'sync'])
  assert.equal((await textsOf(journal)).length, 100)
})

test('so many bytes wait for nobody, and those that come meanwhile go together', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock() // which stands still
  const options = { disk, clock, groupMs: 2, groupBytes: 1_000, segmentBytes: 2 ** 20 }
  await using journal = await openJournal(folder.path, options)
  await Promise.all(Array.from({ length: 3 }, (_, n) => append(journal, `${n}${'x'.repeat(1_500)}`)))
  assert.equal(disk.done.filter((one) => one === 'sync').length, 3)
})

test('with interval an append waits for no fsync, and there is one in every second; with none there is none', async () => {
  for (const [fsync, syncs] of [
    ['interval', 1],
    ['none', 0],
  ] as const) {
    await using folder = await temporaryFolder()
    const disk = new FaultyDisk()
    const clock = new ManualClock()
    await using journal = await openJournal(folder.path, { disk, clock, fsync, segmentBytes: 2 ** 20 })
    await append(journal, 'one')
    await append(journal, 'two')
    const count = () => disk.done.filter((one) => one === 'sync').length
    assert.equal(count(), 0)
    await clock.advance(1_000)
    await append(journal, 'behind it')
    assert.equal(count(), syncs, fsync)
  }
})

test('a closed journal takes nothing more, and closing it twice is harmless', async () => {
  await using folder = await temporaryFolder()
  const journal = await openJournal(folder.path)
  const last = append(journal, 'last')
  await journal[Symbol.asyncDispose]()
  await journal[Symbol.asyncDispose]()
  assert.deepEqual(await last, [0])
  await assert.rejects(append(journal, 'late'), { name: 'JournalError', code: 'closed' })
})
