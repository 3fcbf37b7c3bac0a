/**
 * How appends get to the disk: those that come within a few milliseconds share one write and one fsync.
 *
 *   append -> pending -> (groupMs or groupBytes) -> write, fsync -> acknowledged
 *
 * After a failed fsync nobody knows what of the file is on the disk, and a second one may say that all is well: the kernel
 * has dropped the pages. So the file is left as it is, and what was not synced goes into a new segment, which begins at
 * the offset where the synced part of the old one ends.
 */
import type { Clock } from '../lib/clock.ts'
import { JournalError } from './damage.ts'
import { codeOf, type DiskFile } from './disk.ts'
import type { Fsync } from './journal.ts'
import type { Segments } from './segments.ts'
import type { SerialWork } from './serial-work.ts'

export interface LogWriterOptions {
  readonly clock: Clock
  readonly fsync: Fsync
  readonly segmentBytes?: number
  readonly groupMs?: number
  readonly groupBytes?: number
  readonly onFault?: (error: unknown) => void
  readonly segments: Segments
  /** Where the next frame goes. */
  readonly end: number
  readonly work: SerialWork
}

interface Append {
  readonly frames: readonly Uint8Array[]
  readonly resolve: (offsets: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

/** The segment that is written. */
interface Active {
  readonly first: number
  readonly file: DiskFile
}

const INTERVAL_MS = 1_000
/** With `interval`, so much is kept in memory until it is synced. */
const MAX_UNSYNCED_BYTES = 8 * 2 ** 20

export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #segmentBytes: number
  readonly #groupMs: number
  readonly #groupBytes: number
  #end: number
  #active: Active | undefined
  /** Everything before it is durable; not kept with `none`. */
  #synced: number
  /** What was written behind that, to be written again if a sync fails. */
  #unsynced: Uint8Array[] = []
  #syncTimer: Disposable | undefined

  #pending: Append[] = []
  #pendingBytes = 0
  #groupTimer: Disposable | undefined
  #committing = false
  #closed = false

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#segmentBytes = options.segmentBytes ?? 64 * 2 ** 20
    this.#groupMs = options.groupMs ?? 2
    this.#groupBytes = options.groupBytes ?? 2 ** 20
    this.#end = options.end
    this.#synced = options.end
  }

  /** Behind the last acknowledged frame. */
  get end(): number {
    return this.#end
  }

  append(frames: readonly Uint8Array[]): Promise<readonly number[]> {
    if (this.#closed) return Promise.reject(new JournalError('closed', 'the journal is closed'))
    return new Promise((resolve, reject) => {
      this.#pending.push({ frames, resolve, reject })
      this.#pendingBytes += sizeOf(frames)
      this.#schedule()
    })
  }

  /** Commits what is pending. Rejects if the last sync fails. */
  async close(): Promise<void> {
    this.#closed = true
    this.#syncTimer?.[Symbol.dispose]()
    this.#begin()
    while (this.#committing) await this.#options.work.run(async () => undefined)
    await this.#options.work.run(() => this.endSegment())
  }

  /** The next append begins a new segment. Called as a piece of `work`. */
  async endSegment(): Promise<void> {
    await this.#sync()
    await this.#abandon()
  }

  #schedule(): void {
    if (this.#committing) return
    if (this.#pendingBytes >= this.#groupBytes || this.#groupMs === 0) this.#begin()
    else this.#groupTimer ??= this.#options.clock.after(this.#groupMs, () => this.#begin())
  }

  /** While one group is on its way the next one gathers. */
  #begin(): void {
    this.#groupTimer?.[Symbol.dispose]()
    this.#groupTimer = undefined
    if (this.#committing || this.#pending.length === 0) return
    this.#committing = true
    const group = this.#takeGroup()
    void this.#options.work.run(async () => {
      try {
        const frames = group.flatMap((one) => one.frames)
        let offset = await this.#commit(Buffer.concat(frames))
        for (const { frames, resolve } of group) {
          const offsets = frames.map((frame) => {
            offset += frame.length
            return offset - frame.length
          })
          resolve(offsets)
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      this.#committing = false
      // those that came meanwhile have waited long enough
      this.#begin()
    })
  }

  #takeGroup(): readonly Append[] {
    let bytes = 0
    const index = this.#pending.findIndex(({ frames }) => {
      bytes += sizeOf(frames)
      return bytes >= this.#groupBytes
    })
    const group = this.#pending.splice(0, index < 0 ? this.#pending.length : index + 1)
    this.#pendingBytes -= group.reduce((sum, { frames }) => sum + sizeOf(frames), 0)
    return group
  }

