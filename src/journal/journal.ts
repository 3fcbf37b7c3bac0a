/**
 * The one append log on disk.
 *
 *   first segment         ...         last segment, the only one that is written
 *   [settled|frames......][frames....][frames....|
 *            ^ cursor                            ^ end
 *
 * An offset counts bytes since the log began, and is never given twice to frames that were acknowledged. Between two
 * segments there may be a hole, where bytes were set aside. Start reading at `Journal`; how bytes get to the disk is in
 * log-writer.ts.
 */
import type { Clock } from '../lib/clock.ts'
import { Cursor, type Loss } from './cursor.ts'
import { type Corruption, type Damage, JournalCorrupt, type Truncation } from './damage.ts'
import { type Disk, realDisk } from './disk.ts'
import { lockFolder } from './folder-lock.ts'
import { decodeHeader, encodeFrame, HEADER_BYTES, isIntact } from './frame.ts'
import { LogWriter } from './log-writer.ts'
import { repair } from './repair.ts'
import { type Frame, readFrames } from './segment.ts'
import { type SegmentExtent, Segments } from './segments.ts'
import { SerialWork } from './serial-work.ts'

export type { Corruption, Damage, Truncation } from './damage.ts'
export { JournalCorrupt, JournalError } from './damage.ts'
export type { Frame } from './segment.ts'

/**
 * When an append is acknowledged. `always`: it survives the loss of power. `interval`, `none`: it survives the end of the
 * process; of the machine, all but the last second, or what the system has written by itself.
 */
export type Fsync = 'always' | 'interval' | 'none'

export interface JournalOptions {
  /** Made if it is not there; nobody else may use it. */
  readonly folder: string
  readonly clock: Clock
  readonly fsync: Fsync
  /** A segment is not begun anew before. @default 64 MiB */
  readonly segmentBytes?: number
  /** A longer record is refused, and a longer one on disk is damage. @default 16 MiB */
  readonly maxPayloadBytes?: number
  /** How long an append waits for others to share its fsync, in ms. @default 2 */
  readonly groupMs?: number
  /** So many bytes wait no longer. @default 1 MiB */
  readonly groupBytes?: number
  /**
   * Whether it is noted, within a second, how far the log went: then a log that was cut off at the end of a record is
   * told from one that ends there. And whether it is noted that something is lost, before that is mended: then it is
   * found by each opening until `acceptLoss`. @default no
   */
  readonly notesEnd?: 'yes' | 'no'
  /** Told of what fails in the background and is tried again; nothing is lost by it. */
  readonly onFault?: (error: unknown) => void
  /** The cursor, of which that was told, is written. */
  readonly onHealed?: () => void
  /** @default the one of this machine */
  readonly disk?: Disk
}

const CURSOR_EVERY_MS = 1_000

export class Journal implements AsyncDisposable {
  /** What opening it found and mended. */
  readonly damage: readonly Damage[]
  /** Not told where something is corrupt: then the log was cut off on purpose. */
  readonly truncation: Truncation | undefined
  readonly #options: JournalOptions & { readonly maxPayloadBytes: number }
  readonly #disk: Disk
  readonly #lock: AsyncDisposable
  readonly #segments: Segments
  readonly #writer: LogWriter
  /** All that changes files goes through it, one after the other. */
  readonly #work: SerialWork
  readonly #onDisk: Cursor
  #cursor: number
  #cursorFails = false
  #cursorTimer: Disposable | undefined
  #closing: Promise<void> | undefined

  private constructor(options: JournalOptions, found: Found) {
    const { disk, lock, segments, end, onDisk, cursor, damage } = found
    this.#options = { maxPayloadBytes: DEFAULT_MAX_PAYLOAD, ...options }
    this.#disk = disk
    this.#lock = lock
    this.#segments = segments
    this.#onDisk = onDisk
    this.#cursor = cursor
    this.damage = damage
    this.truncation = truncationOf(options.folder, found)
    this.#work = new SerialWork()
    this.#writer = new LogWriter({ ...options, segments, end, work: this.#work })
  }

