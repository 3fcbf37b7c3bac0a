/** F40: a cursor that is cut, flipped or zeroed at any byte costs repetitions, and nothing else. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { append, openJournal, temporaryFolder, textsOf } from './testing/kit.ts'

const damages = {
  cut: (bytes: Buffer, at: number) => bytes.subarray(0, at),
  flipped: (bytes: Buffer, at: number) => {
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (at % 8)), at)
    return bytes
  },
  zeros: (bytes: Buffer, at: number) => bytes.fill(0, at),
  longer: (bytes: Buffer, at: number) => Buffer.concat([bytes, bytes.subarray(0, at + 1)]),
}

for (const [name, damage] of Object.entries(damages)) {
  test(`F40 a cursor that is ${name} at any byte is named and never believed: all is read again`, async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'cursor')
    {
      await using journal = await openJournal(folder.path)
      await append(journal, 'one', 'two')
      journal.advance(11)
    }
    const whole = await readFile(file)
    assert.ok(whole.length > 10)
    for (let at = 0; at < whole.length; at++) {
      await writeFile(file, damage(Buffer.from(whole), at))
      await using journal = await openJournal(folder.path)
      assert.deepEqual(journal.damage, [{ type: 'cursor', file }], `${name} at ${at}`)
      assert.deepEqual(await textsOf(journal), ['one', 'two'])
    }
    await writeFile(file, whole)
    await using journal = await openJournal(folder.path)
    assert.deepEqual(journal.damage, [])
    assert.deepEqual(await textsOf(journal), ['two'])
  })
}

test('F40 a new cursor that a crash left half written changes nothing', async () => {
  await using folder = await temporaryFolder()
  {
    await using journal = await openJournal(folder.path)
    await append(journal, 'one', 'two')
    journal.advance(11)
  }
  const whole = await readFile(join(folder.path, 'cursor'))
  for (let length = 0; length < whole.length; length++) {
    await writeFile(join(folder.path, 'cursor.new'), whole.subarray(0, length))
    await using journal = await openJournal(folder.path)
    assert.deepEqual(journal.damage, [])
    assert.deepEqual(await textsOf(journal), ['two'])
  }
})
