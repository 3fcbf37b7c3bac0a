/** The event of an object's change, whose data is written when it is asked for. */
import {
  type CloudEventAttributes,
  dataSchemas,
  deletedId,
  eventTypes,
  itemId,
  leftId,
  partitionKey,
  sequence,
  subjectOf,
  versionId,
} from '../events/index.ts'
import type { OutboundEvent } from '../events/outbound.ts'
import { apiVersionOf, type KubeObject, type Resource, resourceName, unreadReason } from '../kube/object.ts'
import { fieldManager, takenFrom } from '../kube/taken.ts'
import type { Change } from '../reconcile/change.ts'
import type { Payload } from '../route/view.ts'
import { type Content, type PartialObject, PayloadWriter, type Size, smallerSize } from './payload.ts'

export type ObjectChange = Extract<Change, { readonly type: 'Added' | 'Updated' | 'Deleted' | 'SnapshotItem' }>

/** What the events of all objects of a stream have in common. */
export interface ObjectStream {
  readonly cluster: string
  readonly stream: string
  readonly resource: Resource
  readonly attributes: Pick<CloudEventAttributes, 'specversion' | 'source' | 'datacontenttype'>
}

/** A change with what every event that is made of it shares, whatever its payload. */
export class ObjectFacts {
  readonly stream: ObjectStream
  readonly change: ObjectChange
  readonly writer: PayloadWriter
  readonly key: string
  /** All but `degraded`, and of a whole object. */
  readonly attributes: CloudEventAttributes
  /** The object could not be read whole. */
  readonly unread: boolean

  constructor(stream: ObjectStream, change: ObjectChange, writer?: PayloadWriter) {
    const { cluster, resource } = stream
    this.stream = stream
    this.change = change
    this.writer = writer ?? new PayloadWriter(contentOf(change, resource))
    const { object, previous } = this.writer.content
    const { namespace, name, uid, resourceVersion } = object.metadata
    this.key = partitionKey(cluster, resourceName(resource), { namespace, name })
    this.unread = unreadReason(object as KubeObject) !== undefined
    this.attributes = {
      ...stream.attributes,
      dataschema: dataSchemas.object,
      id: idOf(change),
      type: eventTypes[nameOf[change.type]],
      subject: subjectOf({ namespace, name }),
      time: timeOf(change),
      apiversion: object.apiVersion,
      kind: object.kind,
      namespace,
      name,
      uid,
      resourceversion: resourceVersion,
      partitionkey: this.key,
      sequence: sequence(change.resourceVersion),
      observed: change.type === 'SnapshotItem' ? 'snapshot' : change.observed,
      collapsed: change.type !== 'SnapshotItem' && change.collapsed ? true : undefined,
      snapshotid: change.type === 'SnapshotItem' ? change.snapshot.id : undefined,
      fieldmanager: fieldManager(object as KubeObject, previous) || undefined,
    }
  }

  /** Of this change and a newer one in one; undefined if they stay two. */
  merge(newer: ObjectFacts): ObjectFacts | undefined {
    const change = mergeChanges(this.change, newer.change)
    if (!change) return undefined
    const content = contentOf(change, this.stream.resource)
    const writer = new PayloadWriter(content, { object: newer.writer, previous: this.writer })
    return new ObjectFacts(this.stream, change, writer)
  }
}

export class ObjectEvent implements OutboundEvent {
  readonly attributes: CloudEventAttributes
  readonly key: string
  readonly stream: string
  readonly kind: 'change' | 'item'
  readonly #facts: ObjectFacts
  /** As the route asks for it. */
  readonly #payload: Payload
  readonly #size: Size
  #dataBytes: number | undefined

  constructor(facts: ObjectFacts, payload: Payload, size: Size = wholeSize(facts, payload)) {
    this.#facts = facts
    this.#payload = payload
    this.#size = size
    this.attributes = { ...facts.attributes, dataschema: dataSchemas[size.shape], degraded: size.degraded }
    this.key = facts.key
    this.stream = facts.stream.stream
    this.kind = facts.change.type === 'SnapshotItem' ? 'item' : 'change'
  }

