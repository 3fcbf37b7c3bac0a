/** One stream of a `Copy`: rules 1 to 5 of docs/events.md, "How a consumer keeps a copy". */
import type { Uid } from '../kube/object.ts'
import { SetDigest } from '../lib/set-digest.ts'
import type { Arrival, Completion, CopiedObject, CopiedStream, Effect } from './copy.ts'
import type { SnapshotEndData } from './data.ts'
import type { Decoded } from './decode.ts'
import type { CloudEventAttributes } from './encode.ts'
import { deletedId } from './ids.ts'
import { dataSchemas, eventTypes } from './types.ts'

/** An idle stream takes all its snapshots at one position: of the ids seen there the last few are enough. */
const MOST_IDS = 20

/** What is known of one uid. Without `object` it is gone, and the entry only refuses what comes late. */
interface Entry {
  readonly object: CopiedObject | undefined
  readonly sequence: string
  /** Ids seen at `sequence`. Those seen before need no memory: their sequence is lower. */
  readonly ids: readonly string[]
  /** Snapshots that it was an item of at `sequence`. */
  readonly snapshotIds: readonly string[]
  readonly epoch: string
  /** `<uid>:deleted` was seen: nothing follows. */
  readonly final: boolean
}

interface RunningSnapshot {
  readonly id: string
  readonly begin: string
  readonly end: SnapshotEnd | undefined
}

interface SnapshotEnd {
  readonly sequence: string
  readonly data: SnapshotEndData
}

/** So many snapshots may end before they begin. */
const MOST_EARLY = 8

export class StreamCopy {
  readonly #cluster: string
  readonly #stream: string
  /** Of the last event. */
  #source = ''
  readonly #arrival: Arrival
  readonly #entries = new Map<string, Entry>()
  readonly #members = new SetDigest()
  readonly #state = new SetDigest()
  /** Entries with an object. */
  #held = 0
  /** Below this position an event about an unknown uid is stale: a complete snapshot did not hold it. */
  #floor = ''
  #newest = ''
  #snapshot: RunningSnapshot | undefined
  /** The newest begin: one that comes again must not end what runs now. */
  #begun: { readonly sequence: string; readonly ids: readonly string[] } = { sequence: '', ids: [] }
  /** Ends that came before their begins, by snapshot; the newest few. */
  readonly #early = new Map<string, Decoded>()
  /** Objects that the running snapshot accounts for. */
  #covered = 0

  constructor({
    cluster,
    stream,
    arrival,
  }: { readonly cluster: string; readonly stream: string; readonly arrival: Arrival }) {
    this.#cluster = cluster
    this.#stream = stream
    this.#arrival = arrival
  }

