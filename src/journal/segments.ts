/** Which segments a journal has, and what becomes of whole files: found, deleted, set aside. */
import { join } from 'node:path'
import type { Disk, DiskFile } from './disk.ts'
import { HOLE } from './frame.ts'
import { type Extent, firstOffsetOf, segmentName } from './segment.ts'

const ASIDE = '.damaged'
const COPY_BYTES = 2 ** 20

export interface SegmentExtent extends Extent {
  readonly file: string
  /** Where the log goes on behind the segment. */
  readonly next: number
}

export class Segments {
  readonly folder: string
  readonly disk: Disk
  /** First offsets, ascending. */
  #list: readonly number[]

  private constructor(folder: string, disk: Disk, list: readonly number[]) {
    this.folder = folder
    this.disk = disk
    this.#list = list
  }

  static async find(folder: string, disk: Disk): Promise<Segments> {
    const firsts = (await disk.list(folder)).flatMap((name) => firstOffsetOf(name) ?? [])
    return new Segments(
      folder,
      disk,
      firsts.sort((a, b) => a - b),
    )
  }

  get list(): readonly number[] {
    return this.#list
  }

  /** The first offset that is kept; 0 of an empty journal. */
  get start(): number {
    return this.#list[0] ?? 0
  }

  fileOf(first: number): string {
    return join(this.folder, segmentName(first))
  }

  /** First offset of the segment that the offset belongs to. */
  firstOf(offset: number): number {
    return this.#list.findLast((first) => first <= offset) ?? this.start
  }

  /**
   * What of one segment there is to read from `offset` on, if the log ends at `end`; of the next one if `offset` is in a
   * hole. A segment ends where the next one begins, whatever else is in its file.
   */
  extentAt(offset: number, end: number): SegmentExtent | undefined {
    const later = this.#list.findIndex((first) => first > offset)
    const index = Math.max(0, (later < 0 ? this.#list.length : later) - 1)
    const first = this.#list[index]
    if (first === undefined) return undefined
    const next = Math.min(this.#list[index + 1] ?? end, end)
    const from = Math.max(first, offset)
    return { first, file: this.fileOf(first), from, to: Math.max(from, next), next }
  }

  /** A new last segment, durable as a name. Whatever has that name was never acknowledged. */
  async create(first: number, sync: 'sync' | 'no-sync'): Promise<DiskFile> {
    const path = this.fileOf(first)
    await this.disk.remove(path)
    const file = await this.disk.open(path, 'create')
    try {
      if (sync === 'sync') await this.disk.syncFolder(this.folder)
    } catch (error) {
      await file.close()
      throw error
    }
    this.#list = [...this.#list.filter((known) => known < first), first]
    return file
  }

  /** All but the last, as far as they end at or below `offset`. */
  async deleteBelow(offset: number): Promise<void> {
    let deleted = false
    while ((this.#list[1] ?? Number.POSITIVE_INFINITY) <= offset) {
      const [first = 0, ...rest] = this.#list
      await this.disk.remove(this.fileOf(first))
      this.#list = rest
      deleted = true
    }
    if (deleted) await this.disk.syncFolder(this.folder)
  }

  /**
   * What is in this segment from `offset` on is moved to a file of its own, and a hole is left; `also`: so is every later
   * segment. Returns the files. May be done again after a crash in the middle of it. What was set aside before is deleted.
   */
  async setAside(first: number, offset: number, also: 'keep-later' | 'all-later'): Promise<readonly string[]> {
    if (await this.#isBehindHole(first, offset)) return []
    const later = also === 'all-later' ? this.#list.filter((one) => one > first) : []
    const names = [offset, ...later].map((one) => segmentName(one).replace(/\.log$/, ASIDE))
    for (const name of await this.disk.list(this.folder)) {
      if (name.endsWith(ASIDE) && !names.includes(name)) await this.disk.remove(join(this.folder, name))
    }
    const [rest = '', ...moved] = names.map((name) => join(this.folder, name))
    await this.#moveRest(first, offset, rest)
    for (const [index, file] of moved.entries()) await this.disk.rename(this.fileOf(later[index] ?? 0), file)
    this.#list = this.#list.filter((one) => !later.includes(one))
    await this.disk.syncFolder(this.folder)
    return [rest, ...moved]
  }

  /** Somebody has met damage before it, and has set aside this too. */
  async #isBehindHole(first: number, offset: number): Promise<boolean> {
    const file = await this.disk.open(this.fileOf(first), 'read')
    try {
      return first + (await file.size()) < offset
    } finally {
      await file.close()
    }
  }

  /** Copied before it is cut off: at no time is it nowhere. */
  async #moveRest(first: number, offset: number, path: string): Promise<void> {
    const from = await this.disk.open(this.fileOf(first), 'write')
    try {
      await this.disk.remove(path)
      const to = await this.disk.open(path, 'create')
      try {
        await copy(from, offset - first, to)
        await to.sync()
      } finally {
        await to.close()
      }
      await this.disk.syncFolder(this.folder)
      await from.truncate(offset - first)
      await from.write(HOLE, offset - first)
      await from.sync()
    } finally {
      await from.close()
    }
  }
}

async function copy(from: DiskFile, position: number, to: DiskFile): Promise<void> {
  const chunk = new Uint8Array(COPY_BYTES)
  for (let done = 0; ; ) {
    const bytes = chunk.subarray(0, await from.read(chunk, position + done))
    if (bytes.length === 0) return
    await to.write(bytes, done)
    done += bytes.length
  }
}
