/**
 * How a stream becomes changes: its deltas as they come, and snapshots of it at the start, on schedule and on request.
 *
 * Guarantees: changes are in the order of the stream's positions. The first list is a snapshot, never `Added`.
 * A snapshot is `SnapshotBegin`, an item for every object that no live change stood for meanwhile, and `SnapshotEnd`
 * with what is true at exactly its position; live changes go on in between. One that cannot end is `SnapshotAborted`.
 */
import { addAbortListener } from 'node:events'
import type { Delta } from '../informer/delta.ts'
import type { DeltaReader } from '../informer/delta-reader.ts'
import {
  compareResourceVersions,
  type KubeObject,
  type ResourceVersion,
  type Timestamp,
  type Uid,
} from '../kube/object.ts'
import { assertNever } from '../lib/assert-never.ts'
import { ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Change, Snapshot, SnapshotMode, SnapshotReason, SnapshotResult } from './change.ts'
import { Members } from './members.ts'

/** Scheduled reconciliation of a stream. */
export interface ResyncOptions {
  /** Milliseconds from the end of one snapshot to the next, ±10 %; 0 = only on request. */
  readonly everyMs: number
  /** What a scheduled snapshot holds; `off`: none is scheduled. The first is always full. */
  readonly snapshot: 'full' | 'markers' | 'off'
}

export interface ReconcilerOptions<T extends KubeObject> {
  /** Name of the stream: `<source>/<resource>[/<namespace>]`. */
  readonly stream: string
  readonly reader: DeltaReader<T>
  /** The informer's store. The iterator may be held while the store changes, as that of a Map. */
  readonly objects: () => IterableIterator<T>
  readonly resync: ResyncOptions
  /** The random part of a snapshot's id: unique among all snapshots of the stream, also after a restart. */
  readonly snapshotId: () => string
  readonly clock: Clock
  readonly random: Random
}

/** Items per batch: small enough that live changes never wait long behind them. */
const ITEMS_AT_ONCE = 100

const REPEAT = { initialMs: 60_000, maxMs: 3_600_000 } as const

interface Due {
  readonly reason: SnapshotReason
  readonly mode: SnapshotMode
}

interface Running<T extends KubeObject> {
  readonly snapshot: Snapshot
  readonly left: IterableIterator<T>
  /** Members that a live change has stood for since `begin`. */
  readonly touched: Set<Uid>
  added: number
  updated: number
  deleted: number
}

export class Reconciler<T extends KubeObject = KubeObject> {
  readonly #options: ReconcilerOptions<T>
  readonly #members = new Members()
  #position: ResourceVersion | undefined
  #running: Running<T> | undefined
  #due: Due | undefined
  /** Of the next scheduled snapshot. */
  #timer: Disposable | undefined
  /** Of one that is to be sent again; a full one that begins before makes it needless. */
  #repeatTimer: Disposable | undefined
  #wake: () => void = () => {}
  readonly #repeat: ExponentialBackoff
  #ended = false

  constructor(options: ReconcilerOptions<T>) {
    this.#options = options
    this.#repeat = new ExponentialBackoff(REPEAT, options.random)
  }

  /** The resourceVersion that the stream has read up to; undefined until the first list is in. */
  get position(): ResourceVersion | undefined {
    return this.#position
  }

