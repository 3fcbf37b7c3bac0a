/** One version of one object, as stored: text, because lists and watches need no more. */
export interface Version {
  /** `namespace/name`, or `name`. */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly revision: bigint
  readonly labels: Readonly<Record<string, string>>
  /** Values of the field selectors that the resource has beside name and namespace, for example `spec.nodeName`. */
  readonly fields: Readonly<Record<string, string>>
  /** The object's JSON without the opening brace, `kind` and `apiVersion`: `"metadata":{...},"spec":{...}}`. */
  readonly body: string
}

/** One write. `version` of a DELETED is the last state, with the revision of the deletion. */
export interface TableEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly version: Version
  /** The state before; absent for ADDED. */
  readonly previous: Version | undefined
}

/** Snapshots that are kept for the next pages of lists under way. */
const CACHED_SNAPSHOTS = 4

/**
 * The objects of one resource and the newest part of their history.
 *
 *     born ... | compacted | floor ........ newest
 *              lists below it    events that can be replayed
 *              are refused
 *
 * Invariant: `#events` holds every event after the floor, in order of revision.
 */
export class Table {
  readonly #born: bigint
  readonly #historyLength: number
  readonly #current = new Map<string, Version>()
  readonly #keys = new SortedKeys()
  readonly #perNamespace = new Map<string, number>()
  readonly #snapshots = new Map<bigint, readonly Version[]>()
  readonly #listeners = new Set<() => void>()
  #events: TableEvent[] = []
  /** Sequence number of the first event held. */
  #first = 0
  #compacted: bigint
  #watchFloor: bigint
  #closed = false

  constructor(revision: bigint, historyLength: number) {
    this.#born = revision
    this.#compacted = revision
    this.#watchFloor = revision
    this.#historyLength = historyLength
  }

  get size(): number {
    return this.#current.size
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A watch can begin at this revision or later. */
  get watchFloor(): bigint {
    return this.#watchFloor
  }

  /** Sequence number that the next event will have. */
  get end(): number {
    return this.#first + this.#events.length
  }

  get(key: string): Version | undefined {
    return this.#current.get(key)
  }

  /** How many objects there are in this namespace. */
  countIn(namespace: string): number {
    return this.#perNamespace.get(namespace) ?? 0
  }

  versions(): Iterable<Version> {
    return this.#current.values()
  }

  apply(event: TableEvent): void {
    const { version } = event
    if (event.type === 'DELETED') this.#take(version)
    else this.#put(version)
    this.#events.push(event)
    // Twice the length before cutting: each event is then moved once at most
    if (this.#events.length > 2 * this.#historyLength) this.#cut(this.#events.length - this.#historyLength)
    this.#notify()
  }

  /** Calls `listener` after every change of what a watch could send, until disposed. */
  listen(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** The event with this sequence number; `lost` if it was cut off, undefined if it has not happened. */
  eventAt(sequence: number): TableEvent | 'lost' | undefined {
    return sequence < this.#first ? 'lost' : this.#events[sequence - this.#first]
  }

  /** Sequence number of the first event after `revision`. */
  sequenceAfter(revision: bigint): number {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const event = this.#events[middle]
      if (event && event.version.revision <= revision) low = middle + 1
      else high = middle
    }
    return this.#first + low
  }

  /** All objects at `revision`, in order of their keys; undefined if the history does not reach back so far. */
  snapshot(revision: bigint): readonly Version[] | undefined {
    // A younger table was empty before: that is known without history
    if (revision < this.#born && this.#compacted === this.#born) return []
    if (revision < this.#compacted) return undefined
    const newest = this.#events.at(-1)?.version.revision ?? this.#compacted
    const effective = revision > newest ? newest : revision
    const cached = this.#snapshots.get(effective)
    if (cached) return cached
    const snapshot = this.#snapshotAt(effective)
    this.#snapshots.set(effective, snapshot)
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size <= CACHED_SNAPSHOTS) break
      this.#snapshots.delete(oldest)
    }
    return snapshot
  }

  compact(revision: bigint): void {
    this.#cut(this.sequenceAfter(revision) - this.#first, revision)
  }

  /** Refuses watches that begin before `revision`, as a server does that has just started; lists go on. */
  raiseWatchFloor(revision: bigint): void {
    if (revision > this.#watchFloor) this.#watchFloor = revision
  }

  /** Back to the state at `revision`. False if the table did not exist then. */
  restore(revision: bigint): boolean {
    if (revision < this.#born) return false
    const versions = this.snapshot(revision)
    if (!versions) throw new RangeError(`cannot restore revision ${revision}: history begins after ${this.#compacted}`)
    this.#events = this.#events.slice(0, this.sequenceAfter(revision) - this.#first)
    this.#current.clear()
    this.#keys.clear()
    this.#perNamespace.clear()
    this.#snapshots.clear()
    for (const version of versions) this.#put(version)
    if (this.#watchFloor > revision) this.#watchFloor = revision
    return true
  }

  /** The resource is no longer served: watches end. */
  close(): void {
    this.#closed = true
    this.#notify()
  }

  #put(version: Version): void {
    const { key, namespace } = version
    if (!this.#current.has(key)) {
      this.#keys.add(key)
      this.#perNamespace.set(namespace, this.countIn(namespace) + 1)
    }
    this.#current.set(key, version)
  }

  #take({ key, namespace }: Version): void {
    this.#current.delete(key)
    this.#keys.delete(key)
    this.#perNamespace.set(namespace, this.countIn(namespace) - 1)
  }

  #snapshotAt(revision: bigint): readonly Version[] {
    const undone = new Map<string, Version | undefined>()
    for (let index = this.sequenceAfter(revision) - this.#first; index < this.#events.length; index++) {
      const event = this.#events[index]
      if (event && !undone.has(event.version.key)) undone.set(event.version.key, event.previous)
    }
    const versions: Version[] = []
    for (const key of this.#keys.sorted()) {
      if (undone.has(key)) continue
      const version = this.#current.get(key)
      if (version) versions.push(version)
    }
    if (undone.size === 0) return versions
    for (const version of undone.values()) if (version) versions.push(version)
    return versions.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  }

  #cut(count: number, upTo?: bigint): void {
    const last = count > 0 ? this.#events[count - 1]?.version.revision : undefined
    const floor = upTo ?? last
    if (floor === undefined) return
    if (count > 0) {
      this.#events = this.#events.slice(count)
      this.#first += count
    }
    if (floor > this.#compacted) this.#compacted = floor
    this.raiseWatchFloor(floor)
    for (const revision of this.#snapshots.keys()) if (revision < this.#compacted) this.#snapshots.delete(revision)
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Keys in order, sorted only when somebody asks: additions and removals in between cost nothing. */
class SortedKeys {
  #sorted: string[] = []
  readonly #added = new Set<string>()
  readonly #removed = new Set<string>()

  add(key: string): void {
    if (!this.#removed.delete(key)) this.#added.add(key)
  }

  delete(key: string): void {
    if (!this.#added.delete(key)) this.#removed.add(key)
  }

  clear(): void {
    this.#sorted = []
    this.#added.clear()
    this.#removed.clear()
  }

  sorted(): readonly string[] {
    if (this.#removed.size > 0) this.#sorted = this.#sorted.filter((key) => !this.#removed.has(key))
    if (this.#added.size > 0) {
      this.#sorted = this.#sorted.concat([...this.#added])
      this.#sorted.sort()
    }
    this.#added.clear()
    this.#removed.clear()
    return this.#sorted
  }
}
