/**
 * What is to be done about a failed event: the table of errors.ts in action. Changes nothing but counters.
 *
 * A failure that is about one event may still be the sink's: one that stalls, or answers everything alike, fails every
 * event in turn. What tells is whether others get through. So when events of ten different keys have failed in a row,
 * without a delivery in between, the sink is out of order: all wait, one event is tried at a time, and until one is
 * delivered nothing is given up and no budget is spent.
 */
import type { Random } from '../lib/backoff.ts'
import type { Entry } from './entry.ts'
import { DeliveryError, type DeliveryErrorCode, deliveryErrors } from './errors.ts'
import { eventDelay, type RetryOptions } from './retry.ts'
import type { OutboundEvent } from './sink.ts'

/** Failures of so many keys in a row are the sink's, not the events'. */
const SUSPICIOUS_KEYS = 10
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
  /** Others of its batch were delivered. */
  readonly partial: boolean
}

export class Judge {
  readonly #retry: RetryOptions
  readonly #random: Random
  /** Whose events have failed for their own sake since the last delivery; at `SUSPICIOUS_KEYS` it grows no more. */
  readonly #failedKeys = new Set<string>()

  constructor(retry: RetryOptions, random: Random) {
    this.#retry = retry
    this.#random = random
  }

  /** The sink takes events. */
  delivered(): void {
    this.#failedKeys.clear()
  }

  failed(entry: Entry, error: DeliveryError, attempt: FailedAttempt): Judgement {
    const kind = classOf(error, attempt)
    if (kind === 'sink') {
      // an event that keeps taking the sink down is the cause, not the victim
      const suspect = attempt.wasOpen && ++entry.outages > 1
      return { verdict: suspect ? this.#backOff(entry, error, attempt) : { type: 'hold' }, pause: error }
    }
    const smaller = error.code === 'too-large' ? entry.event.smaller?.() : undefined
    if (smaller) return { verdict: { type: 'degrade', event: smaller } }
    const outage = attempt.partial ? undefined : this.#suspect(entry, error)
    if (outage) return { verdict: { type: 'hold' }, pause: outage }
    const hopeless = kind === 'permanent' || (attempt.unexpected && ++entry.throws >= UNEXPECTED_THROWS)
    const verdict = hopeless ? giveUp(error) : this.#backOff(entry, error, attempt)
    return error.retryAfterMs === undefined || kind === 'permanent' ? { verdict } : { verdict, pause: error }
  }

  /** Why the sink is taken to be out of order, if it is. */
  #suspect(entry: Entry, error: DeliveryError): DeliveryError | undefined {
    const keys = this.#failedKeys
    if (keys.size < SUSPICIOUS_KEYS) keys.add(entry.event.key)
    if (keys.size < SUSPICIOUS_KEYS) return undefined
    const message = `events of ${keys.size} different keys failed in a row, the last one: ${error.message}`
    return new DeliveryError('unavailable', message, { retryAfterMs: error.retryAfterMs, cause: error })
  }

  #backOff(entry: Entry, error: DeliveryError, { durationMs }: FailedAttempt): Verdict {
    entry.failures++
    entry.spentMs += durationMs
    const delayMs = eventDelay(entry.failures, entry.spentMs, this.#retry, this.#random)
    if (delayMs === undefined) return giveUp(error)
    entry.spentMs += delayMs
    return { type: 'back-off', delayMs }
  }
}

function giveUp({ code, message }: DeliveryError): Verdict {
  return { type: 'give-up', code, reason: message }
}

/** No answer to a probe says nothing about the event: the sink is still out of order. */
function classOf({ code }: DeliveryError, { isProbe }: FailedAttempt): 'event' | 'permanent' | 'sink' {
  return isProbe && code === 'timeout' ? 'sink' : deliveryErrors[code].class
}
