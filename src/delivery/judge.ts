/**
 * What is to be done about a failed event: the table of errors.ts in action. Changes nothing but counters.
 *
 * A failure that is about one event may still be the sink's: one that stalls, or answers everything alike, fails every
 * event in turn. What tells is whether others get through. So the sink is out of order when, without a delivery in
 * between,
 * - events of ten different keys have failed in a row; or
 * - at least three attempts have failed, of however few keys, over more than the time of an attempt; or
 * - an event is to be given up, and nothing at all was delivered since it first failed.
 * Then all wait, one event is tried at a time, and until one is delivered nothing is given up and no budget is spent.
 *
 * One event that the sink can not take, when there is nothing else to deliver, looks the same. It is kept, and the sink
 * is reported as out of order, until something else gets through: only that proves that the event is at fault. With
 * nothing else to deliver it harms nobody, and a short outage must not cost the `begin` of a stream, which is one key by
 * definition. As long as fewer than ten keys have failed, the sink is only suspected: an event that was never sent is
 * tried at once. And however many failed, an `end` waits no longer than ever: its `aborted` form, and the next events of the
 * stream, get their chance to prove it. What they prove is remembered by key, because the next snapshot has the same keys.
 * A batch of which others were delivered proves the sink in order, whatever it says of the rest: a right that is missing, or
 * a partition without a leader, is about that event, and a quota that is used up about how much is sent.
 * Only a `begin` or `gap` that is refused for ever holds its stream for ever, unless another stream gets through: what
 * follows is worth nothing without it, and readiness tells.
 */
import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Entry } from './entry.ts'
import { DeliveryError, type DeliveryErrorCode, deliveryErrors, isThrottle } from './errors.ts'
import { askedMs, eventDelay, pauseDelay, type RetryOptions } from './retry.ts'
import type { OutboundEvent } from './sink.ts'

/** Failures of so many keys in a row are the sink's, not the events'. */
const SUSPICIOUS_KEYS = 10
/** So many failures in a row are the sink's, if they took longer than an attempt may. */
const SUSPICIOUS_FAILURES = 3
/** So many keys that fail are remembered; the oldest is forgotten first. */
const REMEMBERED_KEYS = 10_000
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

export interface JudgeOptions {
  readonly retry: RetryOptions
  /** Time limit of an attempt. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly random: Random
}

export class Judge {
  readonly #options: JudgeOptions
  /** Whose events have failed for their own sake since the last delivery; at `SUSPICIOUS_KEYS` it grows no more. */
  readonly #failedKeys = new Set<string>()
  /** What fails since it was last delivered: by key, how many events the sink had taken when it first failed. */
  readonly #failing = new Map<string, number>()
  #deliveries = 0
  /** Failures that may be about one event, since the last delivery. */
  #row = { failures: 0, since: 0 }
  /** Events have failed each for its own sake: of so few keys, or so many, that it may be the sink. */
  #doubt: 'none' | 'few keys' | 'many keys' = 'none'

  constructor(options: JudgeOptions) {
    this.#options = options
  }

  /** The sink was paused because of few keys: it may be out of order, or they are at fault. */
  get suspects(): boolean {
    return this.#doubt === 'few keys'
  }

  /** The sink was paused because events failed, few or many, each for its own sake: it has not said that it is down. */
  get isUnsure(): boolean {
    return this.#doubt !== 'none'
  }

  /** The event was sent and is `isPoison`, and nothing speaks against the sink since: that is not to blame. */
  isAtFault(entry: Entry): boolean {
    return !this.isUnsure && this.isPoison(entry)
  }

  /** It or others of its key have failed, then something else was delivered, and of its key still nothing. */
  isPoison({ deliveriesBefore }: Entry): boolean {
    return deliveriesBefore !== undefined && deliveriesBefore < this.#deliveries
  }

  /** The sink has taken it. */
  delivered({ event }: Entry): void {
    this.#deliveries++
    this.#failing.delete(event.key)
    this.#failedKeys.clear()
    this.#row.failures = 0
    this.#trust()
  }