  /** Resolves with the offset of the first byte. Rejects with a JournalError; then the log is as it was. */
  async #commit(bytes: Uint8Array): Promise<number> {
    const { fsync } = this.#options
    const offset = this.#end
    const before = this.#unsynced.length
    try {
      await this.#write(bytes)
      if (fsync !== 'none') this.#unsynced.push(bytes)
      if (fsync === 'always' || sizeOf(this.#unsynced) > MAX_UNSYNCED_BYTES) await this.#sync()
    } catch (error) {
      this.#unsynced.splice(before)
      throw refusal(error)
    }
    this.#end = offset + bytes.length
    if (fsync === 'interval') this.#syncLater()
    return offset
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { file, first } = await this.#segmentFor(bytes.length)
    try {
      await file.write(bytes, this.#end - first)
    } catch (error) {
      // a part of a frame must not stay: the next one is written over it, and may be shorter
      await file.truncate(this.#end - first).catch(() => this.#abandon())
      if (isFull(error)) throw error
      await this.#abandon()
      const another = await this.#segmentFor(bytes.length)
      await another.file.write(bytes, this.#end - another.first)
    }
  }

  /** The active segment, or a new one if there is none or it is full. */
  async #segmentFor(length: number): Promise<Active> {
    const { first = this.#end } = this.#active ?? {}
    if (this.#end > first && this.#end - first + length > this.#segmentBytes) await this.endSegment()
    this.#active ??= await this.#create()
    return this.#active
  }

  /** Holds from the start what was written to the one before it and not synced. */
  async #create(): Promise<Active> {
    const { segments, fsync } = this.#options
    const first = fsync === 'none' ? this.#end : this.#synced
    const file = await segments.create(first, fsync === 'none' ? 'no-sync' : 'sync')
    try {
      if (this.#unsynced.length > 0) await file.write(Buffer.concat(this.#unsynced), 0)
      return { first, file }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Makes durable what was written, in a new segment if the old one fails. Rejects if the new one fails too. */
  async #sync(): Promise<void> {
    if (this.#unsynced.length === 0) return
    try {
      if (!this.#active) throw new Error('it failed before')
      await this.#active.file.sync()
    } catch {
      await this.#abandon()
      this.#active = await this.#create()
      try {
        await this.#active.file.sync()
      } catch (error) {
        await this.#abandon()
        throw error
      }
    }
    this.#synced += sizeOf(this.#unsynced)
    this.#unsynced = []
  }

  #syncLater(): void {
    if (this.#closed) return
    this.#syncTimer ??= this.#options.clock.after(INTERVAL_MS, () => {
      this.#syncTimer = undefined
      void this.#options.work
        .run(() => this.#sync())
        .catch((error: unknown) => {
          this.#options.onFault?.(refusal(error))
          this.#syncLater()
        })
    })
  }

  /** It is not written any more. */
  async #abandon(): Promise<void> {
    const active = this.#active
    this.#active = undefined
    await active?.file.close().catch(() => undefined) // it has failed already
  }
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0)
}

/** A quota that is used up is a full disk to who writes. */
function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error) ?? '')
}

function refusal(error: unknown): JournalError {
  const code = codeOf(error) ?? String(error)
  return isFull(error)
    ? new JournalError('full', `the disk has no room (${code})`, error)
    : new JournalError('failed', `the disk has failed (${code})`, error)
}
