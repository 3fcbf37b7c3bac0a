/** Where a journal goes on after a restart: one line in a file that is replaced as a whole. */
import { join } from 'node:path'
import { crc32c } from './crc32c.ts'
import { codeOf, type Disk } from './disk.ts'

export type Cursor =
  /** There is none yet: the beginning. */
  | { readonly type: 'new'; readonly offset: number }
  | { readonly type: 'read'; readonly offset: number; readonly end: number | undefined }
  | { readonly type: 'damaged'; readonly offset: number; readonly file: string }

const NAME = 'cursor'
const MAX_BYTES = 64

export async function readCursor(folder: string, disk: Disk): Promise<Cursor> {
  const file = join(folder, NAME)
  await disk.remove(`${file}.new`)
  const text = await readText(file, disk)
  if (text === undefined) return { type: 'new', offset: 0 }
  const [, numbers = '', sum] = /^(\d{1,16}(?: \d{1,16})?) ([0-9a-f]{8})\n$/.exec(text) ?? []
  const [offset = 0, end] = numbers.split(' ').map(Number)
  if (sum !== checksum(numbers) || !Number.isSafeInteger(offset)) return { type: 'damaged', offset: 0, file }
  return { type: 'read', offset, end }
}

/**
 * Durable when it resolves; until then, and if it rejects, the old one stands. `end`: so far the log went, for who wants to
 * know whether some of it is gone.
 */
export async function writeCursor(
  folder: string,
  { offset, end }: { readonly offset: number; readonly end: number | undefined },
  disk: Disk,
): Promise<void> {
  const numbers = end === undefined ? String(offset) : `${offset} ${end}`
  const path = join(folder, NAME)
  const temporary = `${path}.new`
  await disk.remove(temporary)
  const file = await disk.open(temporary, 'create')
  try {
    await file.write(Buffer.from(`${numbers} ${checksum(numbers)}\n`), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(temporary, path)
  await disk.syncFolder(folder)
}

async function readText(path: string, disk: Disk): Promise<string | undefined> {
  try {
    const file = await disk.open(path, 'read')
    try {
      const bytes = Buffer.alloc(MAX_BYTES)
      return bytes.toString('latin1', 0, await file.read(bytes, 0))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function checksum(digits: string): string {
  return crc32c(Buffer.from(digits)).toString(16).padStart(8, '0')
}
