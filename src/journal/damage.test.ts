/** F40: a journal that is cut, flipped or overwritten at any byte is used as far as it is good, and says what it lost. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { append, mendedRecordsOf, openJournal, recordsOf, temporaryFolder, textsOf } from './testing/kit.ts'

type Record = readonly [number, string]

/** Four records in two segments. */
async function smallLog(folder: string): Promise<readonly Record[]> {
  await using journal = await openJournal(folder, { segmentBytes: 30 })
  for (const text of ['alpha', 'beta!', 'gamma', 'delta']) await append(journal, text)
  return await recordsOf(journal)
}

const segments = async (folder: string) => (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()

/** Opens a damaged copy, uses it and opens it again. */
async function survive(
  whole: { readonly folder: string; readonly records: readonly Record[] },
  name: string,
  damage: (bytes: Buffer) => Buffer,
): Promise<{ readonly lost: readonly Record[]; readonly named: number }> {
  await using copy = await temporaryFolder()
  await cp(whole.folder, copy.path, { recursive: true, filter: (path) => !path.endsWith('lock') })
  const file = join(copy.path, name)
  await writeFile(file, damage(await readFile(file)))
  let found: readonly Record[]
  let named: number
  {
    await using journal = await openJournal(copy.path)
    const mended = await mendedRecordsOf(journal)
    found = mended.records
    named = mended.damage.length
    await append(journal, 'omega')
    assert.deepEqual((await recordsOf(journal)).map(([, text]) => text).at(-1), 'omega')
  }
  await using again = await openJournal(copy.path)
  assert.deepEqual(again.damage, [])
  const after = await recordsOf(again)
  assert.deepEqual(after.slice(0, -1), found, 'what was found once is found again')
  const lost = whole.records.filter(([offset, text]) => !found.some((one) => one[0] === offset && one[1] === text))
  assert.equal(found.length + lost.length, whole.records.length, 'nothing is there that was not written')
  return { lost, named }
}

async function atEveryByte(damage: (bytes: Buffer, at: number) => Buffer) {
  await using folder = await temporaryFolder()
  const whole = { folder: folder.path, records: await smallLog(folder.path) }
  const names = await segments(folder.path)
  assert.equal(names.length, 2)
  const tried: { name: string; at: number; size: number; isLast: boolean; lost: readonly Record[]; named: number }[] =
    []
  for (const [index, name] of names.entries()) {
    const { length: size } = await readFile(join(folder.path, name))
    for (let at = 0; at < size; at++) {
      const outcome = await survive(whole, name, (bytes) => damage(bytes, at))
      tried.push({ name, at, size, isLast: index === names.length - 1, ...outcome })
    }
  }
  return tried
}

const frameBytes = 8 + 5

test('F40 cut at every byte: what stands before is there, later segments too, and the loss is named', async () => {
  for (const { at, isLast, lost, named, name } of await atEveryByte((bytes, at) => bytes.subarray(0, at))) {
    assert.equal(lost.length, 2 - Math.floor(at / frameBytes), `${name} cut at ${at}`)
    // the end of the log at a frame's end is how every log ends
    const isSilent = isLast && at % frameBytes === 0
    assert.equal(named, isSilent ? 0 : 1, `${name} cut at ${at}`)
  }
})

test('F40 one bit flipped at every byte: never read as good, later segments are there, and the loss is named', async () => {
  for (const { at, lost, named, name } of await atEveryByte((bytes, at) => {
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (at % 8)), at)
    return bytes
  })) {
    assert.equal(lost.length, 2 - Math.floor(at / frameBytes), `${name} flipped at ${at}`)
    assert.equal(named, 1, `${name} flipped at ${at}`)
  }
})

test('F40 zeros from every byte to the end: no frames without end, and the loss is named', async () => {
  for (const { at, lost, named, name } of await atEveryByte((bytes, at) => bytes.fill(0, at))) {
    assert.equal(lost.length, 2 - Math.floor(at / frameBytes), `${name} zeros from ${at}`)
    assert.equal(named, 1, `${name} zeros from ${at}`)
  }
})

