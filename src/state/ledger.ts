import { compareResourceVersions, type ResourceVersion, type Uid } from '../kube/object.ts'
import { type DebtKind, type LedgerEntry, MOST_SINKS, type StateRecord } from './record.ts'
import type { Kept } from './store.ts'
import type { StreamState } from './stream-state.ts'

/** One object that a sink may hold. */
export interface Held {
  readonly uid: Uid
  /** `<namespace>/<name>`, or `<name>`. */
  readonly key: string
}

interface Open {
  events: number
  /** The last that was offered tells of its end: not yet settled, or settled before others. */
  end: 'none' | 'open' | 'settled'
}

export interface LedgerOptions {
  /** Sinks that decide what was told; if there are none, all do. */
  readonly required: readonly string[]
  /** Without a ledger in the store there is nothing to be written. */
  readonly keeps: Kept
}

/**
 * What each sink of a stream may hold, and what all of them have been told: kept while the stream runs, and by it alone.
 *
 * Guarantees: whatever a sink may hold is in here, and in what `takeExpected` gave to be written before it was offered;
 * an object leaves it only when no sink may hold it any more. `told` is never newer than what every required sink
 * that may hold the object has settled.
 */

export class Ledger {
  readonly #state: StreamState
  readonly #bits: ReadonlyMap<string, number>
  readonly #required: number
  readonly #isKept: boolean
  /** Events about an object that a sink was offered and has not settled. */
  readonly #open = new Map<string, Map<Uid, Open>>()
  /** The newest version that some required sinks have settled, and which; not those that all have. */
  readonly #settling = new Map<Uid, { version: ResourceVersion; by: number }>()
  /** To be written before what they cover is offered, */
  #expected = new Set<Uid>()
  /** and at some time. */
  #changed = new Set<Uid>()

  /** The bits are those of the sinks of `state`. */
  constructor(state: StreamState, { required, keeps }: LedgerOptions) {
    if (state.sinks.length > MOST_SINKS) {
      throw new Error(
        `stream ${state.stream} leads to ${state.sinks.length} sinks; at most ${MOST_SINKS} can be told apart`,
      )
    }
    this.#state = state
    this.#isKept = keeps === 'ledger'
    this.#bits = new Map(state.sinks.map(({ name }, place) => [name, 1 << place]))
    const all = state.sinks.map(({ name }) => name)
    this.#required = (required.length > 0 ? required : all).reduce((bits, name) => bits | this.#bitOf(name), 0)
    for (const name of all) this.#open.set(name, new Map())
  }

  /** Objects that some sink may hold. */
  get size(): number {
    return this.#state.entries.size
  }

