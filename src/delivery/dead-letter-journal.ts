/**
 * Dead letters on disk. They survive a restart, and a crash once `add` has resolved.
 *
 * In memory are only their places. Bounded by dropping the oldest segment of the journal; those that are removed are
 * noted at its end, and its cursor stands at the oldest that is left.
 */
import { type Corruption, type Damage, Journal, JournalCorrupt } from '../journal/journal.ts'
import { Retrying } from '../journal/retrying.ts'
import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type DeadLetterRecord, decodeRecord, encodeLetter, encodeRemoved } from './dead-letter-record.ts'
import type { DeadLetter, DeadLetterQuery, DeadLetterStats, KeptDeadLetter, KeptDeadLetters } from './dead-letters.ts'

export interface DeadLetterJournalOptions {
  /** Folder that is its own. */
  readonly path: string
  /** At most so many bytes on disk, but for what was found damaged. */
  readonly bytes: number
  readonly clock: Clock
  readonly observer: DeadLetterJournalObserver
}

/** Called synchronously; must not throw. */
export interface DeadLetterJournalObserver {
  /** It is in use: with so many dead letters of earlier runs. */
  opened(events: number): void
  /** What was lost on disk. */
  damaged(damage: Damage): void
  /** A record of another version was found, and is left alone. */
  unknown(): void
  /** So many were pushed out by newer ones. */
  dropped(events: number): void
  /** Nothing can be kept at the moment, because of this; it is tried again. */
  failed(problem: string): void
  /** That is over. */
  healed(): void
}

interface Place {
  readonly sink: string
  /** Of the record. */
  readonly bytes: number
}

/** The oldest eighth is what is dropped at once. */
const SEGMENTS = 8
/** The same whatever `bytes` is: a store may be made smaller. */
const MAX_RECORD_BYTES = 64 * 2 ** 20
/** Ids in one record. */
const REMOVED_AT_ONCE = 10_000

export class DeadLetterJournal implements KeptDeadLetters, AsyncDisposable {
  readonly #options: DeadLetterJournalOptions
  readonly #segmentBytes: number
  /** By offset, oldest first. */
  readonly #places = new Map<number, Place>()
  readonly #stop = new AbortController()
  readonly #opening: Promise<Journal>
  readonly #retrying: Retrying
  #journal: Journal | undefined
  #bytes = 0
  #dropped = 0

  /**
   * Begins to open the folder, and goes on trying. Until it is open, `add` and `remove` wait; what reads waits for the first
   * try, and rejects with the problem if that has failed.
   */
  constructor(options: DeadLetterJournalOptions) {
    const { clock, observer } = options
    const onFailed = (problem: string) => observer.failed(problem)
    this.#options = options
    this.#retrying = new Retrying({ clock, signal: this.#stop.signal, onFailed, onHealed: () => observer.healed() })
    this.#segmentBytes = Math.ceil(options.bytes / SEGMENTS)
    this.#opening = this.#retrying.run(() => this.#open())
    this.#opening.catch(() => undefined) // told to whoever waits for it
  }

  async add(letter: DeadLetter): Promise<void> {
    const record = encodeLetter(letter, Math.min(this.#segmentBytes, MAX_RECORD_BYTES))
    const journal = await this.#ready()
    const offset = await this.#retrying.run(async () => {
      await this.#makeRoom(journal, record.length)
      const [offset = 0] = await journal.append([record])
      return offset
    })
    this.#keep(offset, { sink: letter.sink, bytes: record.length })
  }

  async page({ sink, after = '-1', limit }: DeadLetterQuery): Promise<readonly KeptDeadLetter[]> {
    const offsets: number[] = []
    for (const [offset, place] of await this.#known()) {
      if (offsets.length === limit) break
      if (offset > Number(after) && (sink ?? place.sink) === place.sink) offsets.push(offset)
    }
    const letters: KeptDeadLetter[] = []
    for (const offset of offsets) {
      const letter = await this.get(String(offset))
      if (letter) letters.push(letter)
    }
    return letters
  }

