/**
 * State in a folder: a journal of facts.
 *
 *   [ ... older facts | all facts, as they were while this was written | newer facts ...
 *                     ^ cursor
 *
 * When the facts have grown to a multiple of what they say, all of them are written once more at the end, and what
 * stands before is deleted. Nothing is ever replaced in its place, so a crash at any time leaves all of the old or all of
 * the new.
 */
import { codeOf, type Disk } from '../journal/disk.ts'
import { type Damage, type Fsync, Journal, JournalCorrupt, JournalError, type Truncation } from '../journal/journal.ts'
import { Retrying } from '../journal/retrying.ts'
import type { Clock } from '../lib/clock.ts'
import { decodeRecords, encodeRecords, type StateRecord } from './record.ts'
import type { StateStore } from './store.ts'
import { StreamState } from './stream-state.ts'

export interface FileStoreOptions {
  /** Folder that is its own. */
  readonly path: string
  readonly fsync: Fsync
  readonly clock: Clock
  readonly observer: FileStoreObserver
  /** Below this nothing is written once more, in bytes. @default 16 MiB */
  readonly compactFrom?: number
  /** @default the one of this machine */
  readonly disk?: Disk
}

/** Called synchronously; must not throw. */
export interface FileStoreObserver {
  /** It is in use. `objects`: how many the sinks hold, as far as is remembered. */
  opened(found: { readonly streams: number; readonly objects: number }): void
  /** What was lost on disk. But for a torn end, the ledger cannot be relied on: streams start as without one. */
  damaged(damage: Damage | Truncation): void
  /** Nothing can be written or read at the moment, because of this; it is tried again. */
  failed(problem: string): void
  /** That is over. */
  healed(): void
  /** All facts were written once more. */
  compacted(bytes: number): void
}

interface Write {
  readonly records: readonly StateRecord[]
  readonly resolve: (offset: number) => void
  readonly reject: (error: unknown) => void
}

const COMPACT_FROM_BYTES = 16 * 2 ** 20
/** The log may be so many times as long as what it says. */
const COMPACT_AT = 3
/** Records of one frame, or a few more: what others write at the same time waits for no more. */
const RECORDS_AT_ONCE = 2_000

export class FileStore implements StateStore {
  readonly keeps = 'ledger'
  readonly #options: FileStoreOptions
  readonly #stop = new AbortController()
  readonly #opening: Promise<Journal>
  /** As they were read, until somebody asks for them. */
  readonly #found = new Map<string, StreamState>()
  readonly #streams = new Map<string, StreamState>()
  /** What was found lost. */
  readonly #told = new Set<string>()
  #journal: Journal | undefined
  #pending: Write[] = []
  #writing: Promise<void> | undefined
  #compacting = false
  /** The length of the log when it was last written once more. */
  #compactBytes = 0
  readonly #retrying: Retrying

  /** Begins to open the folder, and goes on trying: until it is open, everything waits. */
  constructor(options: FileStoreOptions) {
    const { clock, observer } = options
    const onFailed = (problem: string) => observer.failed(problem)
    this.#options = options
    this.#retrying = new Retrying({ clock, signal: this.#stop.signal, onFailed, onHealed: () => observer.healed() })
    this.#opening = this.#tried(() => this.#open())
    this.#opening.catch(() => undefined) // told to whoever waits for it
  }

  get problem(): string | undefined {
    return this.#retrying.problem ?? (this.#journal ? undefined : 'not open yet')
  }

  async stateOf(stream: string): Promise<StreamState> {
    await this.#opening
    const state = this.#foundOf(stream)
    this.#found.delete(stream)
    this.#streams.set(stream, state)
    return state
  }

