/**
 * A consumer's copy of a cluster's objects: the rules of docs/events.md, "How a consumer keeps a copy", as code.
 * Give it every event in the order of arrival; duplicates, reordering and repeated snapshots are its business.
 */
import type { Uid } from '../kube/object.ts'
import { SetDigest } from '../lib/set-digest.ts'
import type { SnapshotEndData } from './data.ts'
import type { Decoded } from './decode.ts'
import type { CloudEventAttributes } from './encode.ts'
import { deletedId } from './ids.ts'
import { eventTypes } from './types.ts'

export interface CopiedObject {
  readonly source: string
  readonly stream: string
  readonly subject: string
  readonly uid: string
  readonly resourceVersion: string | undefined
  /** As it came: whole, metadata or a reference, whatever the route sends. */
  readonly object: unknown
}

/** What an event did to the copy. */
export interface Effect {
  /** `ignored`: known, stale, of an unknown type, or from a replica that had lost its leadership. `noted`: a marker or gap. */
  readonly type: 'put' | 'removed' | 'ignored' | 'noted'
  /** Set when with this event a full snapshot has arrived whole. */
  readonly completed?: Completion
}

export interface Completion {
  readonly snapshotId: string
  /** Objects that the snapshot did not hold and that are gone from the copy now. */
  readonly removed: number
  /**
   * `differ`: the copy is not what the sender says it is. `unknown`: nothing to compare with; or the copy is further on
   * already, because the transport keeps no order; or it differs, and dead letters may be why.
   */
  readonly digests: 'match' | 'differ' | 'unknown'
}

/**
 * After the `end` of a full snapshot the copy equals the sink's view of the cluster (P6, I1). Memory grows with the
 * number of objects, and with the deletes since the last full snapshot. Shards of one stream need a copy each, because
 * an event of an object does not say which shard sent it.
 */
export class Copy {
  readonly #streams = new Map<string, StreamCopy>()

  /** Throws a TypeError for an event that lacks what its type promises. */
  apply(event: Decoded): Effect {
    const { source } = event.attributes
    const stream = text(event.attributes, 'stream')
    const key = `${source} ${stream}` // no source holds a space
    const copy = this.#streams.get(key) ?? new StreamCopy(source, stream)
    this.#streams.set(key, copy)
    return copy.apply(event)
  }

  /** All objects, of all streams. */
  *objects(): Generator<CopiedObject> {
    for (const copy of this.#streams.values()) yield* copy.objects()
  }
}

/** What is known of one uid. Without `object` it is gone, and the entry only refuses what comes late. */
interface Entry {
  readonly object: CopiedObject | undefined
  readonly sequence: string
  /** Ids seen at `sequence`. Those seen before need no memory: their sequence is lower. */
  readonly ids: readonly string[]
  readonly snapshotId: string | undefined
  readonly epoch: string
  /** `<uid>:deleted` was seen: nothing follows. */
  readonly final: boolean
}

interface RunningSnapshot {
  readonly id: string
  readonly begin: string
  readonly end: { readonly sequence: string; readonly data: SnapshotEndData } | undefined
}

class StreamCopy {
  readonly #source: string
  readonly #stream: string
  readonly #entries = new Map<string, Entry>()
  readonly #members = new SetDigest()
  readonly #state = new SetDigest()
  /** Below this position an event about an unknown uid is stale: a complete snapshot did not hold it. */
  #floor = ''
  #newest = ''
  #snapshot: RunningSnapshot | undefined
  /** The newest begin: one that comes again must not end what runs now. */
  #begun: { readonly sequence: string; readonly ids: readonly string[] } = { sequence: '', ids: [] }
  /** An end that came before its begin. */
  #early: Decoded | undefined
  /** Objects that the running snapshot accounts for. */
  #covered = 0

  constructor(source: string, stream: string) {
    this.#source = source
    this.#stream = stream
  }

