/**
 * Asks the server, before a scheduled snapshot, whether the store is right.
 *
 *   idle ---- start ----> listing ---- the whole list is in ----> listed ---- the store stands where the stream does ----> idle
 *                          ^    |                                                                  |
 *                          +----+ expired: at the position that is now                              +-- drift: again, later
 */
import type { KubeObject, ResourceVersion, Uid } from '../kube/object.ts'
import { ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { SnapshotStore } from './audience.ts'
import { type Drift, Verification } from './verification.ts'

/** The server, as far as it is asked. */
export interface VerifiedServer {
  /** The objects at exactly this version, page by page; returns `expired` if the server does not have it any more. */
  pages(at: ResourceVersion, signal: AbortSignal): AsyncGenerator<readonly KubeObject[], 'whole' | 'expired'>
  /** Lists again: what differs is told as a change. */
  relist(): void
}

/** How a verification has ended. */
export type Verified =
  | { readonly type: 'right' }
  /** Those that were not found before. Another one follows. */
  | { readonly type: 'drift'; readonly found: readonly Drift[] }
  /** The server did not answer. */
  | { readonly type: 'unknown'; readonly error: unknown }

export interface VerifierOptions<T extends KubeObject> {
  readonly server: VerifiedServer
  readonly store: SnapshotStore<T>
  readonly position: () => ResourceVersion | undefined
  readonly inStep: () => boolean
  /** There is something for `advance` to do. */
  readonly onListed: () => void
  readonly onVerified: (verified: Verified) => void
  readonly clock: Clock
  readonly random: Random
}

const AGAIN = { initialMs: 5_000, maxMs: 600_000 } as const
const MOST_ATTEMPTS = 3

export class Verifier<T extends KubeObject> implements AsyncDisposable {
  readonly #options: VerifierOptions<T>
  readonly #stop = new AbortController()
  readonly #again: ExponentialBackoff
  #verification: Verification<T> | undefined
  #isListed = false
  #listing: Promise<void> = Promise.resolve()
  #timer: Disposable | undefined
  /** The drift that was found last. */
  #known: ReadonlySet<string> = new Set()

  constructor(options: VerifierOptions<T>) {
    this.#options = options
    this.#again = new ExponentialBackoff(AGAIN, options.random)
  }

  /** From `start` until it is known that the store is right, or cannot be known now. */
  get isBusy(): boolean {
    return this.#verification !== undefined || this.#timer !== undefined
  }

  start(): void {
    this.#timer = undefined
    this.#listing = this.#list()
  }

  /** The stream tells of a change. */
  follow(uid: Uid): void {
    this.#verification?.follow(uid)
  }

  /** The server has another history: nothing can be compared with that of before. */
  startOver(): void {
    if (this.#verification) this.#end({ type: 'unknown', error: new Error('the server was restored') })
  }

  /** After what was taken of the stream was told to `follow`. */
  advance(): void {
    if (!this.#verification || !this.#isListed || !this.#options.inStep()) return
    const drift = this.#verification.drift()
    const found = drift.filter((one) => !this.#known.has(textOf(one)))
    this.#known = new Set(drift.map(textOf))
    if (drift.length === 0) {
      this.#again.reset()
      this.#end({ type: 'right' })
      return
    }
    this.#options.server.relist()
    this.#timer = this.#options.clock.after(this.#again.next(), () => this.start())
    this.#end({ type: 'drift', found })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the stream was stopped'))
    this.#timer?.[Symbol.dispose]()
    this.#verification = undefined
    await this.#listing
  }

  async #list(): Promise<void> {
    const { onListed } = this.#options
    try {
      for (let attempt = 1; !(await this.#listOnce()); attempt++) {
        if (attempt === MOST_ATTEMPTS) throw new Error('what the server had at the position of the stream has expired')
      }
      this.#isListed = true
      onListed()
    } catch (error) {
      if (this.#verification) this.#end({ type: 'unknown', error })
    }
  }

  /** Returns false if the server does not have this position any more. */
  async #listOnce(): Promise<boolean> {
    const { server, store, position } = this.#options
    const at = position()
    if (at === undefined) throw new Error('the stream has no position yet')
    const verification = new Verification(store)
    this.#verification = verification
    this.#isListed = false
    const pages = server.pages(at, this.#stop.signal)
    for (let page = await pages.next(); ; page = await pages.next()) {
      if (page.done) return page.value === 'whole'
      verification.compare(page.value)
    }
  }

  #end(verified: Verified): void {
    this.#verification = undefined
    this.#isListed = false
    this.#options.onVerified(verified)
  }
}

function textOf({ uid, what }: Drift): string {
  return `${what} ${uid}`
}
