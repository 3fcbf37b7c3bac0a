/**
 * How a stream becomes changes: its deltas as they come, and snapshots of it when one is owed, on schedule and on request.
 *
 * Guarantees: changes are in the order of the stream's positions. The first list is no change, `Added` least of all: who
 * does not know it is owed a snapshot.
 * A snapshot is `SnapshotBegin`, an item for every object that no live change stood for meanwhile, and `SnapshotEnd`
 * with what is true at exactly its position; live changes go on in between. One that cannot end is `SnapshotAborted`.
 * Deltas are for everybody; snapshots are for one audience each, at its pace (snapshots.ts).
 */
import { addAbortListener } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { Delta } from '../informer/delta.ts'
import type { DeltaReader } from '../informer/delta-reader.ts'
import { compareResourceVersions, isRemembered, type KubeObject, type ResourceVersion } from '../kube/object.ts'
import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Audience, ResyncOptions, SnapshotStore } from './audience.ts'
import type { Change, Notable, Snapshot, SnapshotOutcome, SnapshotRequest } from './change.ts'
import { type Admits, Members } from './members.ts'
import { Schedule } from './schedule.ts'
import { Snapshots, STOPPED } from './snapshots.ts'
import { type Verified, type VerifiedServer, Verifier } from './verifier.ts'

export interface ReconcilerOptions<T extends KubeObject, A extends Audience> {
  /** Name of the stream: `<source>/<resource>[/<namespace>]`. */
  readonly stream: string
  readonly reader: DeltaReader<T>
  readonly store: SnapshotStore<T>
  readonly audiences: readonly A[]
  /** No snapshot begins before this position. @default the first one */
  readonly notBefore?: ResourceVersion
  readonly resync: ResyncOptions
  /** For `resync.verify`. */
  readonly server?: VerifiedServer
  readonly onVerified?: (verified: Verified) => void
  /** A scheduled snapshot was left out: the one before has not ended for this audience, or what is there is not known. */
  readonly onSkipped?: (audience: A) => void
  /** The random part of a snapshot's id: unique among all snapshots of the stream, also after a restart. */
  readonly snapshotId: () => string
  readonly clock: Clock
  readonly random: Random
}

/** Changes in their order. */
export type Portion<T extends KubeObject, A extends Audience> =
  /** For all. The gap of a restored server stands alone. */
  | {
      readonly type: 'live'
      readonly changes: readonly Change<T>[]
      /** The last of them is the last of its position: nothing that was read at it is left. */
      readonly isAll?: boolean
    }
  /** For it alone: a part of its snapshot, or of what it is owed. The changes are made while they are iterated, once. */
  | { readonly type: 'own'; readonly audience: A; readonly changes: Iterable<Notable<T>> }

/** Objects of which it is found out whether they are members: some milliseconds. */
const LOOKS_PER_TURN = 1_000

/** Made once: a reason of its own, with its stack, for each batch was 1 % of all CPU time. */
const noLongerAwaited = new DOMException('it is no longer awaited', 'AbortError')

export class Reconciler<T extends KubeObject = KubeObject, A extends Audience = Audience> {
  readonly #options: ReconcilerOptions<T, A>
  /** Those who see the same members. */
  readonly #groups: readonly Group<T>[]
  readonly #snapshots: ReadonlyMap<A, Snapshots<T>>
  readonly #schedule: Schedule
  readonly #verifier: Verifier<T> | undefined
  #position: ResourceVersion | undefined
  #notBefore: ResourceVersion | undefined
  #isStarted = false
  #wake: () => void = () => {}

  constructor(options: ReconcilerOptions<T, A>) {
    const { audiences, reader, notBefore } = options
    this.#options = options
    this.#notBefore = notBefore
    const inStep = () => reader.inStep
    const onDue = () => this.#wake()
    const groups = new Map<Admits | undefined, Group<T>>()
    const snapshotsFor = (audience: A) => {
      const { admits } = audience
      const group = groups.get(admits) ?? { members: new Members(admits), snapshots: [] }
      groups.set(admits, group)
      const snapshots = new Snapshots<T>({ ...options, members: group.members, inStep, onDue, audience })
      group.snapshots.push(snapshots)
      return snapshots
    }
    this.#snapshots = new Map(audiences.map((audience) => [audience, snapshotsFor(audience)]))
    this.#groups = [...groups.values()]
    const { resync, clock, random } = options
    this.#schedule = new Schedule({ everyMs: resync.everyMs, due: () => this.#due(), clock, random })
    this.#verifier = this.#createVerifier()
  }

  /** The resourceVersion that the stream has read up to; undefined until the first list is in. */
  get position(): ResourceVersion | undefined {
    return this.#position
  }