  *objects(): Generator<CopiedObject> {
    for (const { object } of this.#entries.values()) if (object) yield object
  }

  apply(event: Decoded): Effect {
    switch (event.attributes.type) {
      case eventTypes.added:
      case eventTypes.updated:
      case eventTypes.snapshotItem:
      case eventTypes.deleted:
        return this.#completing(this.#applyObject(event))
      case eventTypes.snapshotBegin:
        this.#begin(event.attributes)
        return this.#completing('noted')
      case eventTypes.snapshotEnd:
        this.#end(event)
        return this.#completing('noted')
      case eventTypes.snapshotAborted:
        if (this.#snapshot?.id === event.attributes.snapshotid) this.#snapshot = undefined
        return { type: 'noted' }
      case eventTypes.gap:
        if (causeOf(event.data) === 'restored') this.#forget()
        return { type: 'noted' }
      default:
        return { type: 'ignored' }
    }
  }

  /** The server was restored: what was known of order and identity means nothing; the next full snapshot decides. */
  #forget(): void {
    for (const [uid, { object }] of this.#entries) {
      if (object)
        this.#entries.set(uid, { object, sequence: '', ids: [], snapshotId: undefined, epoch: '', final: false })
      else this.#entries.delete(uid)
    }
    this.#floor = ''
    this.#newest = ''
    this.#snapshot = undefined
    this.#begun = { sequence: '', ids: [] }
    this.#early = undefined
  }

  #applyObject({ attributes, data }: Decoded): Effect['type'] {
    const uid = text(attributes, 'uid')
    const sequence = text(attributes, 'sequence')
    const { id, snapshotid, epoch = '' } = attributes
    const known = this.#entries.get(uid)
    const final = id === deletedId(uid as Uid)
    const floor = known ? known.sequence : this.#floor
    if (known?.final || known?.ids.includes(id)) return 'ignored'
    if (typeof epoch === 'string' && known && comparePositions(epoch, known.epoch) < 0) return 'ignored'
    if (sequence < floor && !final) return 'ignored'

    const removes = attributes.type === eventTypes.deleted
    this.#set(uid, {
      object: removes ? undefined : this.#copied(uid, attributes, data),
      sequence: later(sequence, floor),
      ids: final ? [] : known?.sequence === sequence ? [...known.ids, id] : [id],
      snapshotId: typeof snapshotid === 'string' ? snapshotid : undefined,
      epoch: typeof epoch === 'string' ? epoch : '',
      final,
    })
    this.#newest = later(sequence, this.#newest)
    if (!removes) return 'put'
    return known?.object ? 'removed' : 'ignored'
  }

  #copied(uid: string, attributes: CloudEventAttributes, data: unknown): CopiedObject {
    const { resourceversion, dataschema } = attributes
    return {
      source: this.#source,
      stream: this.#stream,
      subject: text(attributes, 'subject'),
      uid,
      resourceVersion: typeof resourceversion === 'string' ? resourceversion : undefined,
      object: dataschema.includes(':bare:') ? data : member(data, 'object'),
    }
  }

  #begin(attributes: CloudEventAttributes): void {
    const id = text(attributes, 'snapshotid')
    const begin = text(attributes, 'sequence')
    const { sequence, ids } = this.#begun
    if (begin < sequence || ids.includes(id)) return
    // an idle stream takes all its snapshots at one position: the last few are enough
    this.#begun = { sequence: begin, ids: begin === sequence ? [...ids.slice(-9), id] : [id] }
    this.#snapshot = { id, begin, end: undefined }
    this.#covered = 0
    for (const entry of this.#entries.values()) if (this.#covers(entry)) this.#covered++
    if (this.#early?.attributes.snapshotid !== id) return
    this.#end(this.#early)
    this.#early = undefined
  }

  #end(event: Decoded): void {
    const sequence = text(event.attributes, 'sequence')
    const running = this.#snapshot
    if (running && running.id === event.attributes.snapshotid) {
      this.#snapshot = { ...running, end: { sequence, data: endOf(event.data) } }
      return
    }
    const isClosed = sequence < this.#begun.sequence || this.#begun.ids.includes(text(event.attributes, 'snapshotid'))
    if (isClosed) return
    if (!this.#early || sequence >= text(this.#early.attributes, 'sequence')) this.#early = event
  }

  #completing(type: Effect['type']): Effect {
    const { id, begin, end } = this.#snapshot ?? {}
    if (id === undefined || begin === undefined || end === undefined) return { type }
    const { mode, items, members, state, deadLettered = 0 } = end.data.snapshot
    if (mode !== 'full') this.#snapshot = undefined
    // what was dead-lettered will not come
    if (mode !== 'full' || this.#covered + deadLettered < items) return { type }

    let removed = 0
    for (const [uid, entry] of this.#entries) {
      if (this.#covers(entry)) continue
      if (entry.object) removed++
      if (entry.object || entry.sequence < begin) this.#set(uid, undefined)
    }
    this.#floor = begin
    this.#snapshot = undefined
    const same =
      (members === undefined || members === `${this.#members}`) && (state === undefined || state === `${this.#state}`)
    const comparable = members !== undefined && this.#newest <= end.sequence
    return {
      type,
      completed: {
        snapshotId: id,
        removed,
        digests: same && comparable ? 'match' : comparable && deadLettered === 0 ? 'differ' : 'unknown',
      },
    }
  }

  #covers({ object, snapshotId, sequence }: Entry): boolean {
    return !!object && !!this.#snapshot && (snapshotId === this.#snapshot.id || sequence > this.#snapshot.begin)
  }

  #set(uid: string, entry: Entry | undefined): void {
    const before = this.#entries.get(uid)
    if (before?.object) {
      this.#members.remove(identityOf(before.object))
      this.#state.remove(versionOf(before.object))
      if (this.#covers(before)) this.#covered--
    }
    if (entry?.object) {
      this.#members.add(identityOf(entry.object))
      this.#state.add(versionOf(entry.object))
      if (this.#covers(entry)) this.#covered++
    }
    if (entry) this.#entries.set(uid, entry)
    else this.#entries.delete(uid)
  }
}

/** The higher of two sequences; `''` is before all. */
function later(a: string, b: string): string {
  return a > b ? a : b
}

function identityOf({ subject, uid }: CopiedObject): string {
  return `${subject}:${uid}`
}

function versionOf(object: CopiedObject): string {
  return `${identityOf(object)}:${object.resourceVersion}`
}

/** Positions are digit strings without leading zeros; `''` is before all. */
function comparePositions(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

function text(attributes: CloudEventAttributes, name: string): string {
  const value = attributes[name]
  if (typeof value === 'string') return value
  throw new TypeError(`an event of type ${attributes.type} has no attribute ${name}`)
}

function member(data: unknown, name: string): unknown {
  if (typeof data === 'object' && data !== null && name in data) return (data as Record<string, unknown>)[name]
  throw new TypeError(`the data of an event has no member ${name}`)
}

function causeOf(data: unknown): unknown {
  return member(member(data, 'gap'), 'cause')
}

/** Checks what the copy relies on; the rest is as the type of the event promises. */
function endOf(data: unknown): SnapshotEndData {
  const items = member(member(data, 'snapshot'), 'items')
  if (!Number.isInteger(items)) throw new TypeError('the end of a snapshot has no number of items')
  return data as SnapshotEndData
}
