/**
 * Whether a sink as a whole is in order:
 *
 *   connecting ----> open ----> paused ----> probing ----> open
 *                                 ^              |
 *                                 +--------------+  the probe failed: a longer pause
 *
 * `probing`: one event is under way, or will be as soon as there is one. From when it was paused, or could not be
 * connected to at once, `open` means that a few batches are in flight at first, and more with each that delivers (ramp.ts).
 */
import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { type DeliveryError, isThrottle } from './errors.ts'
import type { SinkState } from './observer.ts'
import { type Lesson, type Place, Ramp } from './ramp.ts'
import { askedMs, pauseDelay, type RetryOptions } from './retry.ts'

type State =
  | { readonly type: 'connecting' }
  | { readonly type: 'open'; readonly since: number }
  | {
      readonly type: 'paused'
      readonly failures: number
      readonly error: DeliveryError
      readonly until: number
      /** Until then it wants to be left alone. */
      readonly askedUntil: number
      readonly timer: Disposable
    }
  | { readonly type: 'probing'; readonly failures: number; readonly error: DeliveryError }
  | { readonly type: 'closed' }

export interface HealthOptions {
  readonly clock: Clock
  readonly random: Random
  readonly retry: RetryOptions
  /** Batches in flight while the sink is in order. */
  readonly concurrency: number
  /** It is paused to find out whether it or the events are at fault: then it was not seen to be out of order. */
  readonly isSuspicion: () => boolean
  readonly onChange: (state: SinkState) => void
  /** Runs what a timer calls, and reports what it throws. */
  readonly guard: (work: () => void) => void
}

export class Health {
  readonly #options: HealthOptions
  readonly #ramp: Ramp
  #state: State = { type: 'connecting' }

  constructor(options: HealthOptions) {
    this.#options = options
    this.#ramp = new Ramp(options.concurrency)
  }

  get state(): State['type'] {
    return this.#state.type
  }

  /** Since when it is open, on the clock; undefined while it is not. */
  get openSince(): number | undefined {
    return this.#state.type === 'open' ? this.#state.since : undefined
  }

  /** So many batches may be in flight. */
  get permitted(): number {
    if (this.#state.type === 'open') return this.#ramp.permitted
    return this.#state.type === 'probing' ? 1 : 0
  }

  /** Whether one more batch may begin, if it is in order. */
  get hasPlace(): boolean {
    return this.#state.type !== 'open' || this.#ramp.hasPlace
  }

  /** An attempt begins; it ends with `giveBack`. */
  take(): Place {
    return this.#ramp.take()
  }

  giveBack(place: Place): void {
    this.#ramp.giveBack(place)
  }

  /** What an answer says about how many batches the sink takes. */
  learn(lesson: Lesson, place: Place): void {
    if (this.#state.type === 'open') this.#ramp.learn(lesson, place)
  }

  /** It could not be reached, and is tried again. */
  unreached(): void {
    this.#ramp.restart('out of order')
  }

  /** Connected, or a probe came through. */
  open(): void {
    this.#set({ type: 'open', since: this.#options.clock.monotonic() })
    this.#options.onChange({ type: 'open' })
  }

  /**
   * The sink is out of order, or asked for patience. While it is paused already, that can only make the pause longer:
   * what was in flight when the first failure came is no news.
   */
  pause(error: DeliveryError): void {
    const { clock, random, retry, isSuspicion } = this.#options
    const state = this.#state
    const now = clock.monotonic()
    if (state.type === 'open' || state.type === 'probing') {
      const failures = state.type === 'open' ? 1 : state.failures + 1
      const isTooMuch = state.type === 'open' && isThrottle(error.code)
      if (!isSuspicion()) this.#ramp.restart(isTooMuch ? 'throttled' : 'out of order')
      this.#pauseUntil(now + pauseDelay(error, failures, retry, random), failures, error)
    } else if (state.type === 'paused' && askedMs(error) > 0) {
      const until = now + pauseDelay(error, 1, retry, random)
      if (until > state.until) this.#pauseUntil(until, state.failures, error)
    }
  }

  /**
   * There is an event whose fate will tell more than waiting does: a pause is over, but for what the sink asked for. It
   * counts as no failure more.
   */
  probe(): void {
    const state = this.#state
    if (state.type !== 'paused' || this.#options.clock.monotonic() < state.askedUntil) return
    this.#probe(state.failures - 1, state.error)
  }

  close(): void {
    this.#set({ type: 'closed' })
    this.#options.onChange({ type: 'closed' })
  }

  #pauseUntil(until: number, failures: number, error: DeliveryError): void {
    const { clock, onChange, guard } = this.#options
    const now = clock.monotonic()
    const asked = this.#state.type === 'paused' ? this.#state.askedUntil : now
    const askedUntil = Math.max(asked, now + askedMs(error))
    const timer = clock.after(until - now, () => guard(() => this.#probe(failures, error)))
    this.#set({ type: 'paused', failures, error, until, askedUntil, timer })
    onChange({ type: 'paused', code: error.code, reason: error.message })
  }

  #probe(failures: number, error: DeliveryError): void {
    this.#set({ type: 'probing', failures, error })
    this.#options.onChange({ type: 'probing', code: error.code, reason: error.message })
  }

  #set(state: State): void {
    if (this.#state.type === 'paused') this.#state.timer[Symbol.dispose]()
    this.#state = state
  }
}
