import { addAbortListener } from 'node:events'
import type { KubeError } from '../kube/errors.ts'
import type { ListWatch } from '../kube/list-watch.ts'
import { asUnread, type KubeObject, keyOf, type ObjectKey, type ResourceVersion } from '../kube/object.ts'
import type { Random } from '../lib/backoff.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { Condition } from './condition.ts'
import { DeltaQueue } from './delta-queue.ts'
import type { DeltaReader } from './delta-reader.ts'
import { DeltaSource, type Scope } from './delta-source.ts'
import { HandlerLoop } from './handler-loop.ts'
import type { Handler, HandlerOptions, Registration } from './handlers.ts'
import { byNamespace, type Indexer, NAMESPACE_INDEX, Store } from './indexer.ts'
import { type Lister, listerOf } from './lister.ts'
import { Lockstep } from './lockstep.ts'
import { type InformerFault, type StreamObserver, silentObserver } from './observer.ts'
import { reflect } from './reflector.ts'
import { type ReflectorOptions, reflectorDefaults } from './reflector-options.ts'
import { RelistRequest } from './relist-request.ts'
import { beforeList, newestOf, type State } from './state.ts'
import type { Item, WatchEvent } from './watch-event.ts'

export interface InformerOptions<T extends KubeObject> {
  /** Whether the list and watch calls have selectors: then a DELETED frame may only mean that an object left them. */
  readonly scope: Scope
  /**
   * Called once for every object that the server sends, before anything keeps, compares or shows it. Must be
   * idempotent and may not change its argument. If it throws, the object goes on as its identity only.
   */
  readonly transform?: (object: T) => T
  /**
   * Asked after each 404: whether the server still has the resource in any version. If not, its objects are gone, and each
   * is `Deleted` at the last position. What cannot be known now counts as served. @default always served
   */
  readonly isServed?: (signal: AbortSignal) => Promise<boolean>
  /** Told of what went wrong, after it was dealt with. */
  readonly onError?: (fault: InformerFault) => void
  readonly observer?: StreamObserver
  /** Changes that wait for the readers, at most. When they are as many the watch is not read on. @default 10000 */
  readonly queueEntries?: number
  /** The same in bytes of their frames. @default 32 MiB */
  readonly queueBytes?: number
  /** Milliseconds between handler resyncs, for handlers that do not ask for a period of their own. @default 0, never */
  readonly resyncPeriod?: number
  /** What is known from before. @default nothing */
  readonly start?: InformerStart<T>
  readonly reflector?: Partial<Pick<ReflectorOptions, 'pageSize' | 'minWatchTimeoutMs' | 'backoff'>>
  readonly clock?: Clock
  readonly random?: Random
}

/**
 * What was there at a version that was read up to before: objects, or what is remembered of them (`asRemembered`).
 *
 * `Resume`: changes since are watched; nothing is missed if the server's history reaches back so far, else the differences
 * follow a gap. `Compare`: a list is compared with them at once, after a gap with the cause `restart`.
 *
 * Either way they come first, as `Added` up to a `Progress` at that version.
 */
export interface InformerStart<T extends KubeObject> {
  readonly type: 'Resume' | 'Compare'
  readonly resourceVersion: ResourceVersion
  /** The newest version that the server is known to have had; a lower one proves that it was restored. */
  readonly seen: ResourceVersion
  readonly objects: readonly T[]
}

export const informerDefaults = { queueEntries: 10_000, queueBytes: 32 * 1024 * 1024 } as const

/** Source: client-go, minimumResyncPeriod. */
const MIN_RESYNC_PERIOD_MS = 1000

/** How the stream does. No status is final: a degraded stream is retried for ever. */
export type StreamStatus =
  /** The first list is not in yet. */
  | { readonly type: 'starting' }
  | { readonly type: 'synced' }
  /** The last call to the server failed, with this. */
  | { readonly type: 'degraded'; readonly error: KubeError }

/**
 * One stream of objects: read by one reflector however many ask, kept in an indexer, handed on as deltas.
 *
 * Deltas come in the order in which the server reported the changes, one for each. After a gap they are the differences
 * between the store and a new list. A fault never ends the stream (see `status`); it ends with the signal of `start`.
 */