  failed(entry: Entry, error: DeliveryError, attempt: FailedAttempt): Judgement {
    const kind = this.#classOf(error, attempt)
    if (kind === 'sink') {
      this.#trust()
      // an event that keeps taking the sink down is the cause, not the victim
      const isSuspect = attempt.wasOpen && !isThrottle(error.code) && ++entry.outages > 1
      if (!isSuspect) return { verdict: { type: 'hold' }, pause: error }
      this.#count(entry, attempt)
      const verdict = this.#backOff(entry, error, attempt)
      // others got through since: if they do not now, they will tell
      if (this.isAtFault(entry)) return askedMs(error) > 0 ? { verdict, pause: error } : { verdict }
      return { verdict: verdict.type === 'give-up' ? { type: 'hold' } : verdict, pause: error }
    }
    if (kind === 'rate') {
      const delayMs = pauseDelay(error, ++entry.throttles, this.#options.retry, this.#options.random)
      return { verdict: { type: 'back-off', delayMs } }
    }
    const smaller = error.code === 'too-large' ? entry.event.smaller?.() : undefined
    if (smaller) return { verdict: { type: 'degrade', event: smaller } }
    if (kind === 'event') this.#count(entry, attempt)
    const outage = attempt.partial ? undefined : (this.#manyKeys(entry, error) ?? this.#nothingElse(kind, error))
    if (outage) return { verdict: entry.givesWay ? giveUp(error) : { type: 'hold' }, pause: outage }
    if (kind === 'permanent') return { verdict: giveUp(error) }
    const isHopeless = attempt.unexpected && ++entry.throws >= UNEXPECTED_THROWS
    const verdict = isHopeless ? giveUp(error) : this.#backOff(entry, error, attempt)
    if (verdict.type === 'give-up' && !entry.givesWay && !this.isAtFault(entry)) {
      return { verdict: { type: 'hold' }, pause: this.#suspect(error) }
    }
    if (error.retryAfterMs === undefined) return { verdict }
    this.#trust()
    return { verdict, pause: error }
  }

  #count(entry: Entry, { partial }: FailedAttempt): void {
    entry.deliveriesBefore ??= this.#firstFailure(entry.event.key, partial ? this.#deliveries - 1 : this.#deliveries)
    if (this.#row.failures === 0) this.#row.since = this.#options.clock.monotonic()
    this.#row.failures++
  }

  /** What was taken before this key began to fail. */
  #firstFailure(key: string, deliveries: number): number {
    const known = this.#failing.get(key)
    if (known !== undefined) return known
    if (this.#failing.size >= REMEMBERED_KEYS) {
      for (const oldest of this.#failing.keys()) {
        this.#failing.delete(oldest)
        break
      }
    }
    this.#failing.set(key, deliveries)
    return deliveries
  }

  /** One that failed before others were delivered says nothing new. */
  #manyKeys(entry: Entry, error: DeliveryError): DeliveryError | undefined {
    const keys = this.#failedKeys
    if (keys.size < SUSPICIOUS_KEYS && !this.isPoison(entry)) keys.add(entry.event.key)
    if (keys.size < SUSPICIOUS_KEYS) return undefined
    this.#doubt = 'many keys'
    return outOfOrder(`events of ${keys.size} different keys failed in a row`, error)
  }

  #nothingElse(kind: 'event' | 'permanent', error: DeliveryError): DeliveryError | undefined {
    const { clock, timeoutMs } = this.#options
    if (kind === 'permanent' || this.#row.failures < SUSPICIOUS_FAILURES) return undefined
    return clock.monotonic() - this.#row.since > timeoutMs ? this.#suspect(error) : undefined
  }

  #suspect(error: DeliveryError): DeliveryError {
    this.#doubt = error.retryAfterMs === undefined ? 'few keys' : 'none' // what the sink asked for is waited in full
    return outOfOrder('nothing was delivered since the first of several attempts failed', error)
  }

  /** No doubt about the sink any more: it takes events, or has said that it does not. */
  #trust(): void {
    this.#doubt = 'none'
  }

  #backOff(entry: Entry, error: DeliveryError, { durationMs }: FailedAttempt): Verdict {
    const { retry, random } = this.#options
    entry.failures++
    entry.spentMs += durationMs
    const delayMs = eventDelay(entry.failures, entry.spentMs, retry, random)
    if (delayMs === undefined || entry.givesWay) return giveUp(error)
    entry.spentMs += delayMs
    return { type: 'back-off', delayMs }
  }

  /**
   * No answer to a probe says nothing about the event: the sink is still out of order. One that takes others of the same
   * batch is in order, unless it asks for a time: that is for all.
   */
  #classOf({ code, retryAfterMs }: DeliveryError, { isProbe, partial }: FailedAttempt): Class {
    if (isProbe && code === 'timeout' && !this.suspects) return 'sink'
    const row = deliveryErrors[code]
    if (row.class !== 'sink' || !partial) return row.class
    return row.partial === 'rate' && retryAfterMs !== undefined ? 'sink' : row.partial
  }
}

type Class = 'event' | 'permanent' | 'sink' | 'rate'

function outOfOrder(what: string, cause: DeliveryError): DeliveryError {
  const { retryAfterMs, message } = cause
  return new DeliveryError('unavailable', `${what}, the last one: ${message}`, { retryAfterMs, cause })
}

function giveUp({ code, message }: DeliveryError): Verdict {
  return { type: 'give-up', code, reason: message }
}
