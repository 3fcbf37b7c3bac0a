/** Where a journal goes on after a restart: one line in a file that is replaced as a whole. */
import { join } from 'node:path'
import { crc32c } from './crc32c.ts'
import { codeOf, type Disk } from './disk.ts'

/** A part of the log that is gone, and that nobody has made up for. */
export interface Loss {
  readonly from: number
  readonly to: number
}

/** What the file says. */
export interface Noted {
  readonly offset: number
  /** So far the log went, for who wants to know whether some of it is gone. */
  readonly end: number | undefined
  /** From here on it is gone. It stands there before anything is done about it: afterwards the log would look whole. */
  readonly goneFrom: number | undefined
}

const NAME = 'cursor'
const MAX_BYTES = 64

export class Cursor {
  /** The file, if it cannot be read: then it says nothing. */
  readonly damaged: string | undefined
  readonly #folder: string
  readonly #disk: Disk
  #noted: Noted | undefined

  private constructor(folder: string, disk: Disk, { noted, damaged }: Pick<Cursor, 'noted' | 'damaged'>) {
    this.#folder = folder
    this.#disk = disk
    this.#noted = noted
    this.damaged = damaged
  }

  static async read(folder: string, disk: Disk): Promise<Cursor> {
    const file = join(folder, NAME)
    await disk.remove(temporaryOf(file))
    const text = await readText(file, disk)
    const noted = text === undefined ? undefined : parse(text)
    return new Cursor(folder, disk, { noted, damaged: text === undefined || noted ? undefined : file })
  }

  /** What the file says; undefined: there is none yet, or it is damaged. */
  get noted(): Noted | undefined {
    return this.#noted
  }

  get loss(): Loss | undefined {
    const { goneFrom: from, end: to = from } = this.#noted ?? {}
    return from === undefined || to === undefined ? undefined : { from, to }
  }

  /** Durable when it resolves; until then, and if it rejects, the old one stands. */
  async note(noted: Noted): Promise<void> {
    const old = this.#noted
    if (old && old.offset === noted.offset && old.end === noted.end && old.goneFrom === noted.goneFrom) return
    const { offset, end, goneFrom } = noted
    const numbers = [offset, end, goneFrom].filter((number) => number !== undefined).join(' ')
    const path = join(this.#folder, NAME)
    const temporary = temporaryOf(path)
    await this.#disk.remove(temporary)
    const file = await this.#disk.open(temporary, 'create')
    try {
      await file.write(Buffer.from(`${numbers} ${checksum(numbers)}\n`), 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#disk.rename(temporary, path)
    await this.#disk.syncFolder(this.#folder)
    this.#noted = noted
  }

  /** Durable when it resolves. One that is noted already says enough: what follows from it is the same. */
  async noteLoss({ from, to }: Loss): Promise<void> {
    if (this.loss) return
    const { offset = 0, end = to } = this.#noted ?? {}
    await this.note({ offset, end: Math.max(end, to), goneFrom: from })
  }
}

function temporaryOf(path: string): string {
  return `${path}.new`
}

/** `0 4096 1024 5ab1f9d2`: the offset, the end and where the loss begins, as far as there are such, and a checksum. */
function parse(text: string): Noted | undefined {
  const [, numbers = '', sum] = /^(\d{1,16}(?: \d{1,16}){0,2}) ([0-9a-f]{8})\n$/.exec(text) ?? []
  const [offset = 0, end, goneFrom] = numbers.split(' ').map(Number)
  return sum === checksum(numbers) && Number.isSafeInteger(offset) ? { offset, end, goneFrom } : undefined
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
