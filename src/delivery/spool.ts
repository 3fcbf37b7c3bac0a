/**
 * Events on disk before they are in the queue, so that every one of them outlives the process and no absence of the sink
 * fills the memory.
 *
 *   offer -> window -> written, in the order of the offers -> fed to the queue, if it has room   (`direct`)
 *                                  \                                ^
 *                                   +-> waits on disk -> read back -+                             (`behind`)
 *
 *   [settled|some settled, others in the queue|waits on disk|
 *            ^ cursor                          ^ fedTo       ^ writtenTo
 *
 * From the first event that finds no room on, all wait on disk until those before them have been read back. What is read
 * back has lost its closures, but for markers and gaps of this process: it is never merged, and its smallest form is the
 * only smaller one. Events of an earlier process are read back first. How bytes get to the disk is in spool-log.ts.
 */
import { addAbortListener } from 'node:events'
import type { Disk } from '../journal/disk.ts'
import { type Frame, JournalCorrupt } from '../journal/journal.ts'
import type { Clock } from '../lib/clock.ts'
import { Capacity, type CapacityLimits } from './capacity.ts'
import type { Ack, Entry, Outcome } from './entry.ts'
import type { OutboundEvent } from './sink.ts'
import { contentOf } from './spool-content.ts'
import { type Extent, MAX_RECORD_BYTES, SpoolLog, type SpoolNews, type SpoolOptions } from './spool-log.ts'
import { decodeSpooled, encodeSpooled } from './spool-record.ts'
import { SpooledAcks } from './spooled-acks.ts'

/** What is on disk at one moment. */
export interface SpoolStats {
  /** Written and not settled. */
  readonly events: number
  /** What the folder takes, and its limit. */
  readonly bytes: number
  readonly limitBytes: number
  /** Why nothing can be written or read at the moment. */
  readonly problem: string | undefined
  /** What was damaged is not sent: since the start, in words. */
  readonly damage: string | undefined
}

export interface SpoolParts {
  readonly options: SpoolOptions
  /** What may wait to be written. */
  readonly window: CapacityLimits
  readonly clock: Clock
  readonly disk?: Disk
  /** Whether the queue has room for an event of this size. */
  readonly fits: (bytes: number) => boolean
  /** The queue takes it now, room or not, and calls `settled` once. */
  readonly feed: (entry: Entry) => void
  /** `offeredAt` on the clock's monotonic time. */
  readonly entryOf: (event: OutboundEvent, ack: Ack, offeredAt: number) => Entry
  /** The disk is full: whatever holds it for its own fault is to be given up. */
  readonly onFull: () => void
  /** `isDirect` is true and was not. */
  readonly onDirect: () => void
  /** Nothing waits to be written any more. */
  readonly onWritten: () => void
  readonly onNews: (news: SpoolNews) => void
  /** A bug. */
  readonly onError: (error: unknown) => void
}

interface Pending {
  readonly entry: Entry
  readonly record: Uint8Array
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Bytes of records in one write: so many that an fsync that takes 50 ms is no bottleneck. */
const BATCH_BYTES = 4 * 2 ** 20
const NOTE_EVERY_MS = 100

export class Spool {
  readonly #parts: SpoolParts
  readonly #log: SpoolLog
  readonly #window: Capacity
  readonly #acks = new SpooledAcks()
  /** Resolves with the newest position of each stream, see `positions`. */
  readonly #opening: Promise<ReadonlyMap<string, string>>
  #isOpen = false
  #stopped = false
  #damage: string | undefined

  /** Admitted and not written, in the order of the offers. */
  #pending: Pending[] = []
  #isWriting = false
  #writing: Promise<void> | undefined
  #writtenTo = 0

  /** Offsets of what the queue has, ascending. */
  readonly #unsettled = new Set<number>()
  #fedTo = 0
  #mode: 'direct' | 'behind' = 'direct'
  #waiting = 0
  #isReading = false
  #reading: Promise<void> | undefined
  /** Resolves the reader's wait for room in the queue. */
  #onRoom: (() => void) | undefined
  /** What a stream offered before this offset is void. */
  readonly #voidBefore = new Map<string, number>()
  #noteTimer: Disposable | undefined