  /** Whether it is known what there is. */
  #mayStart(): boolean {
    if (!this.#position) return false
    if (this.#notBefore && compareResourceVersions(this.#position, this.#notBefore) < 0) return false
    // all of them, until a list has said what there is
    for (const object of this.#options.store.objects()) if (isRemembered(object)) return false
    return true
  }

  /** From here on snapshots may begin. Nothing is taken meanwhile: what another reader makes of the store follows. */
  async #start(signal: AbortSignal): Promise<void> {
    const { store, resync } = this.#options
    const partial = this.#groups.filter(({ members }) => members.isPartial)
    let looks = 0
    for (const object of partial.length > 0 ? store.objects() : []) {
      for (const { members } of partial) members.seen(object)
      if (++looks % LOOKS_PER_TURN === 0) await setImmediate()
      if (signal.aborted) return
    }
    this.#isStarted = true
    if (resync.everyMs > 0 && resync.snapshot !== 'off') this.#schedule.start()
  }

  /** Asks for a snapshot, of one audience or of all, as soon as none is running for it; how requests merge: agenda.ts. */
  request(request: SnapshotRequest, audience?: A): void {
    for (const [one, snapshots] of this.#snapshots) if (!audience || one === audience) snapshots.request(request)
  }

  /**
   * How a snapshot has ended for an audience: a full one that it could not be told of is sent again after one or two
   * minutes, and after twice as long each time that it happens again before the next scheduled one, up to an hour or two.
   */
  settled(snapshot: Snapshot, outcome: SnapshotOutcome, audience: A): void {
    this.#snapshots.get(audience)?.settled(snapshot, outcome)
  }

  /** An audience has room again. */
  wake(): void {
    this.#wake()
  }

  /** Ends after `signal` aborts, with the aborts of snapshots that are still running. */
  async *changes(signal: AbortSignal): AsyncGenerator<Portion<T, A>, void> {
    const { reader } = this.#options
    try {
      while (!signal.aborted) {
        const deltas = reader.take()
        for (const portion of this.#apply(deltas)) yield portion
        this.#verifier?.advance()
        if (!this.#isStarted && this.#mayStart()) await this.#start(signal)
        let isIdle = deltas.length === 0
        for (const [audience, snapshots] of this.#snapshots) {
          const changes = this.#isStarted && this.#position && snapshots.next(this.#position)
          if (!changes) continue
          isIdle = false
          yield { type: 'own', audience, changes }
        }
        if (isIdle) await this.#idle(signal)
        // what nobody is told of, as a first list, or objects that are looked at in vain, leaves others their turn, too
        else await setImmediate()
      }
    } finally {
      this.#schedule[Symbol.dispose]()
      await this.#verifier?.[Symbol.asyncDispose]()
      for (const snapshots of this.#snapshots.values()) snapshots[Symbol.dispose]()
    }
    if (this.#position) yield* this.#abort(this.#position, STOPPED)
  }

  #createVerifier(): Verifier<T> | undefined {
    const { server, store, reader, resync, clock, random } = this.#options
    if (!server || !resync.verify) return undefined
    return new Verifier({
      server,
      store,
      position: () => this.#position,
      inStep: () => reader.inStep,
      onListed: () => this.#wake(),
      onVerified: (verified) => {
        this.#options.onVerified?.(verified)
        if (verified.type === 'right') this.#periodic()
        else if (verified.type === 'unknown') this.#skip()
      },
      clock,
      random,
    })
  }

  #due(): void {
    if (!this.#verifier) this.#periodic()
    else if (this.#verifier.isBusy) this.#skip()
    else this.#verifier.start()
  }

  #periodic(): void {
    const { resync, onSkipped } = this.#options
    if (resync.snapshot === 'off') return
    for (const [audience, snapshots] of this.#snapshots) {
      if (!audience.takesSnapshots) continue
      if (snapshots.isBusy) onSkipped?.(audience)
      else snapshots.request({ reason: 'periodic', mode: resync.snapshot })
    }
  }

  #skip(): void {
    for (const audience of this.#snapshots.keys()) if (audience.takesSnapshots) this.#options.onSkipped?.(audience)
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
      settled.abort(noLongerAwaited)
    }
  }

  #apply(deltas: readonly Delta<T>[]): readonly Portion<T, A>[] {
    const portions: Portion<T, A>[] = []
    let changes: Change<T>[] = []
    for (const delta of deltas) {
      if (delta.type === 'Gap' && delta.cause === 'restored') {
        if (changes.length > 0) portions.push({ type: 'live', changes })
        changes = []
        for (const portion of this.#startOver(delta.to)) portions.push(portion)
      }
      this.#follow(delta)
      // before its first Progress a stream has no position: what comes until then is what each audience knows already,
      // or is owed
      if (this.#position === undefined && delta.type !== 'Progress') continue
      this.#moveTo(delta)
      changes.push(delta)
      if (delta.type === 'Gap' && delta.cause === 'restored') {
        portions.push({ type: 'live', changes })
        changes = []
      }
    }
    if (changes.length > 0) portions.push({ type: 'live', changes, isAll: this.#options.reader.inStep })
    return portions
  }

  /** Never back, but to a restored history: a delete that the server repeats comes at its old version. */
  #moveTo(delta: Delta<T>): void {
    const to = delta.type === 'Gap' ? delta.to : delta.resourceVersion
    const restored = delta.type === 'Gap' && delta.cause === 'restored'
    if (restored || !this.#position || compareResourceVersions(to, this.#position) > 0) this.#position = to
  }

  /** The server has another history now: no snapshot of the old one can end, and a full one of the new is owed. */
  #startOver(position: ResourceVersion): Iterable<Portion<T, A>> {
    this.#notBefore = undefined
    this.#verifier?.startOver()
    for (const snapshots of this.#snapshots.values()) snapshots.require('gap')
    return this.#abort(position, 'the server was restored')
  }

  *#abort(position: ResourceVersion, cause: string): Generator<Portion<T, A>> {
    for (const [audience, snapshots] of this.#snapshots) {
      const aborted = snapshots.abort(position, cause)
      if (aborted) yield { type: 'own', audience, changes: [aborted] }
    }
  }

  #follow(delta: Delta<T>): void {
    if (delta.type === 'Progress' || delta.type === 'Gap') return
    const { uid } = delta.type === 'Deleted' ? delta.identity : delta.object.metadata
    this.#verifier?.follow(uid)
    for (const { members, snapshots } of this.#groups) {
      const effect = members.follow(delta)
      if (effect) for (const one of snapshots) one.follow(effect, uid)
    }
  }
}

interface Group<T extends KubeObject> {
  readonly members: Members
  readonly snapshots: Snapshots<T>[]
}
