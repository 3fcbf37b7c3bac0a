import type { BackoffOptions, Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { StreamObserver } from './observer.ts'
import type { RelistRequest } from './relist-request.ts'

export interface ReflectorOptions {
  /** Objects per page of a list that is not streamed. client-go: 500. */
  readonly pageSize: number
  /** A watch is asked to last for a random time in [this, twice this), ms. Less than 5 min counts as 5 min. */
  readonly minWatchTimeoutMs: number
  readonly backoff: BackoffOptions
  readonly clock: Clock
  readonly random: Random
  readonly observer: StreamObserver
  /** @default never */
  readonly relist?: RelistRequest
}

export const reflectorDefaults = {
  pageSize: 500,
  minWatchTimeoutMs: 300_000,
  backoff: { initialMs: 800, maxMs: 30_000 },
} as const satisfies Partial<ReflectorOptions>

/** For how long a watch is asked to last: at random, so that the watches of many streams do not end together. */
export function watchTimeoutSeconds({ minWatchTimeoutMs, random }: ReflectorOptions): number {
  const minSeconds = Math.max(minWatchTimeoutMs, reflectorDefaults.minWatchTimeoutMs) / 1000
  return Math.floor(minSeconds * (1 + random()))
}
