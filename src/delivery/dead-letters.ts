/** What could not be delivered, kept in memory for people to look at. */
import { Fifo } from './fifo.ts'
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

/** Where a worker puts what it gives up. The event counts as settled once `add` has returned. */
export interface DeadLetterStore {
  add(letter: DeadLetter): void
}

/** Limits of the ring. */
export interface DeadLetterLimits {
  readonly events: number
  /** Of the events' data and attributes, roughly. */
  readonly bytes: number
}

/** Keeps the newest dead letters within its limits; older ones are dropped, and counted. Gone when the process ends. */
export class DeadLetterRing implements DeadLetterStore {
  readonly #limits: DeadLetterLimits
  readonly #letters = new Fifo<DeadLetter>()
  #bytes = 0
  #total = 0

  constructor(limits: DeadLetterLimits = { events: 1000, bytes: 16 * 2 ** 20 }) {
    this.#limits = limits
  }

  /** How many are kept now. */
  get length(): number {
    return this.#letters.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** How many were added since the start. */
  get total(): number {
    return this.#total
  }

  /** How many of them are not kept any more. */
  get dropped(): number {
    return this.#total - this.#letters.length
  }

  add(letter: DeadLetter): void {
    this.#total++
    this.#letters.push(letter)
    this.#bytes += sizeOf(letter)
    while (this.#letters.length > this.#limits.events || this.#bytes > this.#limits.bytes) {
      const oldest = this.#letters.shift()
      if (!oldest) break
      this.#bytes -= sizeOf(oldest)
    }
  }

  /** Oldest first. */
  list(): readonly DeadLetter[] {
    return this.#letters.toArray()
  }
}

/** Attributes are short: 1 KiB stands for them and the reason. */
function sizeOf({ event }: DeadLetter): number {
  return event.dataBytes + 1024
}