export class Informer<T extends KubeObject = KubeObject> {
  readonly #api: ListWatch<T>
  readonly #options: Omit<InformerOptions<T>, 'start'>
  /** Until it has begun there: it may hold every object once more. */
  #start: InformerStart<T> | undefined
  readonly #clock: Clock
  readonly #store: Store<T>
  readonly #changed = new Condition()
  readonly #relist = new RelistRequest()
  readonly #queue: DeltaQueue<T>
  readonly #source: DeltaSource<T>
  readonly #lockstep: Lockstep<T>
  readonly #lister: Lister<T>
  readonly #handlers = new Set<HandlerLoop<T>>()
  /** The shortest handler resync period asked for before the start; 0 = none. */
  #checkPeriod = 0
  #failure: KubeError | undefined
  /** The resource was found to be removed, and nothing was read of it since. */
  #forgotten = false
  #lastSyncResourceVersion: ResourceVersion | undefined
  #running: Promise<void> | undefined
  readonly #synced: Promise<void>
  #ended: { readonly reason: unknown } | undefined

  constructor(api: ListWatch<T>, options: InformerOptions<T>) {
    const { scope, observer = silentObserver, clock = systemClock } = options
    this.#api = api
    const { start, ...others } = options
    this.#options = others
    this.#start = start
    this.#clock = clock
    this.#store = new Store((index, key, error) => this.#report({ type: 'Index', index, key, error }))
    this.#store.addIndexers({ [NAMESPACE_INDEX]: byNamespace })
    this.#lister = listerOf(this.#store)
    this.#queue = new DeltaQueue({
      maxEntries: options.queueEntries ?? informerDefaults.queueEntries,
      maxBytes: options.queueBytes ?? informerDefaults.queueBytes,
      admit: (object) => this.#admit(object),
      blank: () => this.#store.blank(),
      clock,
      changed: this.#changed,
    })
    this.#source = new DeltaSource({ queue: this.#queue, store: this.#store, scope, observer })
    this.#lockstep = new Lockstep({
      source: this.#source,
      store: this.#store,
      clock,
      changed: this.#changed,
      ended: () => this.#ended,
    })
    this.#synced = this.#untilSynced()
    // most never ask
    this.#synced.catch(() => {})
  }

  /** The cache; written only when deltas are taken. */
  get indexer(): Indexer<T> {
    return this.#store
  }

  get lister(): Lister<T> {
    return this.#lister
  }

  /** The whole first list has been taken. Says nothing of what the readers have done with it. */
  get hasSynced(): boolean {
    return this.#source.synced
  }

  get status(): StreamStatus {
    if (this.#failure) return { type: 'degraded', error: this.#failure }
    return { type: this.hasSynced ? 'synced' : 'starting' }
  }

  /** Where the reflector is: the last list, frame or bookmark. The store may be behind it: `indexer.resourceVersion`. */
  get lastSyncResourceVersion(): ResourceVersion | undefined {
    return this.#lastSyncResourceVersion
  }

  get isStopped(): boolean {
    return this.#ended !== undefined
  }

  /** Starts reading until `signal` aborts. Starting again does nothing, whatever the signal. */
  start(signal: AbortSignal): void {
    this.#running ??= this.#run(signal)
  }

  /** Lists again as soon as a watch is open: what differs from the store follows, as after a gap. */
  relist(): void {
    this.#relist.ask()
  }

  /** Resolves when a started informer has stopped and its watch, timers and handlers rest; at once if never started. */
  async stopped(): Promise<void> {
    await this.#running
    await Promise.all([...this.#handlers].map((handler) => handler.done))
  }

  /** Resolves when `hasSynced`. Rejects if the informer is stopped before, with the reason of its signal. */
  get synced(): Promise<void> {
    return this.#synced
  }

  /** Pulls the deltas until `signal` aborts. While there is no reader, deltas are applied to the store and forgotten. */
  deltas(signal: AbortSignal): DeltaReader<T> {
    return this.#lockstep.open(signal)
  }

  /**
   * Calls `handler` for every object of the store, as initial, and from then on for every change: none twice, none left
   * out, whenever it is added. Throws an Error if the informer was stopped.
   */
  addEventHandler(handler: Handler<T>, options: HandlerOptions = {}): Registration {
    if (this.isStopped) throw new Error('the informer was stopped: it takes no more handlers')
    const loop = new HandlerLoop({
      handler,
      openReader: (signal) => this.deltas(signal),
      settledObjects: () => this.#settledObjects(),
      resyncPeriod: this.#resyncPeriod(options.resyncPeriod ?? this.#options.resyncPeriod ?? 0),
      onError: (error) => this.#report({ type: 'Handler', error }),
      clock: this.#clock,
    })
    this.#handlers.add(loop)
    void loop.done.finally(() => this.#handlers.delete(loop))
    return loop
  }

  /** Before the start the shortest period asked for is noted; after it, none is shorter. Source: client-go. */
  #resyncPeriod(asked: number): number {
    if (asked === 0) return 0
    const period = Math.max(asked, MIN_RESYNC_PERIOD_MS)
    if (this.#running !== undefined) return Math.max(period, this.#checkPeriod)
    this.#checkPeriod = this.#checkPeriod === 0 ? period : Math.min(this.#checkPeriod, period)
    return period
  }

  #settledObjects(): readonly T[] {
    const waiting = this.#queue.waitingKeys()
    const settled: T[] = []
    for (const [key, object] of this.#store.entries()) if (!waiting.has(key)) settled.push(object)
    return settled
  }

  async #untilSynced(): Promise<void> {
    await this.#changed.wait(() => this.hasSynced || this.isStopped, new AbortController().signal)
    if (!this.hasSynced) throw this.#ended?.reason
  }

  async #run(signal: AbortSignal): Promise<void> {
    using _ = addAbortListener(signal, () => this.#close())
    const options: ReflectorOptions = {
      ...reflectorDefaults,
      ...this.#options.reflector,
      clock: this.#clock,
      random: this.#options.random ?? Math.random,
      observer: this.#options.observer ?? silentObserver,
      relist: this.#relist,
    }
    try {
      for await (const items of reflect(this.#api, options, signal, this.#prime())) {
        this.#receive(items)
        if (this.#failure?.code === 'not-found') await this.#checkServed(signal)
        await this.#queue.room(signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#ended = { reason: signal.reason }
      this.#close()
    }
  }

  /** Where the reflector begins. */
  #prime(): State<T> | undefined {
    const start = this.#start
    this.#start = undefined
    if (!start) return undefined
    const { type, resourceVersion, seen, objects } = start
    const listed = objects.map((object) => ({ type: 'InitApply', object }) as const)
    this.#receive([{ type: 'Init' }, ...listed, { type: 'InitDone', cause: 'primed', resourceVersion }])
    if (type === 'Compare') return beforeList('restart', newestOf({ resourceVersion, unusableAfter: undefined, seen }))
    return { type: 'Lost', resourceVersion, unusableAfter: undefined, seen }
  }

  #close(): void {
    for (const handler of this.#handlers) handler.stop()
    this.#queue.close()
  }

  #receive(items: readonly Item<T>[]): void {
    const events: WatchEvent<T>[] = []
    for (const item of items) {
      this.#failure = item.type === 'Failed' ? item.error : undefined
      if (item.type !== 'Failed') this.#forgotten = false
      switch (item.type) {
        case 'Opened':
          break
        case 'Failed':
          this.#report({ type: 'Stream', error: item.error })
          break
        default:
          this.#lastSyncResourceVersion = positionOf(item) ?? this.#lastSyncResourceVersion
          events.push(item)
      }
    }
    if (events.length === 0) return
    this.#queue.push(events)
    this.#lockstep.runUnread()
  }

  /** A resource that was removed takes its objects with it, also those whose DELETED nobody was there to see. */
  async #checkServed(signal: AbortSignal): Promise<void> {
    const isServed = (await this.#options.isServed?.(signal)) ?? true
    const resourceVersion = this.#lastSyncResourceVersion
    if (isServed || resourceVersion === undefined || this.#forgotten) return
    this.#forgotten = true
    this.#queue.push([{ type: 'Init' }, { type: 'InitDone', cause: 'gone', resourceVersion }])
    this.#lockstep.runUnread()
  }

  #admit(object: T): { readonly key: ObjectKey; readonly object: T } | undefined {
    let key: ObjectKey | undefined
    try {
      key = keyOf(object.metadata)
      return { key, object: this.#options.transform?.(object) ?? object }
    } catch (error) {
      this.#report({ type: 'Object', key, error })
      return key && { key, object: asUnread(object, 'transform') }
    }
  }

  /** A hook that throws must not end the stream that it observes, and there is nobody left to tell. */
  #report(fault: InformerFault): void {
    try {
      this.#options.onError?.(fault)
    } catch {}
  }
}

function positionOf<T extends KubeObject>(event: WatchEvent<T>): ResourceVersion | undefined {
  switch (event.type) {
    case 'Init':
    case 'InitApply':
    case 'InitDelete':
      return undefined
    case 'InitDone':
    case 'Bookmark':
      return event.resourceVersion
    case 'Apply':
    case 'Delete':
      return event.object.metadata.resourceVersion
  }
}