  get data(): string {
    return this.#facts.writer.data(this.#size)
  }

  get dataBytes(): number {
    this.#dataBytes ??= Buffer.byteLength(this.data)
    return this.#dataBytes
  }

  smaller(): OutboundEvent | undefined {
    const size = smallerSize(this.#size, this.#facts.writer.content)
    return size && new ObjectEvent(this.#facts, this.#payload, size)
  }

  merge(newer: OutboundEvent): OutboundEvent | undefined {
    if (!(newer instanceof ObjectEvent)) return undefined
    const facts = this.#facts.merge(newer.#facts)
    return facts && new ObjectEvent(facts, newer.#payload)
  }
}

function wholeSize({ unread }: ObjectFacts, payload: Payload): Size {
  return unread ? { shape: 'reference', previous: false, degraded: 'reference' } : payload
}

/**
 * What a consumer that missed the first of two changes needs to know: the newest state, against the last one that it may
 * have been told. Undefined if both must be told: they are not about one object, or it was gone and came back.
 */
function mergeChanges(first: ObjectChange, newer: ObjectChange): ObjectChange | undefined {
  if (first.type === 'SnapshotItem' || newer.type === 'SnapshotItem') return undefined
  if (uidOf(first) !== uidOf(newer)) return undefined
  if (newer.type === 'Deleted') return { ...newer, collapsed: true }
  const { object, resourceVersion, observed, observedAt } = newer
  const seen = { resourceVersion, observed, observedAt, collapsed: true }
  switch (first.type) {
    case 'Added':
      return { type: 'Added', object, ...seen }
    case 'Updated':
      return { type: 'Updated', object, previous: first.previous, ...seen }
    case 'Deleted':
      return undefined
  }
}

function uidOf(change: Exclude<ObjectChange, { readonly type: 'SnapshotItem' }>): string {
  return change.type === 'Deleted' ? change.identity.uid : change.object.metadata.uid
}

function contentOf(change: ObjectChange, resource: Resource): Content {
  return {
    object: objectOf(change, resource),
    previous: previousOf(change),
    ...(change.type === 'Deleted' && { finalStateKnown: change.finalStateKnown }),
  }
}

const nameOf = {
  Added: 'added',
  Updated: 'updated',
  Deleted: 'deleted',
  SnapshotItem: 'snapshotItem',
} as const satisfies Record<ObjectChange['type'], keyof typeof eventTypes>

/** The object of a change; of a tombstone without a last state, its identity. */
function objectOf(change: ObjectChange, resource: Resource): PartialObject {
  if (change.object) return change.object
  const { identity } = change as Extract<ObjectChange, { type: 'Deleted' }>
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { ...identity } }
}

/** The last observed state; none if nothing but an identity was kept of it. */
function previousOf(change: ObjectChange): KubeObject | undefined {
  const previous = change.type === 'Updated' ? change.previous : undefined
  return previous && unreadReason(previous) === undefined ? previous : undefined
}

function idOf(change: ObjectChange): string {
  switch (change.type) {
    case 'Added':
    case 'Updated':
      return versionId(change.object.metadata.uid, change.object.metadata.resourceVersion)
    case 'SnapshotItem':
      return itemId(change.object.metadata.uid, change.object.metadata.resourceVersion, change.snapshot.id)
    case 'Deleted':
      return change.gone
        ? deletedId(change.identity.uid)
        : leftId(change.identity.uid, sequence(change.resourceVersion))
  }
}

/** When it happened, as far as the object tells. */
function timeOf(change: ObjectChange): string {
  if (change.type === 'Added') return change.object.metadata.creationTimestamp ?? change.observedAt
  if (change.type === 'Updated') return takenFrom(change.object)?.changedAt ?? change.observedAt
  return change.observedAt
}
