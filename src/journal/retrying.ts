import { sleep } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { JournalError } from './damage.ts'

export interface RetryingParts {
  readonly clock: Clock
  /** Ends all waiting. */
  readonly signal: AbortSignal
  /** Something failed, and is tried again. */
  readonly onFailed: (problem: string) => void
  /** It has succeeded. */
  readonly onHealed: () => void
}

const RETRY_MS = 5_000

/** Work on a disk that is done again until it succeeds: a disk that is full or away costs time, and nothing else. */
export class Retrying {
  readonly #parts: RetryingParts
  #problem: string | undefined
  readonly #tried = Promise.withResolvers<void>()

  constructor(parts: RetryingParts) {
    this.#parts = parts
  }

  /** Why the last work has not succeeded yet. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Resolves when something was tried once, whatever came of it. */
  get tried(): Promise<void> {
    return this.#tried.promise
  }

  /** Rejects with the reason of the signal, if the journal is closed, and for a bug. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const { clock, signal, onFailed, onHealed } = this.#parts
    for (;;) {
      signal.throwIfAborted()
      try {
        const result = await work()
        if (this.#problem !== undefined) onHealed()
        this.#problem = undefined
        this.#tried.resolve()
        return result
      } catch (error) {
        if (error instanceof JournalError && error.code === 'closed') throw error
        if (error instanceof RangeError) throw error // a bug: trying again helps nobody
        this.#problem = error instanceof Error ? error.message : String(error)
        onFailed(this.#problem)
        this.#tried.resolve()
        await sleep(RETRY_MS, clock, signal)
      }
    }
  }
}
