/** What could not be delivered, kept to be looked at and sent again. In memory here; on disk: dead-letter-journal.ts. */
import type { DeliveryErrorCode, OutboundEvent } from './sink.ts'

/** `lane-full`: it failed and held up more than a quarter of the queue's limit behind it. */
export type DeadLetterCode = DeliveryErrorCode | 'lane-full'

export interface DeadLetter {
  /** Name of the sink that did not get it. */
  readonly sink: string
  readonly code: DeadLetterCode
  /** The message of the last error. */
  readonly reason: string
  /** How often it was sent; 0 if it was refused before. */
  readonly attempts: number
  /** RFC 3339. */
  readonly time: string
  /** As it was offered: `source`, `id` and `type` are in its attributes. */
  readonly event: OutboundEvent
}

/** Where a worker puts what it gives up. */
export interface DeadLetterStore {
  /**
   * The event counts as settled once `add` has returned, or once its promise resolves. Until then what is in the same
   * lane waits. The promise rejects only when the process ends: then the event is not settled.
   */
  add(letter: DeadLetter): void | Promise<void>
}

/** A dead letter in a store. */
export interface KeptDeadLetter extends DeadLetter {
  /** Unique in its store; text to be passed back, nothing to be read from it. */
  readonly id: string
}

export interface DeadLetterQuery {
  /** Only of this sink. */
  readonly sink?: string | undefined
  /** Those behind it. The letter itself need not be there any more. */
  readonly after?: string | undefined
  readonly limit: number
}

/** What people and `dlq` see of a store. Every promise rejects, saying why, while the store cannot be read. */
export interface KeptDeadLetters extends DeadLetterStore {
  /** Oldest first. */
  page(query: DeadLetterQuery): Promise<readonly KeptDeadLetter[]>
  /** Ids, oldest first, of those that are there now. */
  ids(sink?: string): Promise<readonly string[]>
  get(id: string): Promise<KeptDeadLetter | undefined>
  /** They were delivered, or stand in the store again. Resolves when they do not come back after a restart. */
  remove(ids: readonly string[]): Promise<void>
  stats(): DeadLetterStats
}

export interface DeadLetterStats {
  readonly events: number
  /** What they take, roughly. */
  readonly bytes: number
  /** Pushed out by newer ones since the start. */
  readonly dropped: number
  /** Why nothing can be kept at the moment; what is to be kept waits. */
  readonly problem: string | undefined
}

/** Limits of the ring. */
export interface DeadLetterLimits {
  readonly events: number
  /** Of the events' data and attributes, roughly. */
  readonly bytes: number
}

/** Keeps the newest dead letters within its limits; older ones are dropped, and counted. Gone when the process ends. */
export class DeadLetterRing implements KeptDeadLetters {
  readonly #limits: DeadLetterLimits
  readonly #onDrop: () => void
  /** Oldest first. */
  readonly #letters = new Map<string, DeadLetter>()
  #bytes = 0
  #total = 0
  #dropped = 0

  /** `onDrop` is called for each that is pushed out. */
  constructor(limits: DeadLetterLimits = { events: 10_000, bytes: 32 * 2 ** 20 }, onDrop = () => {}) {
    this.#limits = limits
    this.#onDrop = onDrop
  }

  /** How many are kept now. */
  get length(): number {
    return this.#letters.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** How many were added since the start. */
  get total(): number {
    return this.#total
  }

  /** How many of them were pushed out. */
  get dropped(): number {
    return this.#dropped
  }

  add(letter: DeadLetter): void {
    this.#letters.set(String(++this.#total), letter)
    this.#bytes += sizeOf(letter)
    for (const oldest of this.#letters.keys()) {
      if (this.#letters.size <= this.#limits.events && this.#bytes <= this.#limits.bytes) return
      this.#delete(oldest)
      this.#dropped++
      this.#onDrop()
    }
  }

  /** Oldest first. */
  list(): readonly DeadLetter[] {
    return [...this.#letters.values()]
  }

  async page({ sink, after, limit }: DeadLetterQuery): Promise<readonly KeptDeadLetter[]> {
    const found: KeptDeadLetter[] = []
    for (const [id, letter] of this.#letters) {
      if (found.length === limit) break
      if (Number(id) > Number(after ?? 0) && (sink ?? letter.sink) === letter.sink) found.push({ ...letter, id })
    }
    return found
  }

  async ids(sink?: string): Promise<readonly string[]> {
    return [...this.#letters].flatMap(([id, letter]) => ((sink ?? letter.sink) === letter.sink ? [id] : []))
  }

  async get(id: string): Promise<KeptDeadLetter | undefined> {
    const letter = this.#letters.get(id)
    return letter && { ...letter, id }
  }

  async remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#delete(id)
  }

  stats(): DeadLetterStats {
    return { events: this.length, bytes: this.#bytes, dropped: this.#dropped, problem: undefined }
  }

  #delete(id: string): void {
    const letter = this.#letters.get(id)
    if (!letter) return
    this.#letters.delete(id)
    this.#bytes -= sizeOf(letter)
  }
}

/** Attributes are short: 1 KiB stands for them and the reason. */
function sizeOf({ event }: DeadLetter): number {
  return event.dataBytes + 1024
}
