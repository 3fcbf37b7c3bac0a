/** How long to wait after a failure: of one event (its lane waits) and of the whole sink (everything waits). */
import { type BackoffOptions, fullJitter, type Random } from '../lib/backoff.ts'
import type { DeliveryError } from './errors.ts'

/** Milliseconds. */
export interface RetryOptions extends BackoffOptions {
  /** An event whose own failures took longer goes to the dead letters. */
  readonly giveUpAfterMs: number
}

/** A target that is gone is asked again once an hour. */
const GONE_FLOOR_MS = 3_600_000
/**
 * A pause costs the target one attempt, and everything for the sink stands still in it: after an outage of minutes it
 * must not last minutes more.
 */
const MAX_PAUSE_MS = 30_000

/**
 * The delay before an event's next attempt, or undefined when its budget is spent.
 * `failures` counts from 1; `spentMs` is the time that its failed attempts and delays took so far. The last delay ends
 * with the budget, so that the last attempt falls within it.
 */
export function eventDelay(
  failures: number,
  spentMs: number,
  options: RetryOptions,
  random: Random,
): number | undefined {
  const left = options.giveUpAfterMs - spentMs
  if (left <= 0) return undefined
  return Math.min(left, fullJitter(failures - 1, options, random))
}

/**
 * The delay before a sink that is out of order is asked again, at most 30 s. `failures` counts from 1.
 * What the target asked for is waited in full, plus at most 10 %, so that not all come back at the same moment.
 */
export function pauseDelay(error: DeliveryError, failures: number, options: BackoffOptions, random: Random): number {
  const maxMs = Math.min(options.maxMs, MAX_PAUSE_MS)
  return Math.max(fullJitter(failures - 1, { ...options, maxMs }, random), askedMs(error) * (1 + random() / 10))
}

/** How long the sink wants to be left alone, whatever else happens; 0: it did not say. */
export function askedMs({ code, retryAfterMs = 0 }: DeliveryError): number {
  return Math.max(retryAfterMs, code === 'gone' ? GONE_FLOOR_MS : 0)
}
