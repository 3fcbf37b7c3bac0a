/**
 * The snapshots of a stream for one audience: begin, items and end; and what makes up for what the audience was not told.
 *
 *   due ----> running (begin, items as there is room) ----> end
 *    ^            |
 *    |            v  the audience is owed something: what is running is void
 *   debt: gap, deletes as there is room, and then a full snapshot
 */
import {
  compareResourceVersions,
  type KubeObject,
  type ResourceVersion,
  type Timestamp,
  type Uid,
} from '../kube/object.ts'
import { ExponentialBackoff, type Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Held } from '../state/ledger.ts'
import { Agenda, type Due } from './agenda.ts'
import type { Audience, SnapshotStore } from './audience.ts'
import type {
  Notable,
  Snapshot,
  SnapshotListener,
  SnapshotNews,
  SnapshotOutcome,
  SnapshotReason,
  SnapshotRequest,
  SnapshotResult,
} from './change.ts'
import type { Debt } from './debt.ts'
import { identityOfKey } from './held.ts'
import type { Effect, Members } from './members.ts'
import { within } from './scope.ts'

export interface SnapshotsOptions<T extends KubeObject> {
  readonly stream: string
  readonly audience: Audience
  /** Those of the audience. */
  readonly members: Members
  readonly store: SnapshotStore<T>
  /** Whether the store stands at the stream's position. */
  readonly inStep: () => boolean
  /** The random part of a snapshot's id. */
  readonly snapshotId: () => string
  /** Something is due. */
  readonly onDue: () => void
  readonly clock: Clock
  readonly random: Random
}

/** Items or deletes per portion: few enough that live changes never wait long behind them. */
const AT_ONCE = 100

/** Objects that are looked at for that in one go. */
const LOOKS_AT_ONCE = 10_000

/** Why there will be no end. */
export const STOPPED = 'the stream was stopped'

const REPEAT = { initialMs: 60_000, maxMs: 3_600_000 } as const

interface Running<T extends KubeObject> {
  readonly snapshot: Snapshot
  listeners: readonly SnapshotListener[]
  /** Whether an object is in its scope. */
  readonly covers: (object: T) => boolean
  /** What it holds: objects, and what is not known to be there any more. */
  readonly left: Iterator<T | Held>
  /** Members that a live change has stood for since `begin`. */
  readonly touched: Set<Uid>
  added: number
  updated: number
  deleted: number
}

export class Snapshots<T extends KubeObject> implements Disposable {
  readonly #options: SnapshotsOptions<T>
  readonly #agenda = new Agenda()
  #running: Running<T> | undefined
  /** Who waits for the outcome of those whose end was offered. */
  readonly #ending = new Map<string, readonly SnapshotListener[]>()
  /** Of one that is to be sent again; a full one that begins before makes it needless. */
  #repeatTimer: Disposable | undefined
  readonly #repeat: ExponentialBackoff
  #ended = false

  constructor(options: SnapshotsOptions<T>) {
    this.#options = options
    this.#repeat = new ExponentialBackoff(REPEAT, options.random)
  }

  /** Asks for a snapshot as soon as none is running; how requests are merged: agenda.ts. Of a stopped stream there is none. */
  request(request: SnapshotRequest): void {
    if (this.#ended) {
      request.listener?.tell(endedBy(STOPPED))
      return
    }
    this.#agenda.add(request)
    this.#options.onDue()
  }

