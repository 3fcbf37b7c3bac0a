import { setTimeout as delay } from 'node:timers/promises'

export interface Deadline {
  /** Milliseconds. @default 30000 */
  readonly withinMs?: number
  /** What is awaited, for the message. */
  readonly what: string
}

/**
 * What `probe` returns, as soon as that is neither undefined nor false; a throw counts as "not yet". For facts of the
 * outside world that nobody announces: the one place where tests wait on real time. Rejects after the deadline with the
 * last throw as cause.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { withinMs = 30_000, what }: Deadline,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + withinMs
  let cause: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`, { cause })
    await delay(20)
  }
}
