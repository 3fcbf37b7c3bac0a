/**
 * A consumer's copy of a cluster's objects: the rules of docs/events.md, "How a consumer keeps a copy", as code.
 * Give it every event as it arrives; duplicates, reordering, repeated snapshots and the events of others are its business.
 *
 * ```ts
 * const copy = new Copy()
 * for await (const line of lines) {
 *   const effect = copy.apply(decodeStructured(line))
 *   if (effect.type === 'put') save(effect.object)
 *   if (effect.type === 'removed') remove(effect.object)
 *   for (const object of effect.completed?.removed ?? []) remove(object)
 * }
 * ```
 */
import type { Decoded } from './decode.ts'
import { StreamCopy } from './stream-copy.ts'
import { eventTypes } from './types.ts'

/** What a copy may conclude from the order in which its events arrive. */
export type Arrival =
  /**
   * As they were acknowledged: webhook, standard output, a Kafka topic of one partition. A snapshot is whole at its
   * `end`, and digests that differ tell that the copy is wrong.
   */
  | 'ordered'
  /**
   * One partition of a Kafka topic that has several, in the order of its offsets. Its share of a snapshot is whole at its
   * `end`; the number of items and the digests are those of all partitions, so nothing is compared.
   */
  | 'partition'
  /**
   * In any order: EventBridge, or several partitions read into one copy. A snapshot is whole once there are as many items
   * as its `end` says, and digests that differ tell nothing, because something older may still be on its way.
   */
  | 'unordered'

export interface CopyOptions {
  /** @default 'ordered' */
  readonly arrival?: Arrival
}

export interface CopiedObject {
  readonly source: string
  readonly stream: string
  /** `<namespace>/<name>`, of a cluster-scoped object `<name>`. */
  readonly subject: string
  readonly uid: string
  readonly resourceVersion: string | undefined
  /** As it came: whole, metadata or a reference, whatever the route sends. */
  readonly object: unknown
}

/** What an event did to the copy. */
export type Effect =
  /** The object is new in the copy, or in another version. An item puts what it confirms again. */
  (
    | { readonly type: 'put'; readonly object: CopiedObject; readonly previous: CopiedObject | undefined }
    /** `object`: as it was held. */
    | { readonly type: 'removed'; readonly object: CopiedObject }
    /** Known, stale, of an unknown type, or from a replica that had lost its leadership; or what it deletes was not held. */
    | { readonly type: 'ignored' }
    /** A marker or a gap. */
    | { readonly type: 'noted' }
  ) & {
    /** Set when with this event a full snapshot has arrived whole. */
    readonly completed?: Completion
    /**
     * Set by the `end` of a snapshot of mode `delta` or `markers` that carries a digest: whether the copy holds the same
     * objects. `unknown` also before the first full snapshot, which alone makes a copy whole.
     */
    readonly checked?: Completion['digests']
  }

export interface Completion {
  readonly snapshotId: string
  /** Objects that the snapshot did not hold and that are gone from the copy now, as they were held. */
  readonly removed: readonly CopiedObject[]
  /**
   * `differ`: the copy is not what the sender says it is. `unknown`: nothing to compare with; or the copy is further on
   * already, because the transport keeps no order; or it differs, and dead letters or what is still on its way may be why.
   */
  readonly digests: 'match' | 'differ' | 'unknown'
}

/** What a copy holds of one stream now. */
export interface CopiedStream {
  readonly cluster: string
  /** Of the last event: it has the version that is served. */
  readonly source: string
  readonly stream: string
  /** Number of objects. */
  readonly items: number
  /** Digest of which objects, as docs/events.md, "Digests", defines it. */
  readonly members: string
  /** Digest of which versions. */
  readonly state: string
  /** A full snapshot whose `end` has come, and how many of its objects have not: they are late, or lost. */
  readonly incomplete?: { readonly snapshotId: string; readonly missing: number }
}

/**
 * After the `end` of a full snapshot the copy equals the sink's view of the cluster (P6, I1). An event may come any number
 * of times, and reading may start again at an earlier position. Memory grows with the number of objects, and with the
 * deletes since the last full snapshot. Shards of one stream need a copy each, because an event of an object does not say
 * which shard sent it.
 */
export class Copy {
  readonly #arrival: Arrival
  readonly #streams = new Map<string, StreamCopy>()

  constructor({ arrival = 'ordered' }: CopyOptions = {}) {
    this.#arrival = arrival
  }

  /**
   * Never throws for an event of a type that is not of Deltawire, or not known yet. Throws a TypeError for one that lacks
   * what its type promises; the copy is as before then.
   */
  apply(event: Decoded): Effect {
    if (!knownTypes.has(event.attributes.type)) return { type: 'ignored' }
    const { type, cluster, stream } = event.attributes
    if (typeof cluster !== 'string') throw new TypeError(`an event of type ${type} has no attribute cluster`)
    if (typeof stream !== 'string') throw new TypeError(`an event of type ${type} has no attribute stream`)
    const key = keyOf(cluster, stream)
    const copy = this.#streams.get(key) ?? new StreamCopy({ cluster, stream, arrival: this.#arrival })
    const effect = copy.apply(event)
    this.#streams.set(key, copy)
    return effect
  }

  /** All objects, of all streams. Those of one stream have different uids; two streams may hold the same object. */
  *objects(): Generator<CopiedObject> {
    for (const copy of this.#streams.values()) yield* copy.objects()
  }

  /** Every stream that an event has come of. */
  *streams(): Generator<CopiedStream> {
    for (const copy of this.#streams.values()) yield copy.describe()
  }

  /**
   * Drops all that is known of a stream: for one that was renamed or removed in the configuration, because nobody says
   * so. Returns whether there was one.
   */
  forget(cluster: string, stream: string): boolean {
    return this.#streams.delete(keyOf(cluster, stream))
  }
}

const knownTypes: ReadonlySet<string> = new Set(Object.values(eventTypes))

/** Not the source: that has the version which is served, and another one does not make it another stream. */
function keyOf(cluster: string, stream: string): string {
  return JSON.stringify([cluster, stream])
}
