import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Ledger } from '../state/ledger.ts'
import type { StateRecord } from '../state/record.ts'
import type { StateStore } from '../state/store.ts'
import type { StreamState } from '../state/stream-state.ts'
import type { Output } from './output.ts'

export interface StreamNotesOptions {
  readonly stream: string
  readonly outputs: readonly Output[]
  readonly store: StateStore
  readonly clock: Clock
  /** What could not be noted, and is tried again with the next change. */
  readonly onError: (error: unknown) => void
}

/**
 * What has changed is persisted so late at most. A process that is killed again and again within seconds gets on only by
 * what it has noted.
 */
const NOTED_WITHIN_MS = 200

/**
 * What outlives the process of a stream: what its sinks may hold, have settled, and are owed.
 *
 * Guarantees: that a sink may hold an object is persisted before it is offered; what a sink is owed before the entries
 * that count it as told; and those before the watermark that stands for them.
 */
export class StreamNotes {
  readonly #options: StreamNotesOptions
  #state: StreamState | undefined
  #ledger: Ledger | undefined
  #timer: Disposable | undefined
  #writing: Promise<void> | undefined

  constructor(options: StreamNotesOptions) {
    this.#options = options
  }

  /** As an earlier process has left it, and kept up since. */
  async load(signal: AbortSignal): Promise<StreamState> {
    this.#state ??= await abortable(this.#options.store.stateOf(this.#options.stream), signal)
    return this.#state
  }

  /** From now on it is this one whose entries are persisted. */
  follow(ledger: Ledger): void {
    this.#ledger = ledger
  }

  /** Resolves when these are persisted. */
  async record(records: readonly StateRecord[], signal: AbortSignal): Promise<void> {
    for (const record of records) this.#state?.apply(record)
    await abortable(this.#write(records), signal)
  }

  /** Resolves when all that sinks may hold from now on is persisted. */
  async recordExpected(signal: AbortSignal): Promise<void> {
    const expected = this.#ledger?.takeExpected() ?? []
    if (expected.length > 0) await abortable(this.#write([...this.#takeOwed(), ...expected]), signal)
  }

  /** Persists what has changed since the last time. */
  async note(): Promise<void> {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    // what changes while a disk does not write stays where it is, and is noted once
    while (this.#writing !== undefined) await this.#writing
    if (!this.#ledger) return
    const { stream, outputs } = this.#options
    const owed = this.#takeOwed()
    const notes = outputs.flatMap((output) => output.takeNotes(stream))
    for (const note of notes) this.#state?.apply(note)
    this.#writing = this.#write([...owed, ...this.#ledger.takeChanged(), ...notes])
    try {
      await this.#writing
    } finally {
      this.#writing = undefined
    }
  }

  /** Notes within 0.2 s, if there is somebody who remembers it. */
  noteSoon(): void {
    const { store, clock, onError } = this.#options
    if (store.keeps === 'nothing') return
    this.#timer ??= clock.after(NOTED_WITHIN_MS, () => {
      this.#timer = undefined
      if (this.#writing !== undefined) this.noteSoon()
      else void this.note().catch(onError)
    })
  }

  #takeOwed(): readonly StateRecord[] {
    const { stream, outputs } = this.#options
    const owed = outputs.flatMap((output) => output.takeOwed(stream))
    for (const debt of owed) this.#state?.apply(debt)
    return owed
  }

  async #write(records: readonly StateRecord[]): Promise<void> {
    if (records.length > 0) await this.#options.store.write(records)
  }
}