  /** Begins to open the folder, and goes on trying: until it is open, offers wait. */
  constructor(parts: SpoolParts) {
    this.#parts = parts
    const { options, clock, disk, onNews } = parts
    this.#window = new Capacity(parts.window)
    this.#log = new SpoolLog({
      options,
      clock,
      ...(disk && { disk }),
      onNews: (news) => {
        if (news.type === 'damaged' && news.damage.type === 'corrupt') {
          this.#damage = `${news.damage.file} was damaged, and is set aside with what was written later`
        }
        onNews(news)
      },
      onFull: () => {
        parts.onFull()
        this.#note()
        return this.#waiting === 0 && this.#unsettled.size === 0 ? 'settled' : 'in use'
      },
    })
    this.#opening = this.#open()
    this.#opening.catch((error: unknown) => this.#fail(error))
  }

  /** It is open, and nothing waits on disk for room in the queue. */
  get isDirect(): boolean {
    return this.#isOpen && this.#mode === 'direct'
  }

  /** Admitted and not written. */
  get unwritten(): number {
    return this.#pending.length
  }

  /** Written, and not in the queue. */
  get waiting(): number {
    return this.#waiting
  }

  /** Written and not settled. */
  get events(): number {
    return this.#waiting + this.#unsettled.size
  }

  /** Offers that wait to be admitted. */
  get blockedOffers(): number {
    return this.#window.waiting
  }

  /**
   * Of each stream that an earlier process has left something of: the sequence of the last event. Everything that the
   * stream offered at lower ones is settled, or in here. Resolves once that is known.
   */
  get positions(): Promise<ReadonlyMap<string, string>> {
    return this.#opening
  }

  stats(): SpoolStats {
    const problem = this.#log.problem ?? (this.#isOpen ? undefined : 'it is not open yet')
    const { bytes: limitBytes } = this.#parts.options
    return { events: this.events, bytes: this.#log.bytes, limitBytes, problem, damage: this.#damage }
  }

  /**
   * Resolves when the event is admitted: it will be written, in the order of these calls, unless the process ends.
   * Rejects with `signal.reason`, or that of `drain`; then it is not.
   */
  enqueue(entry: Entry, signal: AbortSignal): Promise<void> {
    return this.#admit(entry, signal, { resolve() {}, reject() {} })
  }

  /**
   * Resolves when the event is on disk, as durably as `fsync` says. Rejects as `enqueue`, or when the spool is closed
   * before; then `ack` is never called, although an event that was about to be written may be sent.
   */
  async offer(entry: Entry, signal: AbortSignal): Promise<void> {
    const written = Promise.withResolvers<void>()
    await this.#admit(entry, signal, written)
    using _aborted = addAbortListener(signal, () => {
      entry.mute()
      written.reject(signal.reason)
    })
    await written.promise
  }

  /** For one that is given up before it is written: it takes its place among those, until it is settled. */
  admitUnwritten(bytes: number, admit: () => void, signal: AbortSignal): Promise<void> {
    return this.#window.enter(bytes, admit, signal)
  }

  /** An event that the queue had, or that was admitted with `admitUnwritten`. Called after its room was given back. */
  settled({ offset, bytes }: Entry): void {
    if (offset === undefined) {
      this.#window.release(bytes)
      return
    }
    this.#unsettled.delete(offset)
    if (this.#log.isFull) this.#note()
    else this.#noteLater()
    this.#onRoom?.()
  }

  /** Admits no more; who waits is refused with `reason`. What was admitted is still written. */
  drain(reason: unknown): void {
    this.#window.close(reason)
  }

  /** Feeds nothing any more. */
  stop(): void {
    this.#stopped = true
    this.#noteTimer?.[Symbol.dispose]()
    this.#onRoom?.()
  }

  /** After `stop`: waits for what is being written, and gives the folder free. What was not written is nowhere. */
  async close(): Promise<void> {
    this.stop()
    if (this.#isOpen) this.#note()
    await this.#log[Symbol.asyncDispose]()
    await Promise.allSettled([this.#opening, this.#writing, this.#reading])
    for (const { reject } of this.#pending) reject(new Error('the spool is closed'))
  }

  async #open(): Promise<ReadonlyMap<string, string>> {
    await this.#log.open()
    const { events, positions, voidBefore } = await contentOf(this.#log)
    this.#waiting = events
    for (const [stream, offset] of voidBefore) this.#voidBefore.set(stream, offset)
    this.#fedTo = this.#log.cursor
    this.#writtenTo = this.#log.end
    this.#isOpen = true
    this.#parts.onNews({ type: 'opened', events: this.#waiting })
    if (this.#waiting > 0) this.#fallBehind()
    else this.#parts.onDirect()
    this.#write()
    return positions
  }

  async #admit(entry: Entry, signal: AbortSignal, { resolve, reject }: Pick<Pending, 'resolve' | 'reject'>) {
    const admit = () => {
      const at = this.#parts.clock.now().getTime()
      const record = encodeSpooled(entry.event, at, MAX_RECORD_BYTES)
      this.#pending.push({ entry, record, resolve, reject })
      this.#write()
    }
    await this.#window.enter(entry.bytes, admit, signal)
  }

  #write(): void {
    if (!this.#isOpen || this.#isWriting || this.#pending.length === 0) return
    this.#isWriting = true
    this.#writing = this.#writeAll().catch((error: unknown) => this.#fail(error))
  }

  /** Those that come while a write is on its way share the next one. */
  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#nextBatch()
      const extents = await this.#log.append(batch.map(({ record }) => record))
      this.#pending.splice(0, batch.length)
      for (const [index, { entry, resolve }] of batch.entries()) {
        this.#written(entry, extents[index] as Extent)
        resolve()
      }
    }
    this.#isWriting = false
    this.#parts.onWritten()
  }

  #nextBatch(): readonly Pending[] {
    const limit = Math.min(BATCH_BYTES, this.#log.segmentBytes)
    let bytes = 0
    const end = this.#pending.findIndex(({ record }, index) => {
      bytes += record.length
      return bytes > limit && index > 0
    })
    return this.#pending.slice(0, end < 0 ? this.#pending.length : end)
  }

  #written(entry: Entry, { offset, next }: Extent): void {
    const { stream, supersedes } = entry.offered
    this.#writtenTo = next
    if (supersedes) this.#voidBefore.set(stream, offset)
    this.#window.release(entry.bytes)
    if (this.#mode === 'direct' && !this.#stopped && this.#parts.fits(entry.bytes)) {
      this.#feed(entry, { offset, next })
      return
    }
    this.#waiting++
    this.#acks.add(entry, offset)
    this.#fallBehind()
  }

  #feed(entry: Entry, { offset, next }: Extent): void {
    entry.offset = offset
    this.#unsettled.add(offset)
    this.#fedTo = next
    this.#parts.feed(entry)
  }

  #fallBehind(): void {
    this.#mode = 'behind'
    if (this.#isReading || this.#stopped) return
    this.#isReading = true
    this.#reading = this.#readBack().catch((error: unknown) => this.#fail(error))
  }

  async #readBack(): Promise<void> {
    while (this.#mode === 'behind' && !this.#stopped) {
      try {
        await this.#log.retried(() => this.#readOn())
      } catch (error) {
        if (!(error instanceof JournalCorrupt)) throw error
        await this.#lose(error)
      }
      if (this.#fedTo >= this.#writtenTo) this.#mode = 'direct'
    }
    this.#isReading = false
    if (this.isDirect) this.#parts.onDirect()
  }

  /** Feeds what is written by now, as there is room. */
  async #readOn(): Promise<void> {
    const to = this.#writtenTo
    for await (const frames of this.#log.read(this.#fedTo)) {
      for (const frame of frames) {
        if (frame.offset >= to) return // on disk, and its writer does not know yet
        const entry = this.#entryAt(frame)
        while (entry && !this.#isVoid(entry, frame) && !this.#parts.fits(entry.bytes)) {
          if (this.#stopped) return
          await this.#room()
        }
        if (this.#stopped) return
        this.#waiting--
        if (entry && !this.#isVoid(entry, frame)) {
          this.#feed(entry, frame)
          continue
        }
        entry?.ack({ type: 'dropped' })
        this.#fedTo = frame.next
        this.#noteLater()
      }
    }
    this.#fedTo = Math.max(this.#fedTo, to) // what lies in between was set aside once
  }

  #isVoid({ offered: { stream } }: Entry, { offset }: Extent): boolean {
    return offset < (this.#voidBefore.get(stream) ?? 0)
  }

  /** Undefined if it is of a version that this program does not know. */
  #entryAt({ offset, payload }: Frame): Entry | undefined {
    const kept = this.#acks.takeEntry(offset)
    if (kept) return kept
    const { clock, entryOf, onNews } = this.#parts
    const record = decodeSpooled(payload)
    if (!record) {
      onNews({ type: 'unknown' })
      return undefined
    }
    const { event, at } = record
    const shared = this.#acks.takeAck(event.stream, offset)
    const offeredAt = new Date(at).toISOString()
    const ack = (outcome: Outcome) => shared?.settle(event, outcome, offeredAt)
    const age = Math.max(0, clock.now().getTime() - at)
    return entryOf(event, ack, clock.monotonic() - age)
  }

  async #room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onRoom = resolve
    await promise
    this.#onRoom = undefined
  }

  /** The disk has lost what was not read back yet. What was written meanwhile is lost too, and nothing after it. */
  async #lose(error: JournalCorrupt): Promise<void> {
    const { to } = await this.#log.setAside(error)
    this.#fedTo = Math.max(this.#fedTo, to)
    this.#waiting = 0
    this.#acks.loseAll()
    this.#noteLater()
  }

  /** Only what is rejected because the spool is closed is none. */
  #fail(error: unknown): void {
    if (!this.#stopped) this.#parts.onError(error)
  }

  #noteLater(): void {
    if (this.#stopped) return
    this.#noteTimer ??= this.#parts.clock.after(NOTE_EVERY_MS, () => {
      this.#noteTimer = undefined
      this.#note()
    })
  }

  /** Everything before the first that the queue has is settled. */
  #note(): void {
    const [oldest = this.#fedTo] = this.#unsettled
    this.#log.advance(oldest)
  }
}
