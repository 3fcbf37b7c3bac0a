/**
 * One stream of the bridge: found by discovery, read, reconciled, translated and offered to every sink that it leads to.
 * Guarantee: it ends only with its signal. Whatever fails is reported, shown in `status`, and tried again.
 */
import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Informer } from '../informer/informer.ts'
import { KubeError } from '../kube/errors.ts'
import {
  apiVersionOf,
  compareResourceVersions,
  type KubeObject,
  type ObjectKey,
  type Resource,
  type ResourceVersion,
  type Uid,
} from '../kube/object.ts'
import { abortable, sleep } from '../lib/abort.ts'
import { ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Audience, ResyncOptions, SnapshotStore } from '../reconcile/audience.ts'
import type { Change, Notable, Snapshot, SnapshotOutcome, SnapshotRequest } from '../reconcile/change.ts'
import { identityOfKey } from '../reconcile/held.ts'
import { type PastOfServer, planStart, restoredStart, type StartPlan } from '../reconcile/ladder.ts'
import { Reconciler } from '../reconcile/reconciler.ts'
import type { Verified, VerifiedServer } from '../reconcile/verifier.ts'
import { Ledger } from '../state/ledger.ts'
import type { StateRecord } from '../state/record.ts'
import type { StateStore } from '../state/store.ts'
import { createTranslator, type StreamScope, type Translation } from '../translate/translate.ts'
import type { Start } from './informers.ts'
import type { Output } from './output.ts'
import { StreamNotes } from './stream-notes.ts'

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
  /** `settled`: how a snapshot has ended for the sink. */
  readonly outputs: (settled: (sink: string, snapshot: Snapshot, outcome: SnapshotOutcome) => void) => readonly Output[]
  readonly discover: () => Promise<Resource>
  /** Shared with every other stream over the same objects; already started, until the bridge stops. */
  readonly informer: (resource: Resource, start: Start | undefined) => Informer
  readonly past: (resource: Resource) => PastOfServer & Pick<VerifiedServer, 'pages'>
  /** What the stream is about, besides its resource: a change of it is noticed after a restart. */
  readonly definition: unknown
  /** How it has started. */
  readonly onStart: (plan: StartPlan) => void
  /** Names of the sinks that hold its checkpoint. */
  readonly required: readonly string[]
  readonly store: StateStore
  /** `sink`: it is for that one alone. */
  readonly onChange: (change: Change, sink?: string) => void
  /** A scheduled snapshot was left out for a sink, because the one before has not ended. */
  readonly onSkipped: () => void
  /** The store was compared with the server. */
  readonly onVerified: (verified: Verified) => void
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
  readonly store: SnapshotStore<KubeObject>
  readonly translate: (change: Notable) => Translation
}

function fingerprint(value: unknown): string {
  return hash('sha256', JSON.stringify(value), 'base64url').slice(0, 16)
}

/** A burst is not taken in one go: what is under way to sinks has its turns in between. */
const CHANGES_PER_TURN = 50

/** The same of objects that nothing is sent of yet. */
const OBJECTS_PER_TURN = 1_000

export class BridgeStream {
  readonly #options: BridgeStreamOptions
  readonly #outputs: readonly Output[]
  readonly #audiences: readonly OutputAudience[]
  readonly #notes: StreamNotes
  #reconciler: Reconciler<KubeObject, OutputAudience> | undefined
  #informer: Informer | undefined
  /** Where nothing has been compared yet with what sinks may hold. */
  #gap: (Notable & { readonly type: 'Gap' }) | undefined
  #failure: Error | undefined
  #position: ResourceVersion | undefined
  /** The newest version that the server was known to have when the stream began. */
  #seen: ResourceVersion | undefined
  /** A stream that goes on where it ended may have nothing to tell: then this position says that it is synced. */
  #syncedAt: ResourceVersion | 'first progress' | undefined
  /** The first list is in, and its snapshot has begun. */
  #synced = false

