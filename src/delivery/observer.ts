/** What a worker tells about itself, in numbers. */
import type { DeadLetter } from './dead-letters.ts'
import type { DeliveryError, DeliveryErrorCode } from './sink.ts'
import type { SpoolStats } from './spool.ts'
import type { SpoolNews } from './spool-log.ts'

/** Whether a sink is in order. */
export type SinkState =
  /** It was not reached yet. */
  | { readonly type: 'connecting'; readonly code: DeliveryErrorCode | undefined; readonly reason: string | undefined }
  | { readonly type: 'open' }
  /** It is out of order; nothing is sent. */
  | { readonly type: 'paused'; readonly code: DeliveryErrorCode; readonly reason: string }
  /** One event is sent to see whether it is in order again. */
  | { readonly type: 'probing'; readonly code: DeliveryErrorCode; readonly reason: string }
  | { readonly type: 'closed' }

/** Called synchronously; must not throw. Metrics count, logs say one line per change of state. */
export interface DeliveryObserver {
  /** One attempt is over. `result`: `delivered`, or the code of the error of the batch. */
  attempt(attempt: {
    readonly events: number
    readonly durationMs: number
    readonly result: 'delivered' | 'partial' | DeliveryErrorCode
  }): void
  /** The fate of events in attempts, per result. Those that are not `delivered` are tried again or given up. */
  sent(result: 'delivered' | DeliveryErrorCode): void
  /** An event will be sent again, because of this. Until then its lane waits, or all: then `state` tells, too. */
  retry(error: DeliveryError, waits: 'lane' | 'all'): void
  /** An event was given up. A log may say its attributes, never its data. */
  deadLetter(letter: DeadLetter): void
  /** An event went out with a smaller payload because it was too large for the sink. */
  degraded(): void
  /** So many events will not be sent, because newer ones of the same objects stand for them. */
  merged(events: number): void
  /** The queue was full: all that this stream had waiting was dropped. */
  overflowed(stream: string, events: number): void
  /** How the spool does. */
  spool(news: SpoolNews): void
  state(state: SinkState): void
}

/** An observer that looks away. */
export const noObserver: DeliveryObserver = {
  attempt() {},
  sent() {},
  retry() {},
  deadLetter() {},
  degraded() {},
  merged() {},
  overflowed() {},
  spool() {},
  state() {},
}

/** A worker at one moment. */
export interface WorkerStats {
  readonly state: SinkState['type']
  /** Accepted and not settled. */
  readonly queueEvents: number
  readonly queueBytes: number
  /** Age of the oldest of them in ms; 0 if there is none. */
  readonly oldestAgeMs: number
  /** Offers that wait for room in the queue. */
  readonly blockedOffers: number
  /** Of each object only the newest state is kept: the sink is slow, or out of order. */
  readonly coalescing: boolean
  /** Batches that the sink has in hand. */
  readonly inFlight: number
  /** How many it may be given: `concurrency`, or fewer after a pause or while it is throttled. */
  readonly permitted: number
  /** Lanes in back-off. */
  readonly backingOff: number
  /** Of a sink that has one. */
  readonly spool?: SpoolStats
}
