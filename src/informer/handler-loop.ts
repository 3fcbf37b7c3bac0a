import type { KubeObject } from '../kube/object.ts'
import { sleep } from '../lib/abort.ts'
import { assertNever } from '../lib/assert-never.ts'
import type { Clock } from '../lib/clock.ts'
import { Condition } from './condition.ts'
import type { Delta } from './delta.ts'
import type { DeltaReader } from './delta-reader.ts'
import type { Handler, Registration } from './handlers.ts'

export interface HandlerLoopOptions<T extends KubeObject> {
  readonly handler: Handler<T>
  readonly openReader: (signal: AbortSignal) => DeltaReader<T>
  /** What a handler resync shows: the objects of the store that no delta waits for. */
  readonly settledObjects: () => readonly T[]
  /** Milliseconds; 0 = never. */
  readonly resyncPeriod: number
  readonly onError: (error: unknown) => void
  readonly clock: Clock
}

type Work<T extends KubeObject> =
  | { readonly type: 'Deltas'; readonly deltas: readonly Delta<T>[] }
  | { readonly type: 'Resync'; readonly objects: readonly T[] }

/** Deltas that wait for a handler, at most (and one batch): from then on it holds up its informer. */
const MAX_WAITING = 10_000
const AFTER_ERROR_MS = 1000

/** Calls one handler, one delta at a time, and lets it fall behind its informer by a bounded number of deltas. */
export class HandlerLoop<T extends KubeObject> implements Registration {
  readonly #options: HandlerLoopOptions<T>
  readonly #stop = new AbortController()
  readonly #reader: DeltaReader<T>
  readonly #changed = new Condition()
  readonly #work: Work<T>[] = []
  #waiting = 0
  /** All initial objects have been handed to the handler, and its calls have ended. */
  #hasSynced = false
  #resyncDue = false
  #resyncTimer: Disposable | undefined
  readonly #synced = Promise.withResolvers<void>()
  /** Never rejects but for a bug. */
  readonly done: Promise<void>

  constructor(options: HandlerLoopOptions<T>) {
    this.#options = options
    this.#reader = options.openReader(this.#stop.signal)
    // most never ask whether they have synced
    this.#synced.promise.catch(() => {})
    this.done = this.#run()
    this.#armResync()
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  get synced(): Promise<void> {
    return this.#synced.promise
  }

  async remove(): Promise<void> {
    this.stop()
    await this.done
  }

  /** No callback starts after this. */
  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    try {
      await Promise.all([this.#collect(signal), this.#callAll(signal)])
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#resyncTimer?.[Symbol.dispose]()
      this.#synced.reject(
        new DOMException('the handler was removed, or its informer stopped, before it had synced', 'AbortError'),
      )
    }
  }

  async #collect(signal: AbortSignal): Promise<void> {
    for await (const deltas of this.#reader) {
      this.#waiting += deltas.length
      this.#work.push({ type: 'Deltas', deltas })
      this.#resyncIfDue()
      this.#changed.notify()
      await this.#changed.wait(() => this.#waiting < MAX_WAITING, signal)
    }
    this.stop()
  }

  async #callAll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#changed.wait(() => this.#work.length > 0, signal)
      const work = this.#work.shift()
      if (work?.type === 'Deltas') {
        for (const delta of work.deltas) await this.#call(() => this.#deliver(delta), signal)
        this.#waiting -= work.deltas.length
        this.#changed.notify()
      } else if (work?.type === 'Resync') {
        for (const object of work.objects) {
          await this.#call(() => this.#options.handler.onUpdate?.(object, object), signal)
        }
        this.#armResync()
      }
    }
  }

  async #call(callback: () => unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    try {
      await callback()
    } catch (error) {
      this.#options.onError(error)
      await sleep(AFTER_ERROR_MS, this.#options.clock, signal)
    }
  }

  #deliver(delta: Delta<T>): unknown {
    const { handler } = this.#options
    switch (delta.type) {
      case 'Added':
        return handler.onAdd?.(delta.object, !this.#hasSynced)
      case 'Updated':
        return handler.onUpdate?.(delta.previous ?? delta.object, delta.object)
      case 'Deleted': {
        const { identity, object, finalStateKnown } = delta
        return handler.onDelete?.(finalStateKnown && object ? object : { identity, object })
      }
      case 'Progress':
        // the first one ends the list, or the replay of the store: every handler begins with one of them
        this.#hasSynced = true
        return this.#synced.resolve()
      case 'Gap':
        return
      default:
        return assertNever(delta)
    }
  }

  #armResync(): void {
    const { clock, resyncPeriod } = this.#options
    if (resyncPeriod === 0 || this.#stop.signal.aborted) return
    this.#resyncTimer = clock.after(resyncPeriod, () => {
      this.#resyncDue = true
      this.#resyncIfDue()
    })
  }

  /** In step with the store only: else the handler would see an object before the delta that made it so. */
  #resyncIfDue(): void {
    if (!this.#resyncDue || !this.#reader.inStep) return
    this.#resyncDue = false
    this.#work.push({ type: 'Resync', objects: this.#options.settledObjects() })
    this.#changed.notify()
  }
}
