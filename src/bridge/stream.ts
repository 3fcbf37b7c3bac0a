/**
 * One stream of the bridge: found by discovery, read, reconciled, translated and offered to every sink that it leads to.
 * Guarantee: it ends only with its signal. Whatever fails is reported, shown in `status`, and tried again.
 */
import type { Informer } from '../informer/informer.ts'
import { KubeError } from '../kube/errors.ts'
import { compareResourceVersions, type KubeObject, type Resource, type ResourceVersion } from '../kube/object.ts'
import { sleep } from '../lib/abort.ts'
import { ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Change, Snapshot } from '../reconcile/change.ts'
import { Reconciler } from '../reconcile/reconciler.ts'
import type { Audience, ResyncOptions } from '../reconcile/snapshots.ts'
import { createTranslator, type Notable, type StreamScope, type Translation } from '../translate/translate.ts'
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

/** Outputs that share their snapshots. */
interface OutputAudience extends Audience {
  readonly outputs: readonly Output[]
}

export class BridgeStream {
  readonly #options: BridgeStreamOptions
  readonly #outputs: readonly Output[]
  readonly #audiences: readonly OutputAudience[]
  #reconciler: Reconciler<KubeObject, OutputAudience> | undefined
  #informer: Informer | undefined
  #failure: Error | undefined
  #position: ResourceVersion | undefined
  /** The first list is in, and its snapshot has begun. */
  #synced = false

  constructor(options: BridgeStreamOptions) {
    this.#options = options
    this.#outputs = options.outputs((sink, snapshot) => {
      const audience = this.#audiences.find(({ outputs }) => outputs.some(({ view }) => view.sink === sink))
      if (audience) this.#reconciler?.repeat(snapshot, audience)
    })
    this.#audiences = audiencesOf(this.#outputs)
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

  async #follow(resource: Resource, stop: AbortSignal, drain: AbortSignal): Promise<void> {
    const { name, cluster, scope, resync, clock, random, snapshotId, onChange } = this.#options
    const informer = this.#options.informer(resource)
    using reader = informer.deltas(stop)
    this.#informer = informer
    const translate = createTranslator({ cluster, stream: name, resource, scope })
    const objects = () => informer.indexer.objects()
    const audiences = this.#audiences
    const reconciler = new Reconciler({ stream: name, reader, objects, audiences, resync, clock, random, snapshotId })
    this.#reconciler = reconciler
    for await (const { audience, changes } of reconciler.changes(stop)) {
      this.#failure = undefined
      for (const change of changes) {
        onChange(change)
        if (change.type === 'Progress') this.#complete(change.resourceVersion)
        else await this.#offer(change, translate(change), audience, drain)
      }
    }
  }

  async #offer(
    change: Notable,
    translation: Translation,
    audience: OutputAudience | undefined,
    drain: AbortSignal,
  ): Promise<void> {
    if (audience) for (const output of audience.outputs) await output.send(change, translation, drain)
    else for (const output of this.#outputs) await output.offer(change, translation, drain)
    this.#synced = true
    const position = change.type === 'Gap' ? change.to : change.resourceVersion
    const restored = change.type === 'Gap' && change.cause === 'restored'
    if (restored || !this.#position || compareResourceVersions(position, this.#position) > 0) this.#position = position
  }

  #complete(position: ResourceVersion): void {
    for (const output of this.#outputs) output.complete(position)
    this.#position = position
  }
}

/** Sinks that wait for each other anyway share their snapshots. */
function audiencesOf(outputs: readonly Output[]): readonly OutputAudience[] {
  const blocking = outputs.filter(({ hasOwnSnapshots }) => !hasOwnSnapshots)
  const alone = outputs.filter(({ hasOwnSnapshots }) => hasOwnSnapshots)
  const own = alone.map((output) => ({
    outputs: [output],
    hasRoom: () => output.hasRoom,
    debt: () => output.debt,
  }))
  if (blocking.length === 0) return own
  return [{ outputs: blocking, hasRoom: () => true, debt: () => undefined }, ...own]
}