  /**
   * Reads the last segment to its end and cuts off what is not whole; others are checked when they are read. Rejects if
   * the folder is in use, or the disk refuses.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { folder, disk = realDisk, maxPayloadBytes = DEFAULT_MAX_PAYLOAD } = options
    await disk.makeFolder(folder).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error)
      const wayOut = 'it must be a folder that this process may read and write'
      throw new Error(`${folder} cannot be used (${why}): ${wayOut}`, { cause: error })
    })
    const lock = await lockFolder(folder)
    try {
      const segments = await Segments.find(folder, disk)
      const onDisk = await Cursor.read(folder, disk)
      const noteLoss = (loss: Loss) => noteLossOf(options, onDisk, loss)
      const repaired = await repair(segments, maxPayloadBytes, noteLoss)
      const cursor = Math.max(onDisk.noted?.offset ?? 0, segments.start)
      // a cursor behind the end: what it stood for was never synced, and its offsets are not given again
      const end = Math.max(repaired.end, cursor)
      const to = onDisk.noted?.end ?? end
      if (to > end) await noteLoss({ from: end, to })
      const { damage } = repaired
      return new Journal(options, {
        disk,
        lock,
        segments,
        end,
        onDisk,
        cursor,
        damage: onDisk.damaged === undefined ? damage : [...damage, { type: 'cursor', file: onDisk.damaged }],
      })
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Offset of the first byte that is kept. */
  get start(): number {
    return this.#segments.start
  }

  /** Behind the last acknowledged frame. */
  get end(): number {
    return this.#writer.end
  }

  /** Everything before it is done with. */
  get cursor(): number {
    return this.#cursor
  }

  /** Something that was acknowledged was lost, now or before an earlier opening, and `acceptLoss` has not resolved since. */
  get hasLoss(): boolean {
    return this.#onDisk.loss !== undefined
  }

  /** Offset where the second oldest segment begins; undefined while there is one. */
  get secondSegment(): number | undefined {
    return this.#segments.list[1]
  }

