import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'

export interface ScheduleOptions {
  /** Milliseconds between two, ±10 %. */
  readonly everyMs: number
  readonly due: () => void
  readonly clock: Clock
  readonly random: Random
}

/**
 * When the scheduled snapshots of a stream are due, however long each of them takes. The first comes somewhere in the first
 * interval: so those of many streams, which start at one time, are spread over it, and jitter keeps them apart.
 */
export class Schedule implements Disposable {
  readonly #options: ScheduleOptions
  #timer: Disposable | undefined
  #isOver = false

  constructor(options: ScheduleOptions) {
    this.#options = options
  }

  /** Once. */
  start(): void {
    this.#wait(this.#options.random())
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#timer?.[Symbol.dispose]()
  }

  #wait(intervals: number): void {
    const { everyMs, due, clock, random } = this.#options
    if (this.#isOver) return
    this.#timer = clock.after(everyMs * intervals, () => {
      this.#wait(0.9 + 0.2 * random())
      due()
    })
  }
}
