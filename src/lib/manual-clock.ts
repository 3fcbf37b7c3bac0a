import type { Clock } from './clock.ts'

interface Timer {
  readonly due: number
  readonly order: number
  readonly callback: () => void
}

/** A clock that stands still until a test advances it. */
export class ManualClock implements Clock {
  #elapsed = 0
  #order = 0
  readonly #start: number
  readonly #timers = new Set<Timer>()

  constructor(start = '2026-01-01T00:00:00Z') {
    this.#start = Date.parse(start)
  }

  /** Timers that have not fired yet: lets a test await that somebody waits. */
  get pending(): number {
    return this.#timers.size
  }

  monotonic(): number {
    return this.#elapsed
  }

  now(): Date {
    return new Date(this.#start + this.#elapsed)
  }

  after(delayMs: number, callback: () => void): Disposable {
    const timer = { due: this.#elapsed + Math.max(delayMs, 0), order: this.#order++, callback }
    this.#timers.add(timer)
    return { [Symbol.dispose]: () => this.#timers.delete(timer) }
  }

  /** Fires what falls due within the next `ms`, in order of time, letting promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsed + ms
    await settle()
    for (let next = this.#next(target); next; next = this.#next(target)) {
      this.#timers.delete(next)
      this.#elapsed = Math.max(this.#elapsed, next.due)
      next.callback()
      await settle()
    }
    this.#elapsed = target
    await settle()
  }

  #next(target: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.due > target) continue
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) first = timer
    }
    return first
  }
}

/** Lets every promise that can settle without time or I/O do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
