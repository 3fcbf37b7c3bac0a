/** For tests: where a sink's events arrive. It outlives the processes that send to it. */
import { DeliveryError, type Failure, type OutboundEvent, type Sink, structured } from '../../delivery/sink.ts'
import { type Decoded, decodeStructured } from '../../events/index.ts'
import type { ManualClock } from '../../lib/manual-clock.ts'

/** What a target has taken, in order, and the lives in which it did. */
export type Taken =
  | { readonly type: 'event'; readonly event: Decoded }
  /** Another process begins. `floor`: it repeats nothing up to this position. */
  | { readonly type: 'life'; readonly floor: string | undefined }
  /** The sink is no longer one of the stream's: whatever it holds, nobody tells it. */
  | { readonly type: 'removed' }
  /** The server is one from a backup from now on. */
  | { readonly type: 'restored' }

/** It takes everything that reaches it, also what was sent before a kill. */
export class Target {
  isUp = true
  readonly taken: Taken[] = []
  /** An event of this name fails so many times. */
  readonly #failing = new Map<string, number>()

  fail(name: string, times: number): void {
    this.#failing.set(name, times)
  }

  heal(): void {
    this.isUp = true
    this.#failing.clear()
  }

  take({ attributes, data }: OutboundEvent): 'taken' | 'failed' {
    const left = this.#failing.get(String(attributes.name)) ?? 0
    if (left > 0) {
      this.#failing.set(String(attributes.name), left - 1)
      return 'failed'
    }
    this.taken.push({ type: 'event', event: decodeStructured(structured(attributes, data)) })
    return 'taken'
  }
}

export interface ConnectionOptions {
  readonly clock: ManualClock
  readonly latencyMs: number
  /** Whether the process that it belongs to was killed: it sends nothing any more. */
  readonly isDead: () => boolean
}

/** One process's connection to a target. */
export class Connection implements Sink {
  readonly #target: Target
  readonly #options: ConnectionOptions

  constructor(target: Target, options: ConnectionOptions) {
    this.#target = target
    this.#options = options
  }

  async connect(): Promise<void> {
    if (!this.#target.isUp) throw new DeliveryError('unavailable', 'ECONNREFUSED')
  }

  async deliver(batch: readonly OutboundEvent[]): Promise<readonly Failure[]> {
    const { clock, latencyMs, isDead } = this.#options
    if (isDead()) throw new DeliveryError('unavailable', 'killed')
    if (latencyMs > 0) await new Promise<void>((resolve) => clock.after(latencyMs, resolve))
    if (!this.#target.isUp) throw new DeliveryError('unavailable', 'ECONNREFUSED')
    return batch.flatMap((event, index) =>
      this.#target.take(event) === 'taken' ? [] : [{ index, error: new DeliveryError('failed', '500') }],
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