  *objects(): Generator<CopiedObject> {
    for (const { object } of this.#entries.values()) if (object) yield object
  }

  describe(): CopiedStream {
    const { id: snapshotId, end } = this.#snapshot ?? {}
    return {
      cluster: this.#cluster,
      source: this.#source,
      stream: this.#stream,
      items: this.#held,
      members: `${this.#members}`,
      state: `${this.#state}`,
      ...(snapshotId !== undefined && end && { incomplete: { snapshotId, missing: this.#missing(end.data) } }),
    }
  }

  apply(event: Decoded): Effect {
    const effect = this.#step(event)
    this.#source = event.attributes.source
    const { id, begin, end } = this.#snapshot ?? {}
    if (id === undefined || begin === undefined || end === undefined) return effect
    if (end.data.snapshot.mode === 'full') {
      if (this.#arrival !== 'partition' && this.#missing(end.data) > 0) return effect
      const removed = this.#removeOthers(begin)
      return { ...effect, completed: { snapshotId: id, removed, digests: this.#compare(end) } }
    }
    this.#snapshot = undefined
    if (end.data.snapshot.members === undefined) return effect
    return { ...effect, checked: this.#floor === '' ? 'unknown' : this.#compare(end) }
  }

  #step(event: Decoded): Effect {
    switch (event.attributes.type) {
      case eventTypes.added:
      case eventTypes.updated:
      case eventTypes.snapshotItem:
      case eventTypes.deleted:
        return this.#applyObject(event)
      case eventTypes.snapshotBegin:
        this.#begin(event)
        break
      case eventTypes.snapshotEnd:
        this.#end(event)
        break
      case eventTypes.snapshotAborted:
        this.#abort(text(event.attributes, 'snapshotid'))
        break
      case eventTypes.gap:
        if (causeOf(event.data) === 'restored') this.#forget()
    }
    return { type: 'noted' }
  }

  /** The server was restored: what was known of order and identity means nothing; the next full snapshot decides. */
  #forget(): void {
    for (const [uid, { object }] of this.#entries) {
      if (object) this.#entries.set(uid, { object, sequence: '', ids: [], snapshotIds: [], epoch: '', final: false })
      else this.#entries.delete(uid)
    }
    this.#floor = ''
    this.#newest = ''
    this.#snapshot = undefined
    this.#begun = { sequence: '', ids: [] }
    this.#early.clear()
  }

  #applyObject({ attributes, data }: Decoded): Effect {
    const uid = text(attributes, 'uid')
    const sequence = text(attributes, 'sequence')
    const { id, snapshotid, epoch = '' } = attributes
    const known = this.#entries.get(uid)
    const final = id === deletedId(uid as Uid)
    const floor = known ? known.sequence : this.#floor
    if (known?.final || known?.ids.includes(id)) return { type: 'ignored' }
    if (typeof epoch === 'string' && known && comparePositions(epoch, known.epoch) < 0) return { type: 'ignored' }
    if (sequence < floor && !final) return { type: 'ignored' }

    const object = attributes.type === eventTypes.deleted ? undefined : this.#copied(uid, attributes, data)
    // what else arrives at the position of an item takes nothing away from its snapshot
    const shownBy = known?.sequence === sequence ? known.snapshotIds.slice(1 - MOST_IDS) : []
    this.#set(uid, {
      object,
      sequence: later(sequence, floor),
      ids: final ? [] : known?.sequence === sequence ? [...known.ids.slice(1 - MOST_IDS), id] : [id],
      snapshotIds: typeof snapshotid === 'string' ? [...shownBy, snapshotid] : shownBy,
      epoch: typeof epoch === 'string' ? epoch : '',
      final,
    })
    this.#newest = later(sequence, this.#newest)
    if (object) return { type: 'put', object, previous: known?.object }
    return known?.object ? { type: 'removed', object: known.object } : { type: 'ignored' }
  }

  #copied(uid: string, attributes: CloudEventAttributes, data: unknown): CopiedObject {
    const { resourceversion } = attributes
    return {
      source: attributes.source,
      stream: this.#stream,
      subject: text(attributes, 'subject'),
      uid,
      resourceVersion: typeof resourceversion === 'string' ? resourceversion : undefined,
      object: text(attributes, 'dataschema') === dataSchemas.bare ? data : member(data, 'object'),
    }
  }

  #begin({ attributes, data }: Decoded): void {
    const id = text(attributes, 'snapshotid')
    const begin = text(attributes, 'sequence')
    const { sequence, ids } = this.#begun
    if (begin < sequence || ids.includes(id)) return
    this.#begun = { sequence: begin, ids: begin === sequence ? [...ids.slice(1 - MOST_IDS), id] : [id] }
    // a full one that only waits for late items is worth more than what follows it and is not full
    if (this.#arrival === 'unordered' && this.#snapshot?.end && modeOf(data) !== 'full') return
    this.#snapshot = { id, begin, end: undefined }
    this.#covered = 0
    for (const entry of this.#entries.values()) if (this.#covers(entry)) this.#covered++
    const end = this.#early.get(id)
    this.#early.delete(id)
    if (end) this.#end(end)
  }

  #end(event: Decoded): void {
    const sequence = text(event.attributes, 'sequence')
    const running = this.#snapshot
    if (running && running.id === event.attributes.snapshotid) {
      this.#snapshot = { ...running, end: { sequence, data: endOf(event.data) } }
      return
    }
    const isClosed = sequence < this.#begun.sequence || this.#begun.ids.includes(text(event.attributes, 'snapshotid'))
    // in a partition its begin is never behind it: that one was before the first event that was read
    if (isClosed || this.#arrival === 'partition') return
    endOf(event.data)
    this.#early.set(text(event.attributes, 'snapshotid'), event)
    if (this.#early.size > MOST_EARLY) this.#forgetEarliest()
  }

  #abort(id: string): void {
    if (this.#snapshot?.id === id) this.#snapshot = undefined
    this.#early.delete(id)
  }

  #forgetEarliest(): void {
    const sequenceOf = (event: Decoded) => text(event.attributes, 'sequence')
    const [oldest] = [...this.#early].sort(([, a], [, b]) => (sequenceOf(a) < sequenceOf(b) ? -1 : 1))
    if (oldest) this.#early.delete(oldest[0])
  }

  /** Objects of the running snapshot that have not come. What was dead-lettered will not come. */
  #missing({ snapshot: { items, deadLettered = 0 } }: SnapshotEndData): number {
    return Math.max(0, items - deadLettered - this.#covered)
  }

  /** The running snapshot is whole: what it does not hold is gone. */
  #removeOthers(begin: string): readonly CopiedObject[] {
    const removed: CopiedObject[] = []
    for (const [uid, entry] of this.#entries) {
      if (this.#covers(entry)) continue
      if (entry.object) removed.push(entry.object)
      if (entry.object || entry.sequence < begin) this.#set(uid, undefined)
    }
    this.#floor = begin
    this.#snapshot = undefined
    return removed
  }

  #compare({ sequence, data }: SnapshotEnd): Completion['digests'] {
    const { members, state, deadLettered = 0 } = data.snapshot
    if (this.#arrival === 'partition' || members === undefined || this.#newest > sequence) return 'unknown'
    if (members === `${this.#members}` && (state === undefined || state === `${this.#state}`)) return 'match'
    return this.#arrival === 'ordered' && deadLettered === 0 ? 'differ' : 'unknown'
  }

  #covers({ object, snapshotIds, sequence }: Entry): boolean {
    return !!object && !!this.#snapshot && (snapshotIds.includes(this.#snapshot.id) || sequence > this.#snapshot.begin)
  }

  #set(uid: string, entry: Entry | undefined): void {
    const before = this.#entries.get(uid)
    if (before?.object) {
      this.#held--
      this.#members.remove(identityOf(before.object))
      this.#state.remove(versionOf(before.object))
      if (this.#covers(before)) this.#covered--
    }
    if (entry?.object) {
      this.#held++
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
  return `${identityOf(object)}:${object.resourceVersion ?? ''}`
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

/** Of a begin; undefined if it does not say. */
function modeOf(data: unknown): unknown {
  return Object(Object(data).snapshot).mode
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
