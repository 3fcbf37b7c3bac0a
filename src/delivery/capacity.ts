import { addAbortListener } from 'node:events'

/** Limits of a queue. */
export interface CapacityLimits {
  readonly events: number
  readonly bytes: number
}

/** Above this part of a limit the queue is filling up, */
const FULL_SHARE = 1 / 2
/** and below this part of both it is not any more. */
const FREE_SHARE = 1 / 4

interface Waiter {
  readonly bytes: number
  readonly admit: () => void
  readonly refuse: (reason: unknown) => void
}

const admitted = Promise.resolve()

/**
 * Room for events, in number and bytes: from when one is admitted until it is released. Who finds no room waits in
 * line; nobody overtakes. One that is larger than all the room is admitted when there is nothing else.
 */
export class Capacity {
  readonly #limits: CapacityLimits
  readonly #waiters = new Set<Waiter>()
  #events = 0
  #bytes = 0
  #closed: { readonly reason: unknown } | undefined

  constructor(limits: CapacityLimits) {
    this.#limits = limits
  }

  get events(): number {
    return this.#events
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whoever waits for room. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Calls `admit` once there is room, before anyone behind is admitted, and resolves; at once if it can.
   * Rejects with `signal.reason`, or with the reason of `close`; then `admit` is never called.
   */
  enter(bytes: number, admit: () => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#closed) return Promise.reject(this.#closed.reason)
    if (this.#waiters.size === 0 && this.fits(bytes)) {
      this.#admit(bytes, admit)
      return admitted
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter)
        listener[Symbol.dispose]()
      }
      const waiter: Waiter = {
        bytes,
        admit: () => {
          leave()
          this.#admit(bytes, admit)
          resolve()
        },
        refuse: (reason) => {
          leave()
          reject(reason)
        },
      }
      const listener = addAbortListener(signal, () => {
        waiter.refuse(signal.reason)
        this.#admitNext() // a large one may have stood before smaller ones
      })
      this.#waiters.add(waiter)
    })
  }

  /** Whether there is room for one more of this size. */
  fits(bytes: number): boolean {
    if (this.#events === 0) return true
    return this.#events < this.#limits.events && this.#bytes + bytes <= this.#limits.bytes
  }

  /** Admits one without asking for room: the caller makes some, if `excess` says so. */
  admit(bytes: number): void {
    this.#events++
    this.#bytes += bytes
  }

  /** Which limit is exceeded; one event alone exceeds none. */
  get excess(): 'events' | 'bytes' | undefined {
    if (this.#events > this.#limits.events) return 'events'
    return this.#bytes > this.#limits.bytes && this.#events > 1 ? 'bytes' : undefined
  }

  get isFilling(): boolean {
    return this.#events >= this.#limits.events * FULL_SHARE || this.#bytes >= this.#limits.bytes * FULL_SHARE
  }

  get isFree(): boolean {
    if (this.#events === 0) return true
    return this.#events < this.#limits.events * FREE_SHARE && this.#bytes < this.#limits.bytes * FREE_SHARE
  }

  /** One admitted event is done with. */
  release(bytes: number): void {
    this.#events--
    this.#bytes -= bytes
    this.#admitNext()
  }

  /** An admitted event changed its size. */
  resize(from: number, to: number): void {
    this.#bytes += to - from
    if (to < from) this.#admitNext()
  }

  /** Refuses everybody who waits, and who comes later. */
  close(reason: unknown): void {
    this.#closed ??= { reason }
    for (const waiter of [...this.#waiters]) waiter.refuse(this.#closed.reason)
  }

  #admit(bytes: number, admit: () => void): void {
    this.admit(bytes)
    admit()
  }

  #admitNext(): void {
    for (const waiter of this.#waiters) {
      if (!this.fits(waiter.bytes)) return
      waiter.admit()
    }
  }
}
