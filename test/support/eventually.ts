import { setTimeout as delay } from 'node:timers/promises'

export interface Deadline {
  /** Milliseconds. @default 30000 */
  readonly withinMs?: number
  /** What is awaited, for the message. */
  readonly what: string
}

const PROBE_EVERY_MS = 20

/**
 * What `probe` returns, as soon as that is neither undefined nor false; a throw counts as "not yet". For facts of the
 * outside world that nobody announces: the one place where tests wait on real time. Rejects after the deadline, also if
 * the probe hangs, with the last throw as cause.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { withinMs = 30_000, what }: Deadline,
): Promise<Exclude<T, undefined | false>> {
  let cause: unknown
  const attempt = async () => {
    try {
      const value = await probe()
      cause = undefined
      return value
    } catch (error) {
      cause = error
      return undefined
    }
  }
  const over = new AbortController()
  const expired = delay(withinMs, 'expired', { signal: over.signal }).catch(() => 'expired')
  const end = performance.now() + withinMs
  try {
    do {
      const value = await Promise.race([attempt(), expired.then(() => undefined)])
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>
      await delay(PROBE_EVERY_MS)
    } while (performance.now() < end)
  } finally {
    over.abort()
  }
  throw new Error(`not within ${withinMs} ms: ${what}`, { cause })
}
