/**
 * One stream of the bridge: found by discovery, read, reconciled, translated and offered to every sink that it leads to.
 * Guarantee: it ends only with its signal. Whatever fails is reported, shown in `status`, and tried again.
 */
import type { Informer } from '../informer/informer.ts'
import { KubeError } from '../kube/errors.ts'
import {
  compareResourceVersions,
  type KubeObject,
  type ObjectKey,
  type Resource,
  type ResourceVersion,
} from '../kube/object.ts'
import { sleep } from '../lib/abort.ts'
import { ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Change, Notable, Snapshot } from '../reconcile/change.ts'
import { Reconciler } from '../reconcile/reconciler.ts'
import type { Audience, ResyncOptions, SnapshotStore } from '../reconcile/snapshots.ts'
import { Ledger } from '../state/ledger.ts'
import type { StateRecord } from '../state/record.ts'
import type { StateStore } from '../state/store.ts'
import type { StreamState } from '../state/stream-state.ts'
import { createTranslator, type StreamScope, type Translation } from '../translate/translate.ts'
import type { Output } from './output.ts'

/** How a stream does, for readiness and logs. */
export type BridgeStreamStatus =
  /** Its resource is not known yet; `error` says why, once it was asked for. */
  | { readonly type: 'discovering'; readonly error: Error | undefined }
  | { readonly type: 'starting' }
  | { readonly type: 'synced' }
  /** It goes on trying. `synced`: it was in order before. */
  | { readonly type: 'degraded'; readonly error: Error; readonly synced: boolean }

export interface BridgeStreamOptions {
  /** `<source name>/<resource>[/<namespace>]`. */
  readonly name: string
  readonly cluster: string
  readonly scope: StreamScope
  readonly resync: ResyncOptions
  /** `repeat`: the sink could not be told of the snapshot. */
  readonly outputs: (repeat: (sink: string, snapshot: Snapshot) => void) => readonly Output[]
  readonly discover: () => Promise<Resource>
  /** Shared with every other stream over the same objects; already started, until the bridge stops. */
  readonly informer: (resource: Resource) => Informer
  /** Names of the sinks that hold its checkpoint. */
  readonly required: readonly string[]
  readonly store: StateStore
  readonly onChange: (change: Change) => void
  /** Something failed that is tried again. */
  readonly onError: (error: unknown) => void
  readonly snapshotId: () => string
  readonly clock: Clock
  readonly random: Random
}

/** A resource that is not served yet is asked for this often: a new CRD is watched within seconds. */
const DISCOVERY_BACKOFF = { initialMs: 1_000, maxMs: 5_000 } as const
const RESTART_BACKOFF = { initialMs: 1_000, maxMs: 30_000 } as const

/** Each sink has snapshots of its own, at its own pace. */
interface OutputAudience extends Audience {
  readonly output: Output
}

interface Following {
  readonly ledger: Ledger
  readonly translate: (change: Notable) => Translation
}

/** What has changed is persisted so late at most. */
const NOTED_WITHIN_MS = 1_000

export class BridgeStream {
  readonly #options: BridgeStreamOptions
  readonly #outputs: readonly Output[]
  readonly #audiences: readonly OutputAudience[]
  #reconciler: Reconciler<KubeObject, OutputAudience> | undefined
  #informer: Informer | undefined
  #state: StreamState | undefined
  #ledger: Ledger | undefined
  #noteTimer: Disposable | undefined
  #failure: Error | undefined
  #position: ResourceVersion | undefined
  /** The first list is in, and its snapshot has begun. */
  #synced = false