  /** Asks for a snapshot as soon as none is running; several requests are one. */
  request(reason: SnapshotReason, mode: SnapshotMode): void {
    // a full snapshot answers every request
    if (this.#due?.mode !== 'full') this.#due = { reason, mode }
    this.#wake()
  }

  /**
   * Asks for the snapshot again, because a sink could not be told of it: after one or two minutes, and after twice as
   * long each time that it happens again before the next scheduled one, up to an hour or two.
   */
  repeat({ reason, mode }: Snapshot): void {
    // a sink that drains may tell of it after the stream has ended: a timer would keep the process
    if (this.#ended) return
    const delayMs = this.#repeat.next()
    this.#repeatTimer?.[Symbol.dispose]()
    this.#repeatTimer = this.#options.clock.after(delayMs, () => this.request(reason, mode))
  }

  /** Batches of changes, never empty. Ends after `signal` aborts, with the abort of a snapshot that is still running. */
  async *changes(signal: AbortSignal): AsyncGenerator<readonly Change<T>[], void> {
    const { reader } = this.#options
    try {
      while (!signal.aborted) {
        const deltas = reader.take()
        if (deltas.length > 0) {
          const changes = this.#apply(deltas)
          if (changes.length > 0) yield changes
        }
        if (this.#position && this.#due && !this.#running) yield [this.#begin(this.#position, this.#due)]
        else if (this.#position && this.#running) yield* this.#advance(this.#position, this.#running)
        else if (deltas.length === 0) await this.#idle(signal)
      }
    } finally {
      this.#ended = true
      this.#timer?.[Symbol.dispose]()
      this.#repeatTimer?.[Symbol.dispose]()
    }
    if (this.#position && this.#running) yield [this.#abort(this.#position, this.#running, 'the stream was stopped')]
  }

  /** Resolves when there is something to do, or `signal` aborted. */
  async #idle(signal: AbortSignal): Promise<void> {
    const settled = new AbortController()
    const woken = Promise.withResolvers<void>()
    this.#wake = woken.resolve
    using _ = addAbortListener(signal, () => settled.abort(signal.reason))
    try {
      await Promise.race([woken.promise, this.#options.reader.ready(settled.signal)])
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#wake = () => {}
      settled.abort()
    }
  }

  #apply(deltas: readonly Delta<T>[]): readonly Change<T>[] {
    const changes: Change<T>[] = []
    for (const delta of deltas) {
      if (delta.type === 'Gap' && delta.cause === 'restored') changes.push(...this.#startOver(delta.to))
      this.#follow(delta)
      // before its first Progress a stream has no position: what comes until then is what the first snapshot is about
      if (this.#position === undefined && delta.type !== 'Progress') continue
      if (this.#position === undefined) this.#due = { reason: 'startup', mode: 'full' }
      this.#moveTo(delta)
      changes.push(delta)
    }
    return changes
  }

  /** Never back, but to a restored history: a delete that the server repeats comes at its old version. */
  #moveTo(delta: Delta<T>): void {
    const to = delta.type === 'Gap' ? delta.to : delta.resourceVersion
    const restored = delta.type === 'Gap' && delta.cause === 'restored'
    if (restored || !this.#position || compareResourceVersions(to, this.#position) > 0) this.#position = to
  }

  /** The server has another history now: no snapshot of the old one can end, and a full one of the new is owed. */
  #startOver(position: ResourceVersion): readonly Change<T>[] {
    const running = this.#running
    this.#due = { reason: 'gap', mode: 'full' }
    return running ? [this.#abort(position, running, 'the server was restored')] : []
  }

  #follow(delta: Delta<T>): void {
    const running = this.#running
    switch (delta.type) {
      case 'Added':
      case 'Updated':
        this.#members.put(delta.object)
        if (!running) return
        running.touched.add(delta.object.metadata.uid)
        running[delta.type === 'Added' ? 'added' : 'updated']++
        return
      case 'Deleted':
        this.#members.remove(delta.identity.uid)
        if (!running) return
        running.touched.delete(delta.identity.uid)
        running.deleted++
        return
      case 'Progress':
      case 'Gap':
        return
      default:
        assertNever(delta)
    }
  }

  #begin(resourceVersion: ResourceVersion, { reason, mode }: Due): Change<T> {
    const cold = reason === 'startup' || reason === 'gap'
    const id = `${this.#options.stream}:${this.#options.snapshotId()}`
    const snapshot: Snapshot = { id, reason, mode, ledger: cold ? 'cold' : 'warm' }
    const left = mode === 'full' ? this.#options.objects() : [].values()
    this.#due = undefined
    this.#timer?.[Symbol.dispose]()
    if (mode === 'full') this.#repeatTimer?.[Symbol.dispose]()
    if (reason === 'periodic') this.#repeat.reset()
    this.#running = { snapshot, left, touched: new Set(), added: 0, updated: 0, deleted: 0 }
    return { type: 'SnapshotBegin', snapshot, resourceVersion, observedAt: this.#observedAt() }
  }

  /** The next items; after the last, the end. Nothing while the store is ahead of this stream's position. */
  *#advance(resourceVersion: ResourceVersion, running: Running<T>): Generator<readonly Change<T>[]> {
    if (!this.#options.reader.inStep) return
    const { snapshot, left, touched } = running
    const observedAt = this.#observedAt()
    const items: Change<T>[] = []
    while (items.length < ITEMS_AT_ONCE) {
      const next = left.next()
      if (next.done) break
      if (touched.has(next.value.metadata.uid)) continue
      items.push({ type: 'SnapshotItem', snapshot, object: next.value, resourceVersion, observedAt })
    }
    if (items.length === 0) yield [this.#end(resourceVersion, running)]
    else yield items
  }

  #end(resourceVersion: ResourceVersion, { snapshot, touched, added, updated, deleted }: Running<T>): Change<T> {
    const items = this.#members.size
    const counts = { items, added, updated, deleted, unchanged: items - touched.size }
    const result: SnapshotResult = { ...counts, ...this.#members.digests() }
    this.#running = undefined
    this.#schedule()
    return { type: 'SnapshotEnd', snapshot, result, resourceVersion, observedAt: this.#observedAt() }
  }

  #abort(resourceVersion: ResourceVersion, { snapshot }: Running<T>, cause: string): Change<T> {
    this.#running = undefined
    return { type: 'SnapshotAborted', snapshot, cause, resourceVersion, observedAt: this.#observedAt() }
  }

  #schedule(): void {
    const { resync, clock, random } = this.#options
    if (resync.everyMs === 0 || resync.snapshot === 'off') return
    const mode = resync.snapshot
    // jitter keeps the snapshots of many streams apart
    this.#timer = clock.after(resync.everyMs * (0.9 + 0.2 * random()), () => this.request('periodic', mode))
  }

  #observedAt(): Timestamp {
    return this.#options.clock.now().toISOString() as Timestamp
  }
}
