import type { Clock } from '../lib/clock.ts'
import type { BatchLimits, Lanes } from './lanes.ts'

export interface BatcherOptions extends BatchLimits {
  /** How long an event waits for others; 0: not at all. */
  readonly lingerMs: number
}

/** Decides when a batch closes: at a number of events, at a number of bytes, or when its first event waited long enough. */
export class Batcher {
  readonly limits: BatcherOptions
  readonly #lanes: Lanes
  readonly #clock: Clock
  readonly #onElapsed: () => void
  #timer: Disposable | undefined
  #elapsed = false

  constructor(limits: BatcherOptions, lanes: Lanes, clock: Clock, onElapsed: () => void) {
    this.limits = limits
    this.#lanes = lanes
    this.#clock = clock
    this.#onElapsed = onElapsed
  }

  /** Whether a batch of what is ready may leave. If not, and something is ready, `onElapsed` is called when it may. */
  mayClose(): boolean {
    const { readyEvents, readyBytes } = this.#lanes
    if (readyEvents === 0) {
      this.reset()
      return false
    }
    const { events, bytes, lingerMs } = this.limits
    if (this.#elapsed || lingerMs === 0 || readyEvents >= events || readyBytes >= bytes) return true
    this.#timer ??= this.#clock.after(lingerMs, () => {
      this.#elapsed = true
      this.#onElapsed()
    })
    return false
  }

  /** The next event starts to wait anew. */
  reset(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    this.#elapsed = false
  }
}
