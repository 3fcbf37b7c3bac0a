/** What is to be done about a failed event: the table of errors.ts in action. Changes nothing but counters. */
import type { Random } from '../lib/backoff.ts'
import type { Entry } from './entry.ts'
import { DeliveryError, type DeliveryErrorCode, deliveryErrors } from './errors.ts'
import { eventDelay, type RetryOptions } from './retry.ts'
import type { OutboundEvent } from './sink.ts'

/** So many permanent failures in a row, over as many keys, mean that the sink is misconfigured, not the events. */
const MISCONFIGURED_KEYS = 10
/** An event that makes the sink throw something unexpected so often, alone in its batch, is given up. */
const UNEXPECTED_THROWS = 3

export type Verdict =
  /** It waits with all others until the sink is in order, and has lost nothing. */
  | { readonly type: 'hold' }
  /** It and what is behind it in its lane wait, nobody else. */
  | { readonly type: 'back-off'; readonly delayMs: number }
  /** It goes out again at once in this form. */
  | { readonly type: 'degrade'; readonly event: OutboundEvent }
  /** It goes to the dead letters; the next one of its lane is sent. */
  | { readonly type: 'give-up'; readonly code: DeliveryErrorCode; readonly reason: string }

export interface Judgement {
  readonly verdict: Verdict
  /** Why the whole sink has to wait. */
  readonly pause?: DeliveryError
}

export interface FailedAttempt {
  readonly durationMs: number
  /** Nobody knew before that the sink is out of order. */
  readonly wasOpen: boolean
  /** It was sent to see whether the sink is in order again. */
  readonly isProbe: boolean
  /** The sink threw something that is no DeliveryError. */
  readonly unexpected: boolean
}

export class Judge {
  readonly #retry: RetryOptions
  readonly #random: Random
  /** Keys of the permanent failures since the last delivery. Once there are enough, nothing is given up until one. */
  readonly #refusedKeys = new Set<string>()

  constructor(retry: RetryOptions, random: Random) {
    this.#retry = retry
    this.#random = random
  }

  /** The sink takes events. */
  delivered(): void {
    this.#refusedKeys.clear()
  }

  failed(entry: Entry, error: DeliveryError, attempt: FailedAttempt): Judgement {
    switch (classOf(error, attempt)) {
      case 'event': {
        if (attempt.unexpected && ++entry.throws >= UNEXPECTED_THROWS) return this.#refused(entry, error)
        const verdict = this.#backOff(entry, error, attempt)
        return error.retryAfterMs === undefined ? { verdict } : { verdict, pause: error }
      }
      case 'permanent': {
        const event = error.code === 'too-large' ? entry.event.smaller?.() : undefined
        return event ? { verdict: { type: 'degrade', event } } : this.#refused(entry, error)
      }
      case 'sink': {
        // an event that keeps taking the sink down is the cause, not the victim
        const suspect = attempt.wasOpen && ++entry.outages > 1
        return { verdict: suspect ? this.#backOff(entry, error, attempt) : { type: 'hold' }, pause: error }
      }
    }
  }

  /** The sink does not want this event, or does not want any. */
  #refused(entry: Entry, error: DeliveryError): Judgement {
    const keys = this.#refusedKeys
    if (keys.size < MISCONFIGURED_KEYS) keys.add(entry.event.key)
    if (keys.size < MISCONFIGURED_KEYS) return { verdict: { type: 'give-up', code: error.code, reason: error.message } }
    const message = `events of ${keys.size} different keys were refused in a row, the last one: ${error.message}`
    const pause = new DeliveryError('unavailable', message, { retryAfterMs: error.retryAfterMs, cause: error })
    return { verdict: { type: 'hold' }, pause }
  }

  #backOff(entry: Entry, error: DeliveryError, { durationMs }: FailedAttempt): Verdict {
    entry.failures++
    entry.spentMs += durationMs
    const delayMs = eventDelay(entry.failures, entry.spentMs, this.#retry, this.#random)
    if (delayMs === undefined) return { type: 'give-up', code: error.code, reason: error.message }
    entry.spentMs += delayMs
    return { type: 'back-off', delayMs }
  }
}

/** No answer to a probe says nothing about the event: the sink is still out of order. */
function classOf({ code }: DeliveryError, { isProbe }: FailedAttempt): 'event' | 'permanent' | 'sink' {
  return isProbe && code === 'timeout' ? 'sink' : deliveryErrors[code].class
}