test('F40 a length of four gigabytes is damage, not memory', async () => {
  await using folder = await temporaryFolder()
  await smallLog(folder.path)
  const [, last = ''] = await segments(folder.path)
  const file = join(folder.path, last)
  const bytes = await readFile(file)
  bytes.writeUInt32LE(0xfffffff0, 0)
  await writeFile(file, bytes)
  await using journal = await openJournal(folder.path)
  assert.deepEqual(
    journal.damage.map(({ type }) => type),
    ['corrupt'],
  )
})

test('F40 a length that has changed in the last segment is damage, not an end that was torn: what stood behind it is named', async () => {
  await using folder = await temporaryFolder()
  {
    await using journal = await openJournal(folder.path)
    for (const text of ['alpha', 'beta!', 'gamma']) await append(journal, text)
  }
  const [only = ''] = await segments(folder.path)
  const file = join(folder.path, only)
  const bytes = await readFile(file)
  bytes.writeUInt32LE(5 + 2 ** 20, frameBytes)
  await writeFile(file, bytes)
  await using journal = await openJournal(folder.path)
  assert.deepEqual(
    journal.damage.map((one) => [one.type, one.type === 'corrupt' && [one.offset, one.to]]),
    [['corrupt', [frameBytes, 3 * frameBytes]]],
  )
})

test('F40 where the end is noted a loss is found by each opening until it is accepted, however much was appended since', async () => {
  await using folder = await temporaryFolder()
  const open = () => openJournal(folder.path, { segmentBytes: 2 ** 20, notesEnd: 'yes' })
  {
    await using journal = await open()
    await append(journal, 'alpha', 'beta!', 'gamma')
    assert.deepEqual([journal.truncation, journal.hasLoss], [undefined, false])
  }
  const [only = ''] = await segments(folder.path)
  await truncate(join(folder.path, only), frameBytes)
  const loss = { type: 'truncated', folder: folder.path, offset: frameBytes, to: 3 * frameBytes }
  for (const text of ['first', 'again', 'third']) {
    await using journal = await open()
    assert.deepEqual([journal.truncation, journal.hasLoss], [loss, true])
    await append(journal, text)
  }
  {
    await using journal = await open()
    await journal.acceptLoss()
    assert.equal(journal.hasLoss, false)
  }
  await using journal = await open()
  assert.deepEqual([journal.truncation, journal.hasLoss], [undefined, false])
  assert.deepEqual(await textsOf(journal), ['alpha', 'first', 'again', 'third'])
})

test('what is set aside is kept as it was; of older damage nothing is', async () => {
  await using folder = await temporaryFolder()
  await smallLog(folder.path)
  const [first = '', last = ''] = await segments(folder.path)
  const flip = async (name: string, at: number) => {
    const bytes = await readFile(join(folder.path, name))
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    await writeFile(join(folder.path, name), bytes)
    return bytes
  }
  const bytes = await flip(first, 10)
  const aside = async () => (await readdir(folder.path)).filter((name) => name.endsWith('.damaged'))
  {
    await using journal = await openJournal(folder.path)
    const { damage } = await mendedRecordsOf(journal)
    const file = join(folder.path, '00000000000000000000.damaged')
    assert.deepEqual(damage, [{ type: 'corrupt', file: join(folder.path, first), offset: 0, to: 26, setAside: [file] }])
    assert.deepEqual(await readFile(file), bytes)
  }
  await flip(last, 20)
  await using _journal = await openJournal(folder.path)
  assert.deepEqual(await aside(), [`${'39'.padStart(20, '0')}.damaged`])
})

test('who needs a log without holes sets everything later aside too, and goes on', async () => {
  await using folder = await temporaryFolder()
  await smallLog(folder.path)
  const [first = ''] = await segments(folder.path)
  const file = join(folder.path, first)
  const bytes = await readFile(file)
  bytes.writeUInt8(7, 14)
  await writeFile(file, bytes)
  await using journal = await openJournal(folder.path)
  const error = await recordsOf(journal).then(
    () => assert.fail('read as if it were good'),
    (error) => error,
  )
  assert.equal(error.name, 'JournalCorrupt')
  const damage = await journal.setAside(error, 'all-later')
  assert.equal(damage.type === 'corrupt' && damage.setAside.length, 2)
  const end = journal.end
  assert.deepEqual(await append(journal, 'omega'), [end])
  assert.deepEqual(await recordsOf(journal), [
    [0, 'alpha'],
    [end, 'omega'],
  ])
})