  async write(records: readonly StateRecord[]): Promise<void> {
    await Promise.all([...portionsOf(records)].map((portion) => this.#append(portion)))
  }

  /** Who waits for a write is refused; what was durable stays so. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the state store is closed'))
    const journal = await this.#opening.catch(() => undefined) // it was never open
    await this.#writing
    await journal?.[Symbol.asyncDispose]()
  }

  /** Until it succeeds. Who reads why it does not is told which folder it is, and what helps. */
  async #tried<T>(work: () => Promise<T>): Promise<T> {
    const { path } = this.#options
    return await this.#retrying.run(async () => {
      try {
        return await work()
      } catch (error) {
        if (error instanceof RangeError || (error instanceof JournalError && error.code === 'closed')) throw error
        throw new Error(problemOf(error, path), { cause: error })
      }
    })
  }

  #foundOf(stream: string): StreamState {
    let state = this.#found.get(stream)
    if (!state) {
      state = new StreamState(stream)
      this.#found.set(stream, state)
    }
    return state
  }

  async #open(): Promise<Journal> {
    const { path, clock, fsync, disk, observer } = this.#options
    const journal = await Journal.open({
      folder: path,
      clock,
      fsync,
      groupMs: 0, // writes are gathered here
      notesEnd: 'yes',
      onFault: (error) => observer.failed(problemOf(error, path)),
      onHealed: () => observer.healed(),
      ...(disk && { disk }),
    })
    try {
      this.#found.clear() // a try before this one may have got so far
      const lost = [
        ...journal.damage,
        ...(journal.truncation ? [journal.truncation] : []),
        ...(await this.#read(journal)),
      ]
      this.#tellOnce(lost)
      if (journal.hasLoss) await this.#distrust(journal)
    } catch (error) {
      await journal[Symbol.asyncDispose]()
      throw error
    }
    let objects = 0
    for (const { entries } of this.#found.values()) objects += entries.size
    observer.opened({ streams: this.#found.size, objects })
    this.#journal = journal
    return journal
  }

  /** Facts up to the first that cannot be read; what stands behind it may be about things that are not known. */
  async #read(journal: Journal): Promise<readonly Damage[]> {
    try {
      for await (const frames of journal.read()) {
        for (const { offset, payload } of frames) this.#take(this.#decode(payload, offset))
      }
      return []
    } catch (error) {
      if (!(error instanceof JournalCorrupt)) throw error
      return [await journal.setAside(error, 'all-later')]
    }
  }

  /** What is intact and cannot be decoded was written by another version: to this one it is as good as damaged. */
  #decode(payload: Uint8Array, offset: number): readonly StateRecord[] {
    try {
      return decodeRecords(payload)
    } catch {
      throw new JournalCorrupt(this.#options.path, offset)
    }
  }

  #take(records: readonly StateRecord[]): void {
    for (const record of records) this.#foundOf(record.stream).apply(record)
  }

  /**
   * A beginning of the facts is true of an earlier time: its watermarks are too low, which only repeats. Its entries know
   * nothing of what came later, and its debts nothing of what is owed since.
   */
  async #distrust(journal: Journal): Promise<void> {
    for (const state of this.#found.values()) {
      state.entries.clear()
      for (const { name } of state.sinks) if (!state.debts.has(name)) state.debts.set(name, 'missed')
    }
    const start = journal.end
    const all = [...this.#found.values()].flatMap((state) => [...state.records()])
    for (const records of portionsOf(all)) await journal.append([encodeRecords(records)])
    journal.advance(start)
    await journal.acceptLoss() // until then each opening comes here again, however this one ends
  }

  /** A later try finds the same again. */
  #tellOnce(lost: readonly (Damage | Truncation)[]): void {
    for (const damage of lost) {
      const key = JSON.stringify(damage)
      if (!this.#told.has(key)) this.#options.observer.damaged(damage)
      this.#told.add(key)
    }
  }

  #append(records: readonly StateRecord[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ records, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  /** One append after the other, each of all that came meanwhile: so they stay in order, however often one fails. */
  async #writeAll(): Promise<void> {
    try {
      const journal = await this.#opening
      while (this.#pending.length > 0) {
        const group = this.#takeGroup()
        const payload = encodeRecords(group.flatMap(({ records }) => records))
        try {
          const [offset = 0] = await this.#tried(() => journal.append([payload]))
          for (const { resolve } of group) resolve(offset)
        } catch (error) {
          for (const { reject } of group) reject(error)
        }
        this.#compactIfDue(journal)
      }
    } catch (error) {
      for (const { reject } of this.#pending) reject(error)
      this.#pending = []
    }
    this.#writing = undefined
  }

  /** The longest that fits a frame; a write that is longer was cut before. */
  #takeGroup(): readonly Write[] {
    let count = 0
    const end = this.#pending.findIndex(({ records }, index) => {
      count += records.length
      return index > 0 && count > RECORDS_AT_ONCE
    })
    return this.#pending.splice(0, end < 0 ? this.#pending.length : end)
  }

  #compactIfDue(journal: Journal): void {
    const { compactFrom = COMPACT_FROM_BYTES, observer, path } = this.#options
    const length = journal.end - journal.cursor
    if (this.#compacting || length < Math.max(compactFrom, COMPACT_AT * this.#compactBytes)) return
    this.#compacting = true
    void this.#compact(journal)
      .then((bytes) => {
        this.#compactBytes = bytes
        observer.compacted(bytes)
      })
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) observer.failed(problemOf(error, path))
      })
      .finally(() => {
        this.#compacting = false
      })
  }

  /** Also of streams that nobody has asked for: their resource may not be served at the moment. */
  async #compact(journal: Journal): Promise<number> {
    let first: number | undefined
    let last = 0
    for (const state of [...this.#streams.values(), ...this.#found.values()]) {
      for (const records of state.portions(RECORDS_AT_ONCE)) {
        last = await this.#append(records)
        first ??= last
      }
    }
    if (first === undefined) return 0
    journal.advance(first)
    return last - first
  }
}

function* portionsOf(records: Iterable<StateRecord>): Generator<readonly StateRecord[]> {
  let portion: StateRecord[] = []
  for (const record of records) {
    portion.push(record)
    if (portion.length < RECORDS_AT_ONCE) continue
    yield portion
    portion = []
  }
  if (portion.length > 0) yield portion
}

function problemOf(error: unknown, path: string): string {
  const message = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  if (error instanceof JournalError) {
    const wayOut = error.code === 'full' ? 'make room, or give its volume more' : 'look after its volume'
    return `${path}: ${message}: ${wayOut}`
  }
  if (code === undefined) return message // it names the folder
  return `${path} cannot be used (${message}): it must be a folder that this process may read and write`
}
