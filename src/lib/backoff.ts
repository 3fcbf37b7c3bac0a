export type Random = () => number

/** Milliseconds. */
export interface BackoffOptions {
  readonly initialMs: number
  readonly maxMs: number
}

/**
 * Full jitter: a uniform delay in [0, min(maxMs, initialMs * 2^attempt)], in ms. `attempt` counts from 0.
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
export function fullJitter(attempt: number, { initialMs, maxMs }: BackoffOptions, random: Random): number {
  return random() * Math.min(maxMs, initialMs * 2 ** attempt)
}

/**
 * Exponential back-off as client-go's reflector has it: delay d doubles up to `maxMs`, each wait is uniform in [d, 2d).
 * `reset` starts again at `initialMs`.
 */
export class ExponentialBackoff {
  #attempt = 0
  readonly #options: BackoffOptions
  readonly #random: Random

  constructor(options: BackoffOptions, random: Random = Math.random) {
    this.#options = options
    this.#random = random
  }

  /** The next delay in ms. */
  next(): number {
    const base = Math.min(this.#options.maxMs, this.#options.initialMs * 2 ** this.#attempt++)
    return base + this.#random() * base
  }

  reset(): void {
    this.#attempt = 0
  }
}