  async ids(sink?: string): Promise<readonly string[]> {
    return [...(await this.#known())].flatMap(([offset, place]) =>
      (sink ?? place.sink) === place.sink ? [`${offset}`] : [],
    )
  }

  async get(id: string): Promise<KeptDeadLetter | undefined> {
    const offset = /^\d{1,16}$/.test(id) ? Number(id) : Number.NaN
    if (!(await this.#known()).has(offset)) return undefined
    const record = await this.#read(offset)
    return record?.type === 'letter' ? { ...record.letter, id } : undefined
  }

  async remove(ids: readonly string[]): Promise<void> {
    const journal = await this.#ready()
    const offsets = ids.map(Number).filter((offset) => this.#places.has(offset))
    if (offsets.length === 0) return
    for (const offset of offsets) this.#forget(offset)
    this.#advance(journal)
    // first: on a full disk there is room for the note only then
    await this.#retrying.run(() => journal.release())
    for (let from = 0; from < offsets.length; from += REMOVED_AT_ONCE) {
      const some = offsets.slice(from, from + REMOVED_AT_ONCE)
      await this.#retrying.run(() => journal.append([encodeRemoved(some)]))
    }
    this.#advance(journal)
  }

  stats(): DeadLetterStats {
    const problem = this.#retrying.problem ?? (this.#journal ? undefined : 'not open yet')
    return { events: this.#places.size, bytes: this.#bytes, dropped: this.#dropped, problem }
  }

  /** What was not stored by now is not settled. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the dead letters are closed'))
    const journal = await this.#opening.catch(() => undefined) // it was never open
    await journal?.[Symbol.asyncDispose]()
  }

  async #open(): Promise<Journal> {
    const { path, clock, observer } = this.#options
    const journal = await Journal.open({
      folder: path,
      clock,
      fsync: 'always',
      segmentBytes: this.#segmentBytes,
      maxPayloadBytes: MAX_RECORD_BYTES,
      onFault: (error) => observer.failed(messageOf(error)),
    })
    try {
      for (const damage of journal.damage) observer.damaged(damage)
      this.#places.clear() // a try before this one may have got so far
      this.#bytes = 0
      await this.#index(journal)
      this.#advance(journal)
    } catch (error) {
      await journal[Symbol.asyncDispose]()
      throw error
    }
    this.#journal = journal
    observer.opened(this.#places.size)
    return journal
  }

  async #index(journal: Journal): Promise<void> {
    for (let from = journal.cursor; ; ) {
      try {
        for await (const frames of journal.read(from)) {
          for (const { offset, payload } of frames) this.#take(offset, payload)
        }
        return
      } catch (error) {
        from = (await this.#setAside(journal, error)).to
      }
    }
  }

  #take(offset: number, payload: Uint8Array): void {
    const record = decodeRecord(payload)
    if (!record) this.#options.observer.unknown()
    else if (record.type === 'letter') this.#keep(offset, { sink: record.letter.sink, bytes: payload.length })
    else for (const removed of record.offsets) this.#forget(removed)
  }

  async #read(offset: number): Promise<DeadLetterRecord | undefined> {
    const journal = await this.#ready()
    try {
      return decodeRecord(await journal.readAt(offset))
    } catch (error) {
      if (!this.#places.has(offset)) return undefined // dropped meanwhile
      const { to } = await this.#setAside(journal, error)
      for (const lost of this.#places.keys()) if (lost >= offset && lost < to) this.#forget(lost)
      return undefined
    }
  }

  /** What cannot be read any more is told; the others stay. Rejects with any other error. */
  async #setAside(journal: Journal, error: unknown): Promise<Corruption> {
    if (!(error instanceof JournalCorrupt)) throw error
    const corruption = await journal.setAside(error, 'keep-later')
    this.#options.observer.damaged(corruption)
    return corruption
  }

  async #makeRoom(journal: Journal, bytes: number): Promise<void> {
    for (;;) {
      const next = journal.secondSegment
      if (next === undefined || journal.end - journal.start + bytes <= this.#options.bytes) return
      let dropped = 0
      for (const offset of this.#places.keys()) {
        if (offset >= next) break
        this.#forget(offset)
        dropped++
      }
      this.#dropped += dropped
      if (dropped > 0) this.#options.observer.dropped(dropped)
      journal.advance(next)
      await journal.release()
    }
  }

  #advance(journal: Journal): void {
    const [oldest = journal.end] = this.#places.keys()
    journal.advance(oldest)
  }

  #keep(offset: number, place: Place): void {
    this.#places.set(offset, place)
    this.#bytes += place.bytes
  }

  #forget(offset: number): void {
    const place = this.#places.get(offset)
    if (!place) return
    this.#places.delete(offset)
    this.#bytes -= place.bytes
  }

  /** The places, once they are known. */
  async #known(): Promise<ReadonlyMap<number, Place>> {
    if (!this.#journal) await abortable(this.#retrying.tried, this.#stop.signal)
    if (!this.#journal) throw new Error(`the dead letters cannot be read: ${this.stats().problem}`)
    return this.#places
  }

  #ready(): Promise<Journal> {
    return abortable(this.#opening, this.#stop.signal)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
