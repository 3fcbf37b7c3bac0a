/**
 * The journal of a spool, as one that never gives up: whatever the disk refuses is told and tried again, until it is
 * closed. What waits on disk in order, and for whom, is in spool.ts.
 */
import type { Disk } from '../journal/disk.ts'
import {
  type Corruption,
  type Damage,
  type Frame,
  type Fsync,
  Journal,
  JournalCorrupt,
  JournalError,
} from '../journal/journal.ts'
import { abortable, sleep } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'

export interface SpoolOptions {
  /** Folder that is its own. */
  readonly path: string
  /** At most so many bytes on disk, but for what was found damaged. */
  readonly bytes: number
  readonly fsync: Fsync
}

/** Called synchronously; must not throw. */
export type SpoolNews =
  /** It is in use, with so many events of an earlier process. */
  | { readonly type: 'opened'; readonly events: number }
  /** What was lost on disk. */
  | { readonly type: 'damaged'; readonly damage: Damage }
  /** A record of another version was found, and is left out. */
  | { readonly type: 'unknown' }
  /** Nothing can be kept at the moment, or read, because of this; it is tried again. */
  | { readonly type: 'failed'; readonly problem: string }
  /** That is over. */
  | { readonly type: 'healed' }

export interface SpoolLogParts {
  readonly options: SpoolOptions
  readonly clock: Clock
  readonly disk?: Disk
  readonly onNews: (news: SpoolNews) => void
  /** There is no room: what is settled is to be told with `advance` now. Returns whether everything is. */
  readonly onFull: () => 'settled' | 'in use'
}

/** Where a record is. */
export interface Extent {
  readonly offset: number
  /** Where the one behind it begins. */
  readonly next: number
}

const RETRY_MS = 5_000
const SEGMENTS = 8
const MAX_SEGMENT_BYTES = 64 * 2 ** 20
/** The same whatever `bytes` is: a spool may be made smaller. */
export const MAX_RECORD_BYTES = 64 * 2 ** 20

export class SpoolLog implements AsyncDisposable {
  readonly #parts: SpoolLogParts
  readonly #stop = new AbortController()
  #journal: Journal | undefined
  /** Of the work that is tried again, each with why. */
  readonly #problems = new Map<symbol, string>()
  #told: string | undefined
  /** Resolves the wait for room. */
  #onRoom: (() => void) | undefined

  constructor(parts: SpoolLogParts) {
    this.#parts = parts
  }

  /** Why nothing can be written or read at the moment. */
  get problem(): string | undefined {
    const [first] = this.#problems.values()
    return first
  }

  /** What the folder takes. */
  get bytes(): number {
    return this.#journal ? this.#journal.end - this.#journal.start : 0
  }

  /** What is given free at once. */
  get segmentBytes(): number {
    return Math.min(Math.ceil(this.#parts.options.bytes / SEGMENTS), MAX_SEGMENT_BYTES)
  }

  /** Where reading begins. */
  get cursor(): number {
    return this.#opened.cursor
  }

  get end(): number {
    return this.#opened.end
  }

  /** Resolves when the folder is in use, however long that takes. Rejects when this is closed before. */
  async open(): Promise<void> {
    const { options, clock, disk, onNews } = this.#parts
    const { path: folder, fsync } = options
    const journal = await this.retried(() =>
      Journal.open({
        folder,
        clock,
        fsync,
        groupMs: 0, // the spool gathers what waits
        segmentBytes: this.segmentBytes,
        maxPayloadBytes: MAX_RECORD_BYTES,
        onFault: (error) => onNews({ type: 'failed', problem: messageOf(error) }),
        ...(disk && { disk }),
      }),
    )
    if (this.#stop.signal.aborted) {
      await journal[Symbol.asyncDispose]()
      throw this.#stop.signal.reason
    }
    this.#journal = journal
    for (const damage of journal.damage) onNews({ type: 'damaged', damage })
  }

  /** Appends them in this order as soon as there is room. Rejects only when this is closed; then none is in it. */
  async append(records: readonly Uint8Array[]): Promise<readonly Extent[]> {
    const journal = this.#opened
    const offsets = await this.retried(async () => {
      await this.#room(records.reduce((sum, { length }) => sum + length, 0))
      return await journal.append(records)
    })
    return offsets.map((offset, index) => ({ offset, next: offsets[index + 1] ?? journal.end }))
  }

  /** What was written when it was called. Throws JournalCorrupt, and what the disk refuses. */
  read(from: number): AsyncGenerator<readonly Frame[]> {
    return this.#opened.read(from)
  }

  /** Everything from the corrupt record on is put away: what comes later must not be told without it. */
  async setAside(error: JournalCorrupt): Promise<Corruption> {
    const damage = await this.retried(() => this.#opened.setAside(error, 'all-later'))
    this.#parts.onNews({ type: 'damaged', damage })
    return damage
  }

  /** Somebody waits for what is settled to be told with `advance`. */
  get isFull(): boolean {
    return this.#onRoom !== undefined
  }

  /** Everything before is settled. */
  advance(offset: number): void {
    const { secondSegment = Number.POSITIVE_INFINITY } = this.#opened
    this.#opened.advance(offset)
    if (offset >= secondSegment || offset === this.end) this.#onRoom?.()
  }

  /** Until it succeeds. Rejects when this is closed, and with JournalCorrupt. */
  async retried<T>(work: () => Promise<T>): Promise<T> {
    const key = Symbol()
    for (;;) {
      this.#stop.signal.throwIfAborted()
      try {
        const result = await work()
        this.#tell(key, undefined)
        return result
      } catch (error) {
        if (error instanceof JournalCorrupt || this.#stop.signal.aborted) throw error
        if (error instanceof RangeError) throw error // a bug: trying again helps nobody
        if (error instanceof JournalError && error.code === 'closed') throw error
        this.#tell(key, messageOf(error))
        await sleep(RETRY_MS, this.#parts.clock, this.#stop.signal)
      }
    }
  }

  /** Whoever waits is rejected; what is being written still is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the spool is closed'))
    try {
      await this.#journal?.[Symbol.asyncDispose]()
    } catch (error) {
      // only the note of how far it is done with is missing: so much is sent again
      this.#parts.onNews({ type: 'failed', problem: messageOf(error) })
    }
  }

  get #opened(): Journal {
    if (!this.#journal) throw new Error('the spool is not open yet')
    return this.#journal
  }

  /** Resolves when so many bytes are below the limit. */
  async #room(bytes: number): Promise<void> {
    const { options, clock, onFull } = this.#parts
    const journal = this.#opened
    const key = Symbol()
    while (journal.end - journal.start + bytes > options.bytes) {
      const use = onFull()
      if ((journal.secondSegment ?? Number.POSITIVE_INFINITY) <= journal.cursor) {
        await journal.release()
        continue
      }
      if (use === 'settled') break // a record that is larger than all the room
      this.#tell(key, `it is full: its limit of ${options.bytes} bytes is reached`)
      const room = Promise.withResolvers<void>()
      this.#onRoom = room.resolve
      using _timer = clock.after(RETRY_MS, room.resolve)
      await abortable(room.promise, this.#stop.signal)
    }
    this.#onRoom = undefined
    this.#tell(key, undefined)
  }

  #tell(key: symbol, problem: string | undefined): void {
    if (problem === undefined) this.#problems.delete(key)
    else this.#problems.set(key, problem)
    const now = this.problem
    if (now === this.#told) return
    this.#told = now
    this.#parts.onNews(now === undefined ? { type: 'healed' } : { type: 'failed', problem: now })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
