import type { Outcome } from '../delivery/entry.ts'
import type { OutboundEvent } from '../delivery/sink.ts'
import { eventTypes } from '../events/index.ts'
import { type KubeObject, keyOf, type ObjectIdentity, type ResourceVersion, type Uid } from '../kube/object.ts'
import type { Change, Notable } from '../reconcile/change.ts'
import type { Held, Ledger } from '../state/ledger.ts'
import type { DebtKind } from '../state/record.ts'
import type { Untold } from './untold.ts'

/** What one sink was told of a stream's objects: events as they are offered and settled, written into the ledger. */
export class Told {
  readonly #sink: string
  readonly #ledger: Ledger
  readonly #untold: Untold

  constructor(sink: string, ledger: Ledger, untold: Untold) {
    this.#sink = sink
    this.#ledger = ledger
    this.#untold = untold
  }

  /** What the sink may hold, but for what it is being told the end of. */
  held(): Iterator<Held> {
    return this.#ledger.held(this.#sink)
  }

  /** Whether it may hold the object, and is not being told its end. */
  holds(uid: Uid): boolean {
    return this.#ledger.holds(uid, this.#sink)
  }

  /** Whether it has settled a version of the object, and is not being told its end. */
  has(uid: Uid): boolean {
    return this.#ledger.has(uid, this.#sink)
  }

  /** Whether it is to be told of the end: also if that was sent before, and given up. */
  awaitsEnd(uid: Uid): boolean {
    return this.holds(uid) || this.#untold.has(uid)
  }

  /** It may be offered the object from now on. */
  expect({ metadata }: KubeObject): void {
    this.#ledger.expect(heldOf(metadata), this.#sink)
  }

  offered(change: Notable): void {
    const uid = uidOf(change)
    if (uid !== undefined) this.#ledger.offered(uid, this.#sink, whatOf(change))
  }

  /** An event of what was `offered` is settled. */
  settled(change: Notable, { type }: Outcome): void {
    const held = heldIn(change)
    if (!held) return
    this.#settle(held.uid, versionOf(change), type)
    this.#learn(held, type)
  }

  /** The same of an event that was known on disk alone. */
  settledOnDisk({ kind, attributes }: OutboundEvent, { type }: Outcome): void {
    if (kind !== 'change' && kind !== 'item') return
    const uid = attributes.uid as Uid
    const isEnd = attributes.type === eventTypes.deleted
    const { namespace, name } = attributes
    if (typeof name === 'string') {
      this.#learn({ uid, key: keyOf({ name, ...(typeof namespace === 'string' && { namespace }) }) }, type)
    }
    this.#settle(uid, isEnd ? undefined : (attributes.resourceversion as ResourceVersion), type)
  }

  /** The view does not want the change: there is nothing to be settled. */
  passed(change: Notable): void {
    this.offered(change)
    const uid = uidOf(change)
    if (uid !== undefined) this.#settle(uid, versionOf(change), 'delivered')
  }

  /** The sink is not told of this version: it was, in an earlier life, or it is owed a snapshot. */
  owed(change: Change): void {
    const uid = uidOf(change)
    const version = versionOf(change)
    if (uid !== undefined && version !== undefined) this.#ledger.owed(uid, this.#sink, version)
  }

  /** The same of an object as it was where this life begins. */
  owedBefore({ metadata: { uid, resourceVersion } }: KubeObject): void {
    this.#ledger.owed(uid, this.#sink, resourceVersion)
  }

  /** The sink is owed what it was not told. */
  owes(kind: DebtKind): void {
    this.#ledger.owes(this.#sink, kind)
  }

  /** Nothing of what it was `offered` will be settled: all that waited is gone. */
  lost(): void {
    this.#ledger.lost(this.#sink)
  }

  /** `version` undefined: the event told of the object's end. */
  #settle(uid: Uid, version: ResourceVersion | undefined, type: Outcome['type']): void {
    if (type === 'merged') {
      this.#ledger.unsettled(uid, this.#sink, 'version') // what an end was merged into may be another end
    } else if (type !== 'delivered' && type !== 'dead-lettered') {
      this.#ledger.unsettled(uid, this.#sink, version === undefined ? 'end' : 'version')
    } else if (version === undefined) {
      this.#ledger.ended(uid, this.#sink)
    } else {
      this.#ledger.settled(uid, this.#sink, version)
    }
  }

  /** Whether the sink has the object now as it was told of it. */
  #learn(held: Held, type: Outcome['type']): void {
    if (type === 'dead-lettered') this.#untold.failed(held)
    if (type === 'delivered') this.#untold.told(held.uid)
  }
}

export function heldOf(identity: ObjectIdentity): Held {
  return { uid: identity.uid, key: keyOf(identity) }
}

/** What the change tells of an object. */
function whatOf({ type }: Notable): 'version' | 'end' {
  return type === 'Deleted' ? 'end' : 'version'
}

/** Of the object that the change is about. */
function uidOf(change: Change): Uid | undefined {
  if (change.type === 'Deleted') return change.identity.uid
  return 'object' in change ? change.object.metadata.uid : undefined
}

/** The object that the change is about. */
function heldIn(change: Change): Held | undefined {
  if (change.type === 'Deleted') return heldOf(change.identity)
  return 'object' in change ? heldOf(change.object.metadata) : undefined
}

/** Of the object that is there. */
function versionOf(change: Change): ResourceVersion | undefined {
  return change.type !== 'Deleted' && 'object' in change ? change.object.metadata.resourceVersion : undefined
}
