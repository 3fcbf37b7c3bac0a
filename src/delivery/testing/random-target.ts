import type { Clock } from '../../lib/clock.ts'
import { type DeliverContext, DeliveryError, type Failure, type OutboundEvent, type Sink } from '../sink.ts'
import { type Fate, well } from './random-history.ts'

/** Who watches a target. Called synchronously; may throw. */
export interface Watch {
  sent(batch: readonly OutboundEvent[]): void
  /** So long after the attempt was aborted; 0 if it was not. */
  landed(event: OutboundEvent, lateMs: number): void
  /** So the target answered, or failed, before `over`. `index`: of the one event that it is about. */
  failed(batch: readonly OutboundEvent[], error: DeliveryError, index?: number): void
  /** The attempt is over: of it nothing lands any more. */
  over(batch: readonly OutboundEvent[]): void
}

type Land = (event: OutboundEvent) => void

/** A target that does what its fates say, attempt by attempt, and is well once there are no more. */
export class RandomTarget implements Sink {
  /** Of every attempt, instead of the script. */
  overruled: Fate | undefined
  readonly #fates: readonly Fate[]
  #next = 0
  readonly #clock: Clock
  readonly #sameKeyInBatch: boolean
  readonly #watch: Watch

  constructor(fates: readonly Fate[], sameKeyInBatch: boolean, clock: Clock, watch: Watch) {
    this.#fates = fates
    this.#sameKeyInBatch = sameKeyInBatch
    this.#clock = clock
    this.#watch = watch
  }

  async connect(): Promise<void> {}

  async deliver(batch: readonly OutboundEvent[], { signal }: DeliverContext): Promise<readonly Failure[]> {
    this.#watch.sent(batch)
    try {
      return await this.#take(batch, signal)
    } finally {
      this.#watch.over(batch)
    }
  }

  async #take(batch: readonly OutboundEvent[], signal: AbortSignal): Promise<readonly Failure[]> {
    const fate = this.#fate()
    const lateMs = await this.#wait(fate, signal)
    if (signal.aborted && fate.whenAborted === 'stops') throw signal.reason
    const land = (event: OutboundEvent) => this.#watch.landed(event, lateMs)
    const failures = fate.about === 'batch' ? this.#takeAll(batch, fate, land) : this.#takeEach(batch, fate, land)
    if (signal.aborted && fate.whenAborted === 'throws') throw signal.reason
    return failures
  }

  #takeAll(batch: readonly OutboundEvent[], { code, lands, retryAfterMs }: Fate, land: Land): readonly Failure[] {
    if (code === 'ok' || lands) for (const event of batch) land(event)
    if (code === 'ok') return []
    if (code === 'unknown') throw new TypeError('what')
    const error = new DeliveryError(code === 'no event' ? 'failed' : code, 'all of it', { retryAfterMs })
    if (code === 'no event') return [{ index: batch.length, error }]
    this.#watch.failed(batch, error)
    throw error
  }

  /** Those of one key share their fate if the target says so. */
  #takeEach(batch: readonly OutboundEvent[], first: Fate, land: Land): readonly Failure[] {
    const failures: Failure[] = []
    const byKey = new Map<string, Fate>()
    for (const [index, event] of batch.entries()) {
      const known = this.#sameKeyInBatch ? byKey.get(event.key) : undefined
      const { code, lands, retryAfterMs } = known ?? (index === 0 ? first : this.#fate())
      byKey.set(event.key, { ...first, code, lands, retryAfterMs })
      const fails = code !== 'ok' && code !== 'unknown' && code !== 'no event'
      if (!fails || lands) land(event)
      if (!fails) continue
      const error = new DeliveryError(code, 'this', { retryAfterMs })
      this.#watch.failed(batch, error, index)
      failures.push({ index, error })
    }
    return failures
  }

  /** Resolves with the time since it was aborted. */
  async #wait({ latencyMs, whenAborted }: Fate, signal: AbortSignal): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>()
    using _timer = this.#clock.after(latencyMs, resolve)
    let abortedAt: number | undefined
    const onAbort = () => {
      abortedAt = this.#clock.monotonic()
      if (whenAborted === 'stops') resolve()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    await promise
    return abortedAt === undefined ? 0 : this.#clock.monotonic() - abortedAt
  }

  #fate(): Fate {
    return this.overruled ?? this.#fates[this.#next++] ?? well
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