  /**
   * Appends them in this order; resolves with their offsets when they are as durable as `fsync` says. Rejects with a
   * JournalError; then none of them is in the log. What was not awaited is in memory: the caller bounds it. Throws a
   * RangeError for a record that is empty or longer than `maxPayloadBytes`.
   */
  append(payloads: readonly Uint8Array[]): Promise<readonly number[]> {
    const { maxPayloadBytes } = this.#options
    const long = payloads.find(({ length }) => length > maxPayloadBytes)
    if (long) throw new RangeError(`a record of ${long.length} bytes: at most ${maxPayloadBytes} fit`)
    const appended = this.#writer.append(payloads.map(encodeFrame))
    if (this.#options.notesEnd === 'yes') this.#noteLater()
    return appended
  }

  /**
   * What was acknowledged when it was called, from the cursor or `from` on, which is the offset of a frame. Throws
   * JournalCorrupt.
   */
  async *read(from = this.#cursor): AsyncGenerator<readonly Frame[]> {
    const end = this.end
    for (let offset = from; offset < end; ) {
      const extent = this.#segments.extentAt(offset, end)
      if (!extent) return
      yield* this.#readExtent(extent)
      offset = extent.next
    }
  }

  /** The record at the offset of a frame. Rejects with JournalCorrupt. */
  async readAt(offset: number): Promise<Uint8Array> {
    const extent = this.#segments.extentAt(offset, this.end)
    if (!extent || extent.from !== offset) throw new RangeError(`there is no offset ${offset}`)
    const file = await this.#disk.open(extent.file, 'read')
    try {
      const head = new Uint8Array(HEADER_BYTES)
      const length = await file.read(head, offset - extent.first)
      const header = decodeHeader(head.subarray(0, length), this.#options.maxPayloadBytes)
      const payload = new Uint8Array(header?.length ?? 0)
      const found = payload.subarray(0, await file.read(payload, offset - extent.first + HEADER_BYTES))
      if (!header || !isIntact(found, header)) throw new JournalCorrupt(extent.file, offset)
      return payload
    } finally {
      await file.close()
    }
  }

  /**
   * Everything before `offset` is done with: segments below it are deleted. That is noted on disk within a second; after
   * a crash the journal may begin at an earlier offset, and never at a later one.
   */
  advance(offset: number): void {
    if (offset <= this.#cursor) return
    if (offset > this.end) throw new RangeError(`the cursor cannot pass the end, ${this.end}`)
    this.#cursor = offset
    this.#noteLater()
  }

  /**
   * Whatever follows from a loss is in the log: the next opening finds none. Until it resolves each opening finds it,
   * however this one ends, and neither the cursor nor the end is noted.
   */
  async acceptLoss(): Promise<void> {
    await this.#work.run(async () => {
      await this.#writer.endSegment() // synced
      await this.#note()
    })
  }

  /** Deletes the segments below the cursor now. */
  async release(): Promise<void> {
    await this.#work.run(() => this.#segments.deleteBelow(this.#cursor))
  }

  /**
   * Makes a journal readable whose `read` threw: the rest of that segment goes to a file of its own, and with `later`
   * everything behind it too, for who needs a log without holes. Of such files only the newest are kept.
   */
  async setAside({ offset, file }: JournalCorrupt, later: 'keep-later' | 'all-later'): Promise<Corruption> {
    return await this.#work.run(async () => {
      await this.#writer.endSegment() // it may be one of them
      const first = this.#segments.firstOf(offset)
      const next = this.#segments.list.find((one) => one > first)
      const to = later === 'all-later' ? this.end : (next ?? this.end)
      await noteLossOf(this.#options, this.#onDisk, { from: offset, to })
      return { type: 'corrupt', file, offset, to, setAside: await this.#segments.setAside(first, offset, later) }
    })
  }

  /** Acknowledges what was appended, notes the cursor, and gives the folder free. Rejects if the disk refuses that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    this.#cursorTimer?.[Symbol.dispose]()
    try {
      await this.#writer.close()
      await this.#noteCursor()
    } finally {
      await this.#lock[Symbol.asyncDispose]()
    }
  }

  async *#readExtent(extent: SegmentExtent): AsyncGenerator<readonly Frame[]> {
    const file = await this.#disk.open(extent.file, 'read')
    try {
      const { type, offset } = yield* readFrames(file, extent, this.#options.maxPayloadBytes)
      if (type === 'bad') throw new JournalCorrupt(extent.file, offset)
    } finally {
      await file.close()
    }
  }

  #noteLater(): void {
    if (this.#closing !== undefined) return
    this.#cursorTimer ??= this.#options.clock.after(CURSOR_EVERY_MS, () => {
      this.#cursorTimer = undefined
      void this.#noteCursor().then(
        () => {
          if (this.#cursorFails) this.#options.onHealed?.()
          this.#cursorFails = false
        },
        (error: unknown) => {
          this.#cursorFails = true
          this.#options.onFault?.(error)
          this.#noteLater()
        },
      )
    })
  }

  async #noteCursor(): Promise<void> {
    await this.#work.run(async () => {
      if (!this.hasLoss) await this.#note()
    })
  }

  /** The segments first: on a full disk there is room for the cursor only then. */
  async #note(): Promise<void> {
    const offset = this.#cursor
    await this.#segments.deleteBelow(offset)
    const end = this.#options.notesEnd === 'yes' ? this.end : undefined
    await this.#onDisk.note({ offset, end, goneFrom: undefined })
  }
}

const DEFAULT_MAX_PAYLOAD = 16 * 2 ** 20

interface Found {
  readonly disk: Disk
  readonly lock: AsyncDisposable
  readonly segments: Segments
  readonly end: number
  readonly onDisk: Cursor
  readonly cursor: number
  readonly damage: readonly Damage[]
}

async function noteLossOf({ notesEnd }: JournalOptions, cursor: Cursor, loss: Loss): Promise<void> {
  if (notesEnd === 'yes') await cursor.noteLoss(loss)
}

function truncationOf(folder: string, { onDisk: { loss }, damage }: Found): Truncation | undefined {
  if (!loss || damage.some(({ type }) => type === 'corrupt')) return undefined
  return { type: 'truncated', folder, offset: loss.from, to: loss.to }
}
