import type { KubeError } from '../kube/errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { type BackoffOptions, ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { State } from './state.ts'
import type { Item } from './watch-event.ts'

export interface PaceOptions {
  readonly backoff: BackoffOptions
  readonly clock: Clock
  readonly random: Random
}

/** The back-off starts again only when the server shows progress this long after its last step. Source: client-go. */
const RESET_AFTER_MS = 120_000
/** Watches that close cleanly closer together than this are opened again after a jitter of up to a second. */
const CLOSE_TOGETHER_MS = 5000
const CLOSE_JITTER_MS = 1000

/** How long a reflector waits between its steps. */
export class Pace {
  readonly #backoff: ExponentialBackoff
  /** Of watches that expire, one after the other. */
  readonly #relists: ExponentialBackoff
  readonly #clock: Clock
  readonly #random: Random
  #steppedAt = Number.NEGATIVE_INFINITY
  #expiredAt = Number.NEGATIVE_INFINITY
  #closedAt = Number.NEGATIVE_INFINITY
  /** A list was begun again at once; the next time it waits, unless a whole list came in between. */
  #restarted = false

  constructor({ backoff, clock, random }: PaceOptions) {
    this.#backoff = new ExponentialBackoff(backoff, random)
    this.#relists = new ExponentialBackoff(backoff, random)
    this.#clock = clock
    this.#random = random
  }

  /** Milliseconds to wait before the step after this one; 0 = none. Call it once for each step. */
  after<T extends KubeObject>(items: readonly Item<T>[], from: State<T>, to: State<T>): number {
    const last = items.at(-1)
    if (isProgress(items)) this.#progress()
    if (isListing(from) && !isListing(to)) this.#restarted = false
    if (last?.type === 'Failed') return this.#failed(last.error, from, to)
    if (from.type === 'Watching' && to.type === 'Listed') return this.#closed()
    return 0
  }

  #progress(): void {
    if (this.#clock.monotonic() - this.#steppedAt >= RESET_AFTER_MS) this.#backoff.reset()
  }

  #failed(error: KubeError, from: State<KubeObject>, to: State<KubeObject>): number {
    const outdated = error.code === 'expired' || error.code === 'too-large-resource-version'
    if (isListing(from) && outdated && !this.#restarted) {
      this.#restarted = true
      return 0
    }
    if (error.code === 'expired' && isWatching(from)) return this.#expired(error)
    // pages have not been refused yet, and are asked for until a whole list is in
    if (isStreamed(from) && !isStreamed(to)) return 0
    this.#steppedAt = this.#clock.monotonic()
    return Math.max(this.#backoff.next(), error.retryAfterMs ?? 0)
  }

  /**
   * No outage: the server is there and says what to do, so how often it was away before does not count. One that goes on
   * saying so is not asked for list after list, and many streams that it says so to do not list at one moment.
   */
  #expired({ retryAfterMs = 0 }: KubeError): number {
    const now = this.#clock.monotonic()
    if (now - this.#expiredAt >= RESET_AFTER_MS) this.#relists.reset()
    this.#expiredAt = now
    return Math.max(this.#relists.next(), retryAfterMs)
  }

  #closed(): number {
    const now = this.#clock.monotonic()
    const together = now - this.#closedAt < CLOSE_TOGETHER_MS
    this.#closedAt = now
    return together ? this.#random() * CLOSE_JITTER_MS : 0
  }
}

/** Only what the server has said counts: a call that begins promises nothing. */
function isProgress(items: readonly Item<KubeObject>[]): boolean {
  switch (items[0]?.type) {
    case undefined:
    case 'Failed':
    case 'Opened':
      return false
    case 'Init':
      return items.length > 1
    default:
      return true
  }
}

function isListing({ type }: State<KubeObject>): boolean {
  return type === 'Empty' || type === 'Paging' || type === 'Streaming'
}

function isWatching({ type }: State<KubeObject>): boolean {
  return type === 'Listed' || type === 'Watching'
}

const isStreamed = (state: State<KubeObject>): boolean =>
  state.type === 'Streaming' || (state.type === 'Empty' && state.ask.type === 'Stream')