  constructor(options: BridgeStreamOptions) {
    this.#options = options
    this.#outputs = options.outputs((sink, snapshot, outcome) => {
      const audience = this.#audienceOf(sink)
      if (audience) this.#reconciler?.settled(snapshot, outcome, audience)
    })
    this.#audiences = this.#outputs.map((output) => ({
      output,
      hasRoom: () => output.hasRoom,
      takesSnapshots: output.routed.stream.on.has('snapshot'),
      debt: () => output.debt,
      untold: () => output.untold,
      admits: output.routed.admits,
    }))
    for (const output of this.#outputs) output.onRoom(() => this.#reconciler?.wake())
    const { name: stream, store, clock, onError } = options
    this.#notes = new StreamNotes({ stream, outputs: this.#outputs, store, clock, onError })
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

  /** Which objects it is about. */
  get scope(): StreamScope {
    return this.#options.scope
  }

  /** All of its objects were seen, and each sink was told that. */
  get isSynced(): boolean {
    return this.#synced
  }

  /** Asks for a snapshot for one sink. */
  requestSnapshot(sink: string, request: SnapshotRequest): void {
    const audience = this.#audienceOf(sink)
    if (audience) this.#reconciler?.request(request, audience)
  }

  /** Persists what has changed since the last time. */
  async note(): Promise<void> {
    await this.#notes.note()
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

  #audienceOf(sink: string): OutputAudience | undefined {
    return this.#audiences.find(({ output }) => output.sink === sink)
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
        const removed = error.code === 'not-found' ? await this.#removed(stop) : undefined
        if (removed) return removed
        await sleep(Math.max(backoff.next(), error.retryAfterMs ?? 0), clock, stop)
      }
    }
  }

  /** The resource that was followed in an earlier life, if sinks may hold objects of it: they are to be told their end. */
  async #removed(stop: AbortSignal): Promise<Resource | undefined> {
    const { entries, resource } = await this.#notes.load(stop)
    return entries.size > 0 ? resource : undefined
  }

  async #follow(resource: Resource, stop: AbortSignal, drain: AbortSignal): Promise<void> {
    const { name, cluster, scope, resync, onSkipped, onVerified, clock, random, snapshotId } = this.#options
    const { ledger, informer, rung, notBefore, ...begun } = await this.#begin(resource, stop)
    if (rung === 'replay') this.#syncedAt = 'first progress'
    if (rung === 'compare') this.#syncedAt = notBefore
    using reader = informer.deltas(drain) // the store must not move on before all that was read is offered
    if (informer !== this.#informer) this.#synced = false // its store is empty
    this.#informer = informer
    const store: SnapshotStore<KubeObject> = {
      objects: () => informer.indexer.objects(),
      get: (key) => informer.indexer.get(key as ObjectKey),
      scope: scope.labelSelector || scope.fieldSelector ? 'selected' : 'whole',
    }
    const translate = createTranslator({ cluster, stream: name, resource, scope })
    const audiences = this.#audiences
    const server = { pages: this.#options.past(resource).pages, relist: () => informer.relist() }
    const watched = { server, onSkipped, onVerified }
    const parts = { stream: name, reader, store, audiences, resync, ...watched, clock, random, snapshotId }
    const reconciler = new Reconciler({ ...parts, ...(notBefore && { notBefore }) })
    this.#reconciler = reconciler
    const following = { ledger, translate, store }
    let { isProven } = begun
    for await (const portion of reconciler.changes(stop)) {
      this.#failure = undefined
      if (!isProven && this.#isAhead(reconciler.position)) await this.#beginAnew(ledger, drain)
      isProven = true
      if (portion.type === 'own') {
        await this.#own(portion.audience.output, portion.changes, following, drain)
        continue
      }
      await this.#live(portion.changes, following, drain)
      if (portion.isAll && this.#position) this.#complete(this.#position)
    }
  }

  async #live(changes: readonly Change[], following: Following, drain: AbortSignal): Promise<void> {
    const { ledger } = following
    await this.#expect(changes, drain)
    for (const [index, change] of changes.entries()) {
      if (index > 0 && index % CHANGES_PER_TURN === 0) await setImmediate()
      this.#options.onChange(change)
      if (change.type === 'Gap' && change.cause === 'restored') await this.#startOver(ledger, drain)
      // after the deletes that the list itself has shown, whose last states are known
      if (change.type !== 'Gap' && change.type !== 'Deleted') await this.#endMissing(following, drain)
      if (change.type === 'Progress') this.#complete(change.resourceVersion)
      else await this.#offer(change, following, drain)
      if (change.type === 'Gap') this.#gap = change
    }
    this.#notes.noteSoon()
  }

  /** A part of a sink's snapshot, or of what it is owed. */
  async #own(
    output: Output,
    changes: Iterable<Notable>,
    { translate, store }: Following,
    drain: AbortSignal,
  ): Promise<void> {
    for (const change of changes) {
      this.#options.onChange(change, output.sink)
      if (change.type === 'SnapshotBegin' && change.snapshot.mode === 'full') {
        await this.#expectAll(output, store, drain)
        // what was told before it may have been lost meanwhile, to make room for another stream: that is told again first
        if (output.debt?.announced === false) return
      }
      const form = output.formOf(change)
      if (form) await output.send(form, translate(form.change), drain)
      this.#moveTo(change)
    }
  }

  /** What is remembered of the stream, and how it and each of its sinks begin. */
  async #begin(resource: Resource, stop: AbortSignal) {
    const { name, store, required, onStart } = this.#options
    await abortable(this.note(), stop) // what an earlier try has settled
    const state = await this.#notes.load(stop)
    const definition = fingerprint([this.#options.definition, resource.group, resource.resource])
    const sinks = this.#outputs.map(({ sink, routed }) => {
      const isRequired = required.includes(sink)
      return { name: sink, view: fingerprint([routed.definition, isRequired]), required: isRequired }
    })
    const typeMeta = { apiVersion: apiVersionOf(resource), kind: resource.kind }
    const server = this.#options.past(resource)
    // one that was followed before has an informer that stands somewhere else
    const keeps = this.#informer ? 'nothing' : store.keeps
    const seen = this.#isAhead(this.#position) ? this.#seen : (this.#position ?? this.#seen)
    const plan = await planStart({ state, keeps, definition, sinks, typeMeta, server, seen }, stop)
    // a write that is cut short must not leave the new definition without what it makes sinks owed
    const records: readonly StateRecord[] = [
      ...[...plan.sinks].map(
        ([sink, { debt }]): StateRecord => ({ type: 'debt', stream: name, sink, kind: debt?.kind }),
      ),
      ...(plan.isRestored ? [{ type: 'restored', stream: name } as const] : []),
      {
        ...({ type: 'stream', stream: name, definition, resource } as const),
        sinks: sinks.map(({ name: sink, view }) => ({ name: sink, view })),
      },
    ]
    const recorded = this.#notes.record(records, stop)
    recorded.catch(() => undefined) // it is waited for below, if it comes to that
    const holding = sinks.filter((sink) => sink.required).map((sink) => sink.name)
    const ledger = new Ledger(state, { required: holding, keeps: store.keeps })
    this.#notes.follow(ledger)
    for (const output of this.#outputs) {
      const start = plan.sinks.get(output.sink)
      if (start) output.start(ledger, start, () => this.#notes.noteSoon())
    }
    // after each output has begun: what it would note of the life before would stand behind what is owed from here on
    await recorded
    if (plan.rung === 'replay') {
      for (const object of plan.informer?.objects ?? []) {
        for (const output of this.#outputs) output.settledBefore(object)
      }
    }
    onStart(plan)
    // the plan holds all objects of the past: nobody keeps it
    const { rung, notBefore } = plan
    this.#seen = plan.seen
    // a first list that is compared with nothing may be of a server that was restored since it was asked where it is
    const isProven = rung !== 'announce' || plan.seen === undefined
    const start = plan.informer ?? (isProven ? undefined : 'anew')
    return { ledger, informer: this.#options.informer(resource, start), rung, notBefore, isProven }
  }

  /** A newer version than this one is known of the server. */
  #isAhead(position: ResourceVersion | undefined): boolean {
    return position !== undefined && this.#seen !== undefined && compareResourceVersions(this.#seen, position) > 0
  }

  /** The first list is of a restored server, and nothing was offered yet. */
  async #beginAnew(ledger: Ledger, drain: AbortSignal): Promise<void> {
    await this.#noteRestored(ledger, drain)
    const start = { ...restoredStart, watermark: undefined }
    for (const output of this.#outputs) output.start(ledger, start, () => this.#notes.noteSoon())
  }

  async #startOver(ledger: Ledger, drain: AbortSignal): Promise<void> {
    for (const output of this.#outputs) output.startOver()
    await this.#noteRestored(ledger, drain)
  }

  /** The server has another history. That is noted before anybody is told: a crash must not make one forget it. */
  async #noteRestored(ledger: Ledger, drain: AbortSignal): Promise<void> {
    const stream = this.name
    this.#seen = undefined
    ledger.restored()
    const owed = this.#outputs.map(({ sink }): StateRecord => ({ type: 'debt', stream, sink, kind: 'restored' }))
    await this.#notes.record([...owed, { type: 'restored', stream }], drain)
  }

  /** What the batch will be the first to tell of is noted in one go. */
  async #expect(changes: readonly Change[], drain: AbortSignal): Promise<void> {
    const seen = new Set<Uid>()
    for (const change of changes) {
      if (change.type !== 'Added' && change.type !== 'Updated') continue
      // a later one of the same object may be the first that lets it in: noted now, an earlier one would be its leaving
      const { uid } = change.object.metadata
      if (!seen.has(uid)) for (const output of this.#outputs) output.expect(change)
      seen.add(uid)
    }
    await this.#notes.recordExpected(drain)
  }

  /** The objects of a full snapshot that begins. */
  async #expectAll(output: Output, store: Following['store'], drain: AbortSignal): Promise<void> {
    let count = 0
    for (const object of store.objects()) {
      output.expectItem(object)
      if (++count % OBJECTS_PER_TURN === 0) await setImmediate()
    }
    await this.#notes.recordExpected(drain)
  }

  async #offer(change: Notable, { translate }: Following, drain: AbortSignal): Promise<void> {
    const translation = translate(change)
    for (const output of this.#outputs) {
      const form = output.formOf(change)
      if (!form) {
        output.skip(change)
        continue
      }
      output.expect(form.change) // it may have left since the batch was noted
      await this.#notes.recordExpected(drain)
      await output.offer(form, form.change === change ? translation : translate(form.change), drain)
    }
    this.#moveTo(change)
  }

  #moveTo(change: Notable): void {
    this.#synced = true
    const position = change.type === 'Gap' ? change.to : change.resourceVersion
    const restored = change.type === 'Gap' && change.cause === 'restored'
    if (restored || !this.#position || compareResourceVersions(position, this.#position) > 0) this.#position = position
  }

  /**
   * What sinks may hold and is not there any more. The differences that follow a gap do not name all of it: of what an
   * earlier process has told, and was not at the position from which this one goes on, they know nothing.
   */
  async #endMissing(following: Following, drain: AbortSignal): Promise<void> {
    if (!this.#gap) return
    const { ledger, store } = following
    const { to, observedAt } = this.#gap
    this.#gap = undefined
    const seen = { resourceVersion: to, observed: 'relist', observedAt, collapsed: true } as const
    for (const held of ledger.all()) {
      const here = store.get(held.key)
      if (here?.metadata.uid === held.uid) continue
      const identity = identityOfKey(held)
      const gone = here !== undefined || store.scope === 'whole'
      const change = { type: 'Deleted', identity, object: undefined, finalStateKnown: false, gone, ...seen } as const
      await this.#offer(change, following, drain)
    }
  }

  #complete(position: ResourceVersion): void {
    for (const output of this.#outputs) output.complete(position)
    this.#position = position
    const at = this.#syncedAt
    if (at === 'first progress' || (at && compareResourceVersions(position, at) >= 0)) this.#synced = true
  }
}
