import { addAbortListener } from 'node:events'
import type { KubeObject, Timestamp } from '../kube/object.ts'
import type { Clock } from '../lib/clock.ts'
import type { Condition } from './condition.ts'
import type { Delta, Seen } from './delta.ts'
import { MAX_POP } from './delta-queue.ts'
import type { DeltaReader } from './delta-reader.ts'
import type { DeltaSource } from './delta-source.ts'
import type { Store } from './indexer.ts'

export interface LockstepOptions<T extends KubeObject> {
  readonly source: DeltaSource<T>
  readonly store: Store<T>
  readonly clock: Clock
  /** Notified whenever a reader may have something to take, or never will again. */
  readonly changed: Condition
  /** Why nothing comes any more; undefined as long as something may. */
  readonly ended: () => { readonly reason: unknown } | undefined
}

/**
 * Lets several readers read one source. Each portion of deltas is applied to the store once and handed to every reader;
 * the next entry is applied only when all have taken what came before it. With no reader, nobody has to be waited for.
 */
export class Lockstep<T extends KubeObject> {
  readonly #options: LockstepOptions<T>
  readonly #readers = new Set<Reader<T>>()

  constructor(options: LockstepOptions<T>) {
    this.#options = options
  }

  get readers(): number {
    return this.#readers.size
  }

  /** A reader until `signal` aborts or it is disposed. It first gets what the store holds. */
  open(signal: AbortSignal): DeltaReader<T> {
    const reader = new Reader<T>(this, this.#options, signal)
    if (!signal.aborted) this.#readers.add(reader)
    return reader
  }

  close(reader: Reader<T>): void {
    if (!this.#readers.delete(reader)) return
    this.runUnread()
    this.#options.changed.notify()
  }

  /** Applies what waits, if there is no reader that could take it. */
  runUnread(): void {
    const { source, changed } = this.#options
    if (this.#readers.size > 0 || !source.waiting) return
    while (source.waiting) source.next()
    changed.notify()
  }

  /** Whether `advance` would apply something. */
  get canAdvance(): boolean {
    const { source } = this.#options
    if (!source.waiting) return false
    if (source.replacement) return true
    for (const reader of this.#readers) if (!reader.upToDate) return false
    return true
  }

  /** Applies the next batch and hands its deltas to every reader. */
  advance(): void {
    const { source, changed } = this.#options
    const replacement = source.replacement
    const deltas = source.next()
    if (deltas.length === 0) return
    for (const reader of this.#readers) reader.hand(deltas, replacement)
    changed.notify()
  }
}

class Reader<T extends KubeObject> implements DeltaReader<T> {
  readonly #lockstep: Lockstep<T>
  readonly #options: LockstepOptions<T>
  readonly #signal: AbortSignal
  readonly #listener: Disposable
  /** Handed over and not taken: at most one portion, but for those of one list. */
  readonly #handed: (readonly Delta<T>[])[] = []
  /** The store as it was when this reader came, until it has been taken. */
  #replay: Replay<T> | undefined
  /** A list that was being taken when this reader came: the replay holds all of it. */
  readonly #skip: symbol | undefined
  #closed: { readonly reason: unknown } | undefined

  constructor(lockstep: Lockstep<T>, options: LockstepOptions<T>, signal: AbortSignal) {
    this.#lockstep = lockstep
    this.#options = options
    this.#signal = signal
    this.#skip = options.source.replacement
    this.#replay = replayOf(options.store, options.clock)
    this.#listener = addAbortListener(signal, () => this.#close(signal.reason))
  }

  get upToDate(): boolean {
    return this.#replay === undefined && this.#handed.length === 0
  }

  get inStep(): boolean {
    const { replacement } = this.#options.source
    return !this.#closed && this.upToDate && (replacement === undefined || replacement === this.#skip)
  }

  hand(deltas: readonly Delta<T>[], replacement: symbol | undefined): void {
    if (replacement === undefined || replacement !== this.#skip) this.#handed.push(deltas)
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#options.changed.wait(() => this.#available || this.#end !== undefined, signal)
    if (this.#end) throw this.#end.reason
  }

  take(): readonly Delta<T>[] {
    if (this.#closed) return []
    if (this.#replay) return this.#takeReplay(this.#replay)
    while (this.#handed.length === 0 && this.#lockstep.canAdvance) this.#lockstep.advance()
    const deltas = this.#handed.shift()
    if (!deltas) return []
    // somebody else may have waited for this reader
    if (this.#handed.length === 0) this.#options.changed.notify()
    return deltas
  }

  #takeReplay(replay: Replay<T>): readonly Delta<T>[] {
    const deltas = replay.next()
    if (replay.done) {
      this.#replay = undefined
      this.#options.changed.notify()
    }
    return deltas
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Delta<T>[], void, void> {
    const { changed } = this.#options
    try {
      while (!this.#signal.aborted) {
        await changed.wait(() => this.#available || this.#end !== undefined, this.#signal)
        if (this.#end) return
        const deltas = this.take()
        if (deltas.length > 0) yield deltas
      }
    } catch (error) {
      if (!this.#signal.aborted) throw error
    } finally {
      this[Symbol.dispose]()
    }
  }

  [Symbol.dispose](): void {
    this.#close(new DOMException('the reader was closed', 'AbortError'))
  }

  get #available(): boolean {
    return this.#replay !== undefined || this.#handed.length > 0 || this.#lockstep.canAdvance
  }

  /** Why nothing will ever be taken again. */
  get #end(): { readonly reason: unknown } | undefined {
    return this.#closed ?? (this.#available ? undefined : this.#options.ended())
  }

  #close(reason: unknown): void {
    if (this.#closed) return
    this.#closed = { reason }
    this.#listener[Symbol.dispose]()
    this.#replay = undefined
    this.#handed.length = 0
    this.#lockstep.close(this)
  }
}

/** The store as deltas. It does not change meanwhile: whoever replays is a reader that has not taken everything. */
class Replay<T extends KubeObject> {
  readonly #objects: Iterator<T>
  readonly #seen: Seen
  #left: number

  constructor({ size, objects }: { readonly size: number; readonly objects: Iterator<T> }, seen: Seen) {
    this.#left = size
    this.#objects = objects
    this.#seen = seen
  }

  get done(): boolean {
    return this.#left < 0
  }

  next(): readonly Delta<T>[] {
    const deltas: Delta<T>[] = []
    while (this.#left > 0 && deltas.length < MAX_POP) {
      this.#left--
      const next = this.#objects.next()
      if (!next.done) deltas.push({ type: 'Added', object: next.value, ...this.#seen })
    }
    if (this.#left > 0) return deltas
    this.#left = -1
    deltas.push({ type: 'Progress', resourceVersion: this.#seen.resourceVersion })
    return deltas
  }
}

function replayOf<T extends KubeObject>(store: Store<T>, clock: Clock): Replay<T> | undefined {
  const { resourceVersion, size } = store
  if (resourceVersion === undefined) return undefined
  const observedAt = clock.now().toISOString() as Timestamp
  return new Replay(
    { size, objects: store.objects() },
    { resourceVersion, observed: 'relist', observedAt, collapsed: false },
  )
}