  /** Whether the sink may hold the object. */
  may(uid: Uid, sink: string): boolean {
    return ((this.#state.entries.get(uid)?.may ?? 0) & this.#bitOf(sink)) !== 0
  }

  /** Whether the sink may hold the object, and is not being told its end. */
  holds(uid: Uid, sink: string): boolean {
    return this.may(uid, sink) && !isEnding(this.#openOf(sink).get(uid))
  }

  /** Whether the sink has settled a version of it, and is not being told its end. */
  has(uid: Uid, sink: string): boolean {
    const has = ((this.#state.entries.get(uid)?.has ?? 0) & this.#bitOf(sink)) !== 0
    return has && !isEnding(this.#openOf(sink).get(uid))
  }

  /** What the sink may hold, but for what it is being told the end of. Entries may come and go while it is iterated. */
  *held(sink: string): Generator<Held> {
    const bit = this.#bitOf(sink)
    const open = this.#openOf(sink)
    for (const [uid, { key, may }] of this.#state.entries) if (may & bit && !isEnding(open.get(uid))) yield { uid, key }
  }

  /** What any sink may hold. */
  *all(): Generator<Held> {
    for (const [uid, { key }] of this.#state.entries) yield { uid, key }
  }

  /**
   * The sink may be offered the object from now on, or holds it from a time that is not known. An end that is on its way
   * to it is not the last that it is told.
   */
  expect({ uid, key }: Held, sink: string): void {
    const bit = this.#bitOf(sink)
    const open = this.#openOf(sink).get(uid)
    if (open) open.end = 'none'
    const entry = this.#state.entries.get(uid)
    if (entry && entry.may & bit) return
    if (entry) entry.may |= bit
    else this.#state.entries.set(uid, { key, told: undefined, may: bit, has: 0 })
    if (this.#isKept) this.#expected.add(uid)
  }

  /** The sink is offered an event about the object: a version of it, or its end. */
  offered(uid: Uid, sink: string, what: 'version' | 'end'): void {
    const all = this.#openOf(sink)
    const open = all.get(uid) ?? { events: 0, end: 'none' }
    open.events++
    open.end = what === 'end' ? 'open' : 'none'
    all.set(uid, open)
  }

  /** What was `offered` has been settled: this version of it. */
  settled(uid: Uid, sink: string, version: ResourceVersion): void {
    this.#settle(uid, sink, version)
    this.#close(uid, sink)
  }

  /** What was `offered` has been settled: that it is gone, or left. */
  ended(uid: Uid, sink: string): void {
    const open = this.#openOf(sink).get(uid)
    if (open?.end === 'open') open.end = 'settled'
    this.#close(uid, sink)
  }

  /** What was `offered` is not told, because something newer is, or because it was dropped. */
  unsettled(uid: Uid, sink: string, what: 'version' | 'end'): void {
    const open = this.#openOf(sink).get(uid)
    if (open && what === 'end') open.end = 'none'
    this.#close(uid, sink)
  }

  /** Nothing of what the sink was `offered` will be settled: all that waited is gone. */
  lost(sink: string): void {
    this.#openOf(sink).clear()
  }

  /** The sink is not told of this version, and is owed a snapshot that holds it or a newer one. */
  owed(uid: Uid, sink: string, version: ResourceVersion): void {
    const entry = this.#state.entries.get(uid)
    if (entry) this.#tell(uid, entry, sink, version)
  }

  /** The sink is owed what it was not told. That is known from now on wherever this is written down whole. */
  owes(sink: string, kind: DebtKind): void {
    this.#state.apply({ type: 'debt', stream: this.#state.stream, sink, kind })
  }

  /** The server has another history: versions from before mean nothing. */
  restored(): void {
    this.#settling.clear()
    this.#state.apply({ type: 'restored', stream: this.#state.stream })
  }

  /** Entries to be written before anything else is offered; each once. */
  takeExpected(): readonly StateRecord[] {
    if (this.#expected.size === 0) return []
    const uids = this.#expected
    this.#expected = new Set()
    return this.#recordsOf(uids)
  }

  /** Entries that have changed since they were last taken, to be written before the watermarks that follow from them. */
  takeChanged(): readonly StateRecord[] {
    if (this.#changed.size === 0) return []
    const uids = this.#changed
    this.#changed = new Set()
    return this.#recordsOf(uids)
  }

  #settle(uid: Uid, sink: string, version: ResourceVersion): void {
    const entry = this.#state.entries.get(uid)
    if (!entry) return // its end was settled before, or its history is over
    const bit = this.#bitOf(sink)
    if (!(entry.has & bit)) this.#note(uid)
    entry.has |= bit
    this.#tell(uid, entry, sink, version)
  }

  #tell(uid: Uid, entry: LedgerEntry, sink: string, version: ResourceVersion): void {
    const bit = this.#bitOf(sink) & this.#required
    if (bit === 0 || isOlder(version, entry.told)) return
    const settling = this.#settling.get(uid)
    const order = settling ? compareResourceVersions(version, settling.version) : 1
    if (order < 0) return
    const by = bit | (settling && order === 0 ? settling.by : 0)
    this.#settling.set(uid, { version, by })
    this.#conclude(uid, entry)
  }

  /** Those that may not hold the object have nothing to settle about it. */
  #conclude(uid: Uid, entry: LedgerEntry): void {
    const settling = this.#settling.get(uid)
    const needed = entry.may & this.#required
    if (!settling || (settling.by & needed) !== needed) return
    this.#settling.delete(uid)
    entry.told = settling.version
    this.#note(uid)
  }

  #note(uid: Uid): void {
    if (this.#isKept) this.#changed.add(uid)
  }

  /** The bits go with the last event that was offered, if that told of the end. */
  #close(uid: Uid, sink: string): void {
    const all = this.#openOf(sink)
    const open = all.get(uid)
    if (open && --open.events > 0) return
    all.delete(uid)
    if (open?.end === 'settled') this.#end(uid, sink)
  }

  #end(uid: Uid, sink: string): void {
    const entry = this.#state.entries.get(uid)
    if (!entry) return
    entry.may &= ~this.#bitOf(sink)
    entry.has &= ~this.#bitOf(sink)
    if (entry.may === 0) {
      this.#state.entries.delete(uid)
      this.#settling.delete(uid)
    } else {
      this.#conclude(uid, entry)
    }
    this.#note(uid)
  }

  #recordsOf(uids: ReadonlySet<Uid>): readonly StateRecord[] {
    const { stream, entries } = this.#state
    return [...uids].map((uid): StateRecord => {
      const entry = entries.get(uid)
      return entry ? { type: 'entry', stream, uid, ...entry } : { type: 'gone', stream, uid }
    })
  }

  #bitOf(sink: string): number {
    const bit = this.#bits.get(sink)
    if (bit === undefined) throw new Error(`the stream ${this.#state.stream} has no sink ${sink}`)
    return bit
  }

  #openOf(sink: string): Map<Uid, Open> {
    const open = this.#open.get(sink)
    if (!open) throw new Error(`the stream ${this.#state.stream} has no sink ${sink}`)
    return open
  }
}

function isEnding(open: Open | undefined): boolean {
  return open !== undefined && open.end !== 'none'
}

function isOlder(version: ResourceVersion, than: ResourceVersion | undefined): boolean {
  return than !== undefined && compareResourceVersions(version, than) <= 0
}