  constructor(options: BridgeStreamOptions) {
    this.#options = options
    this.#outputs = options.outputs((sink, snapshot) => {
      const audience = this.#audiences.find(({ output }) => output.view.sink === sink)
      if (audience) this.#reconciler?.repeat(snapshot, audience)
    })
    this.#audiences = this.#outputs.map((output) => ({
      output,
      hasRoom: () => output.hasRoom,
      debt: () => output.debt,
    }))
    for (const output of this.#outputs) output.onRoom(() => this.#reconciler?.wake())
  }

  get name(): string {
    return this.#options.name
  }

  get outputs(): readonly Output[] {
    return this.#outputs
  }

  /** The resourceVersion that all outputs have been offered everything up to. */
  get position(): ResourceVersion | undefined {
    return this.#position
  }

  /** Objects in the store. */
  get objects(): number {
    return this.#informer?.indexer.size ?? 0
  }

  /** The object of this key as it was last seen; undefined: there is none. `unknown` until all were seen once. */
  object(key: string): KubeObject | 'unknown' | undefined {
    return this.#synced && this.#informer ? this.#informer.indexer.get(key) : 'unknown'
  }

  get status(): BridgeStreamStatus {
    const synced = this.#synced
    if (!this.#informer) return { type: 'discovering', error: this.#failure }
    const { status } = this.#informer
    if (status.type === 'degraded') return { type: 'degraded', error: status.error, synced }
    if (this.#failure) return { type: 'degraded', error: this.#failure, synced }
    return { type: synced ? 'synced' : 'starting' }
  }

  /** Ends after `stop` aborts: then what was read is still offered, until `drain` aborts. */
  async run(stop: AbortSignal, drain: AbortSignal): Promise<void> {
    const backoff = new ExponentialBackoff(RESTART_BACKOFF, this.#options.random)
    while (!stop.aborted) {
      try {
        const resource = await this.#discover(stop)
        await this.#follow(resource, stop, drain)
      } catch (error) {
        if (stop.aborted || drain.aborted) return
        this.#failure = error instanceof Error ? error : new Error(String(error))
        this.#options.onError(error)
        await sleep(backoff.next(), this.#options.clock, stop).catch(() => undefined) // aborted: the loop ends
      }
    }
  }

  async #discover(stop: AbortSignal): Promise<Resource> {
    const { discover, clock, random, onError } = this.#options
    const backoff = new ExponentialBackoff(DISCOVERY_BACKOFF, random)
    for (;;) {
      try {
        return await discover()
      } catch (error) {
        if (stop.aborted || !(error instanceof KubeError)) throw error
        this.#failure = error
        onError(error)
        await sleep(Math.max(backoff.next(), error.retryAfterMs ?? 0), clock, stop)
      }
    }
  }

  /** Persists what has changed since the last time. */
  async note(): Promise<void> {
    this.#noteTimer?.[Symbol.dispose]()
    this.#noteTimer = undefined
    const ledger = this.#ledger
    // entries first: a watermark stands for what they say
    if (ledger)
      await this.#write([...ledger.takeChanged(), ...this.#outputs.flatMap((one) => one.takeNotes(this.name))])
  }

  async #follow(resource: Resource, stop: AbortSignal, drain: AbortSignal): Promise<void> {
    const { name, cluster, scope, resync, clock, random, snapshotId } = this.#options
    const ledger = await this.#begin()
    const informer = this.#options.informer(resource)
    using reader = informer.deltas(stop)
    this.#informer = informer
    const store: SnapshotStore<KubeObject> = {
      objects: () => informer.indexer.objects(),
      get: (key) => informer.indexer.get(key as ObjectKey),
      scope: scope.labelSelector || scope.fieldSelector ? 'selected' : 'whole',
    }
    const translate = createTranslator({ cluster, stream: name, resource, scope })
    const audiences = this.#audiences
    const reconciler = new Reconciler({ stream: name, reader, store, audiences, resync, clock, random, snapshotId })
    this.#reconciler = reconciler
    for await (const portion of reconciler.changes(stop)) {
      this.#failure = undefined
      if (portion.type === 'live') await this.#live(portion.changes, { ledger, translate }, drain)
      else await this.#own(portion.audience.output, portion.changes, { ledger, translate, store }, drain)
    }
  }

  async #live(changes: readonly Change[], { ledger, translate }: Following, drain: AbortSignal): Promise<void> {
    for (const change of changes) for (const output of this.#outputs) output.expect(change)
    await this.#write(ledger.takeExpected())
    for (const change of changes) {
      this.#options.onChange(change)
      if (change.type === 'Gap' && change.cause === 'restored') await this.#startOver(ledger)
      if (change.type === 'Progress') this.#complete(change.resourceVersion)
      else await this.#offer(change, translate, drain)
    }
    this.#noteSoon()
  }

  /** A part of a sink's snapshot, or of what it is owed. */
  async #own(
    output: Output,
    changes: Iterable<Notable>,
    { ledger, translate, store }: Following & { readonly store: SnapshotStore<KubeObject> },
    drain: AbortSignal,
  ): Promise<void> {
    for (const change of changes) {
      this.#options.onChange(change)
      if (change.type === 'SnapshotBegin' && change.snapshot.mode === 'full') {
        output.expectAll(store.objects())
        await this.#write(ledger.takeExpected())
      }
      await output.send(change, translate(change), drain)
      this.#moveTo(change)
    }
  }

  /** What is remembered of the stream, and how each of its sinks begins. */
  async #begin(): Promise<Ledger> {
    const { name, store, required } = this.#options
    this.#state ??= await store.stateOf(name)
    const state = this.#state
    const sinks = this.#outputs.map(({ view }) => ({ name: view.sink, view: '' }))
    const defined: StateRecord = { type: 'stream', stream: name, definition: '', sinks }
    state.apply(defined)
    const ledger = new Ledger(state, { required, keeps: store.keeps })
    this.#ledger = ledger
    for (const output of this.#outputs) {
      const onSettled = () => this.#noteSoon()
      output.start(ledger, { watermark: undefined, debt: { kind: 'new', cause: 'restart' }, onSettled })
    }
    return ledger
  }

  /** The server has another history. That is noted before anybody is told: a crash must not make one forget it. */
  async #startOver(ledger: Ledger): Promise<void> {
    const { name } = this.#options
    ledger.restored()
    const owed = this.#outputs.map(
      ({ view }): StateRecord => ({ type: 'debt', stream: name, sink: view.sink, kind: 'restored' }),
    )
    await this.#write([{ type: 'restored', stream: name }, ...owed])
  }

  async #offer(change: Notable, translate: Following['translate'], drain: AbortSignal): Promise<void> {
    const translation = translate(change)
    for (const output of this.#outputs) {
      const form = output.formOf(change)
      if (!form) output.skip(change)
      else await output.offer(form, form === change ? translation : translate(form), drain)
    }
    this.#moveTo(change)
  }

  #moveTo(change: Notable): void {
    this.#synced = true
    const position = change.type === 'Gap' ? change.to : change.resourceVersion
    const restored = change.type === 'Gap' && change.cause === 'restored'
    if (restored || !this.#position || compareResourceVersions(position, this.#position) > 0) this.#position = position
  }

  #complete(position: ResourceVersion): void {
    for (const output of this.#outputs) output.complete(position)
    this.#position = position
  }

  async #write(records: readonly StateRecord[]): Promise<void> {
    if (records.length > 0) await this.#options.store.write(records)
  }

  /** Within a second, if there is somebody who remembers it. */
  #noteSoon(): void {
    const { store, clock, onError } = this.#options
    if (store.keeps === 'nothing') return
    this.#noteTimer ??= clock.after(NOTED_WITHIN_MS, () => {
      this.#noteTimer = undefined
      void this.note().catch(onError)
    })
  }
}