  /** One is running, or its end is on its way, or one is due. */
  get isBusy(): boolean {
    if (this.#options.audience.debt()) return true
    return this.#running !== undefined || this.#ending.size > 0 || this.#agenda.next !== undefined
  }

  /** Asks for a full one instead of whatever else was due. */
  require(reason: SnapshotReason): void {
    this.#agenda.require(reason)
  }

  /** See `Reconciler.settled`. */
  settled(snapshot: Snapshot, outcome: SnapshotOutcome): void {
    const { reason, mode, id } = snapshot
    tell(this.#awaiting(id), { type: 'ended', outcome })
    // a sink that drains may tell of it after the stream has ended: a timer would keep the process
    if (this.#ended || outcome.type !== 'aborted' || mode !== 'full') return
    const delayMs = this.#repeat.next()
    this.#repeatTimer?.[Symbol.dispose]()
    this.#repeatTimer = this.#options.clock.after(delayMs, () => this.request({ reason, mode }))
  }

  /** A live change is offered to the audience. */
  follow(effect: NonNullable<Effect>, uid: Uid): void {
    if (!this.#running) return
    this.#running[effect]++
    if (effect === 'deleted') this.#running.touched.delete(uid)
    else this.#running.touched.add(uid)
  }

  /** What to offer next, made while it is iterated; undefined if there is nothing to do, or no room. */
  next(position: ResourceVersion): Iterable<Notable<T>> | undefined {
    const { audience, inStep } = this.#options
    const debt = audience.debt()
    if (debt) {
      this.#lose() // in part or whole
      return debt.isUrgent || audience.hasRoom() ? this.#makeUp(position, debt) : undefined
    }
    if (this.#running) return inStep() && audience.hasRoom() ? this.#advance(position, this.#running) : undefined
    const due = this.#agenda.next
    // a rest of a list is at its begin's position too: no copy could tell that it came later
    if (due && inStep() && (isUrgent(due) || audience.hasRoom())) {
      return [this.#begin(position, { ...due, listeners: this.#agenda.take() })]
    }
    return undefined
  }

  /** The end of a snapshot that cannot be completed, if one is running. */
  abort(resourceVersion: ResourceVersion, cause: string): Notable<T> | undefined {
    tell(this.#awaiting(), endedBy(cause))
    const running = this.#running
    this.#running = undefined
    if (!running) return undefined
    const { snapshot } = running
    return { type: 'SnapshotAborted', snapshot, cause, resourceVersion, observedAt: this.#observedAt() }
  }

  [Symbol.dispose](): void {
    this.#ended = true
    this.#repeatTimer?.[Symbol.dispose]()
    tell([...this.#awaiting(), ...this.#agenda.takeAll()], endedBy(STOPPED))
  }

  /** Who waits for the outcome of this snapshot, or of any that has begun. They are told once. */
  #awaiting(id?: string): readonly SnapshotListener[] {
    const listeners: SnapshotListener[] = []
    if (this.#running && id === (id && this.#running.snapshot.id)) {
      listeners.push(...this.#running.listeners)
      this.#running.listeners = []
    }
    for (const [ending, waiting] of this.#ending) {
      if (id !== undefined && id !== ending) continue
      listeners.push(...waiting)
      this.#ending.delete(ending)
    }
    return listeners
  }

  /** What was offered of snapshots may not arrive: who waits for them is told of the full one that makes up for it. */
  #lose(): void {
    const listeners = this.#awaiting()
    this.#running = undefined
    if (listeners.length > 0) this.#agenda.join({ reason: 'gap', mode: 'full', listeners })
  }

  *#makeUp(resourceVersion: ResourceVersion, debt: Debt): Generator<Notable<T>> {
    const { audience, inStep, store } = this.#options
    const observedAt = this.#observedAt()
    if (!debt.announced) {
      debt.announce()
      if (debt.kind !== 'new') yield gapOf(debt, resourceVersion, observedAt)
    }
    for (let deletes = 0, looks = 0; deletes < AT_ONCE && looks < LOOKS_AT_ONCE; looks++) {
      if (!debt.announced || !(debt.isUrgent || audience.hasRoom())) return
      const held = debt.next()
      if (!held) {
        if (!inStep()) return
        const reason = debt.kind === 'new' ? 'startup' : 'gap'
        yield this.#begin(resourceVersion, { reason, mode: 'full', listeners: this.#agenda.takeAll() })
        return
      }
      const here = store.get(held.key)
      const isHere = here?.metadata.uid === held.uid
      if (isHere && (audience.admits?.(here) ?? true)) continue
      deletes++
      yield this.#endOf(held, { resourceVersion, observedAt, isRedefined: debt.cause === 'redefined' })
    }
  }

  /** It is no member any more, or is not there. */
  #endOf(held: Held, { resourceVersion, observedAt, isRedefined }: EndOf): Notable<T> {
    const { store } = this.#options
    const here = store.get(held.key)
    // a name that is taken again proves that its former uid is gone
    const gone = here ? here.metadata.uid !== held.uid : store.scope === 'whole' && !isRedefined
    const seen = { resourceVersion, observed: 'relist', observedAt, collapsed: true } as const
    return { type: 'Deleted', identity: identityOfKey(held), gone, object: undefined, finalStateKnown: false, ...seen }
  }

  #begin(resourceVersion: ResourceVersion, { reason, mode: asked, scope, listeners }: Due): Notable<T> {
    const { stream, snapshotId, store, audience } = this.#options
    const untold = asked === 'delta' ? audience.untold() : []
    const mode = untold ? asked : 'full'
    const ledger = reason === 'startup' || reason === 'gap' ? 'cold' : 'warm'
    const snapshot: Snapshot = { id: `${stream}:${snapshotId()}`, reason, mode, ledger, ...(scope && { scope }) }
    const left = mode === 'full' || mode === 'part' ? store.objects() : (untold ?? []).values()
    if (mode === 'full') this.#repeatTimer?.[Symbol.dispose]()
    if (reason === 'periodic') this.#repeat.reset()
    const covers = within(scope ?? {})
    this.#running = { snapshot, listeners, covers, left, touched: new Set(), added: 0, updated: 0, deleted: 0 }
    tell(listeners, { type: 'began', snapshot })
    return { type: 'SnapshotBegin', snapshot, resourceVersion, observedAt: this.#observedAt() }
  }

  /** The next items, and after the last the end. */
  *#advance(resourceVersion: ResourceVersion, running: Running<T>): Generator<Notable<T>> {
    const { audience, members, inStep } = this.#options
    const { snapshot, covers, left, touched } = running
    const observedAt = this.#observedAt()
    for (let items = 0, looks = 0; items < AT_ONCE && looks < LOOKS_AT_ONCE; looks++) {
      // offering the last one took time: the store may be ahead by now
      if (!inStep() || !audience.hasRoom() || this.#running !== running) return
      const next = left.next()
      if (next.done && items > 0) return // live changes first
      if (next.done) {
        yield this.#end(resourceVersion, running)
        return
      }
      const { value } = next
      const { uid } = 'metadata' in value ? value.metadata : value
      if (touched.has(uid)) continue
      const object = 'metadata' in value ? value : this.#find(value)
      if (object && members.has(uid)) {
        if (!covers(object)) continue
        items++
        yield { type: 'SnapshotItem', snapshot, object, resourceVersion, observedAt }
      } else if (!('metadata' in value)) {
        items++
        yield this.#endOf(value, { resourceVersion, observedAt, isRedefined: false })
      }
    }
  }

  #find({ key, uid }: Held): T | undefined {
    const here = this.#options.store.get(key)
    return here?.metadata.uid === uid ? here : undefined
  }

  #end(resourceVersion: ResourceVersion, running: Running<T>): Notable<T> {
    const { snapshot, listeners, added, updated, deleted } = running
    const result: SnapshotResult = {
      ...this.#count(running),
      added,
      updated,
      deleted,
      ...this.#options.members.digests(),
    }
    this.#running = undefined
    this.#ending.set(snapshot.id, listeners)
    return { type: 'SnapshotEnd', snapshot, result, resourceVersion, observedAt: this.#observedAt() }
  }

  #count({ snapshot, covers, touched }: Running<T>): Pick<SnapshotResult, 'items' | 'unchanged'> {
    const { members, store } = this.#options
    if (snapshot.mode !== 'part') return { items: members.size, unchanged: members.size - touched.size }
    let items = 0
    let unchanged = 0
    for (const object of store.objects()) {
      if (!members.has(object.metadata.uid) || !covers(object)) continue
      items++
      if (!touched.has(object.metadata.uid)) unchanged++
    }
    return { items, unchanged }
  }

  #observedAt(): Timestamp {
    return this.#options.clock.now().toISOString() as Timestamp
  }
}

/** A position may be lower than what was told: a delete that the server repeats, or a server that was restored. */
function gapOf({ from, cause }: Debt, to: ResourceVersion, observedAt: Timestamp): Notable & { type: 'Gap' } {
  const isKnown = from !== undefined && (cause === 'restored' || compareResourceVersions(from, to) <= 0)
  return { type: 'Gap', from: isKnown ? from : to, to, cause, observedAt }
}

interface EndOf {
  readonly resourceVersion: ResourceVersion
  readonly observedAt: Timestamp
  /** The stream is about something else now: it may be there. */
  readonly isRedefined: boolean
}

function tell(listeners: readonly SnapshotListener[], news: SnapshotNews): void {
  for (const listener of listeners) listener.tell(news)
}

function endedBy(cause: string): SnapshotNews {
  return { type: 'ended', outcome: { type: 'aborted', cause } }
}

/** Without it an audience cannot make sense of what follows: its begin waits for no room, its items do. */
function isUrgent({ reason }: Due): boolean {
  return reason === 'startup' || reason === 'gap'
}
