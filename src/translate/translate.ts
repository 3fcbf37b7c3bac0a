/**
 * Change -> CloudEvent. Pure: no clock, no I/O, nothing random, so that the same version of the same object gives the
 * same event after a restart and on another replica (P4).
 */
import {
  type CloudEventAttributes,
  dataSchemas,
  deletedId,
  type EventName,
  eventTypes,
  gapId,
  itemId,
  leftId,
  markerId,
  partitionKey,
  sequence,
  sourceOf,
  streamKey,
  subjectOf,
  versionId,
} from '../events/index.ts'
import type { OutboundEvent } from '../events/outbound.ts'
import { apiVersionOf, type KubeObject, type Resource, resourceName, unreadReason } from '../kube/object.ts'
import { fieldManager, takenFrom } from '../kube/taken.ts'
import type { Change } from '../reconcile/change.ts'
import type { View } from '../route/view.ts'
import { type Content, type PartialObject, PayloadWriter, type Size, smallerSize } from './payload.ts'

/** What every event of a stream has in common. */
export interface StreamDescription {
  readonly cluster: string
  /** `<source name>/<resource>[/<namespace>]`. */
  readonly stream: string
  readonly resource: Resource
  readonly scope: StreamScope
}

/** Which objects the stream covers; an absent member restricts nothing. */
export interface StreamScope {
  readonly namespaces?: readonly string[]
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/** A change that events are made of. `Progress` is none. */
export type Notable<T extends KubeObject = KubeObject> = Exclude<Change<T>, { readonly type: 'Progress' }>

/** Makes a change's event for a view. Views that ask for the same share its data. */
export type Translation = (view: View, facts: SinkFacts) => OutboundEvent

/** What only the delivery side knows, as it is when it is asked. */
export interface SinkFacts {
  /** Dead letters of this view since its last full snapshot. */
  readonly deadLettered: () => number
}

/** The translation of a stream's changes. Throws a RangeError for a position that no `sequence` can hold. */
export function createTranslator(description: StreamDescription): (change: Notable) => Translation {
  const { cluster, stream, resource } = description
  const name = resourceName(resource)
  const common = {
    specversion: '1.0',
    source: sourceOf(cluster, resource),
    datacontenttype: 'application/json',
    cluster,
    resource: name,
    stream,
  } as const
  const scope = { resource: name, ...description.scope }

  function objectEvent(change: ObjectChange): Translation {
    const object = objectOf(change, resource)
    const { namespace, name: objectName, uid, resourceVersion } = object.metadata
    const content: Content = {
      object,
      previous: previousOf(change),
      ...(change.type === 'Deleted' && { finalStateKnown: change.finalStateKnown }),
    }
    const writer = new PayloadWriter(content)
    const key = partitionKey(cluster, name, { namespace, name: objectName })
    const place = sequence(change.resourceVersion)
    const attributes = {
      ...common,
      id: idOf(change),
      type: eventTypes[nameOf[change.type]],
      subject: subjectOf({ namespace, name: objectName }),
      time: timeOf(change),
      apiversion: object.apiVersion,
      kind: object.kind,
      namespace,
      name: objectName,
      uid,
      resourceversion: resourceVersion,
      partitionkey: key,
      sequence: place,
      observed: change.type === 'SnapshotItem' ? 'snapshot' : change.observed,
      collapsed: change.type !== 'SnapshotItem' && change.collapsed ? true : undefined,
      snapshotid: change.type === 'SnapshotItem' ? change.snapshot.id : undefined,
      fieldmanager: fieldManager(object as KubeObject, content.previous) || undefined,
    }
    const outbound = (size: Size): OutboundEvent => {
      const data = writer.data(size)
      const smaller = smallerSize(size, content)
      return {
        attributes: { ...attributes, dataschema: dataSchemas[size.shape], degraded: size.degraded },
        key,
        stream,
        kind: change.type === 'SnapshotItem' ? 'item' : 'change',
        data,
        dataBytes: Buffer.byteLength(data),
        ...(smaller && { smaller: () => outbound(smaller) }),
      }
    }
    const unread = unreadReason(object as KubeObject) !== undefined
    return ({ payload }) => outbound(unread ? { shape: 'reference', previous: false, degraded: 'reference' } : payload)
  }

  function streamEvent(
    change: StreamChange,
    kind: OutboundEvent['kind'] & Marker,
    data: object,
    id: string,
  ): OutboundEvent {
    const text = JSON.stringify(data)
    const attributes: CloudEventAttributes = {
      ...common,
      id,
      type: eventTypes[nameOf[change.type]],
      dataschema: dataSchemas[kind === 'gap' ? 'gap' : 'snapshot'],
      time: change.observedAt,
      partitionkey: streamKey(stream, kind),
      sequence: sequence(change.type === 'Gap' ? change.to : change.resourceVersion),
      snapshotid: change.type === 'Gap' ? undefined : change.snapshot.id,
    }
    return { attributes, key: streamKey(stream, kind), stream, kind, data: text, dataBytes: Buffer.byteLength(text) }
  }

  return (change) => {
    switch (change.type) {
      case 'Added':
      case 'Updated':
      case 'Deleted':
      case 'SnapshotItem':
        return objectEvent(change)
      case 'Gap': {
        const { from, to, cause } = change
        const supersedes = cause === 'restored' && ({ supersedes: 'stream' } as const)
        return () => ({
          ...streamEvent(change, 'gap', { gap: { from, to, cause } }, gapId(stream, from, to)),
          ...supersedes,
        })
      }
      case 'SnapshotBegin':
        return () =>
          streamEvent(
            change,
            'begin',
            { snapshot: { ...change.snapshot, scope } },
            markerId(change.snapshot.id, 'begin'),
          )
      case 'SnapshotAborted':
        return () => aborted(change, change.cause)
      case 'SnapshotEnd':
        return (view, { deadLettered }) => {
          const end = (): OutboundEvent => ({
            ...streamEvent(change, 'end', endData(change, view, deadLettered()), markerId(change.snapshot.id, 'end')),
            aborted: (cause) => aborted({ ...change, type: 'SnapshotAborted', cause }, cause),
          })
          return { ...end(), final: end }
        }
    }
  }

  function aborted(change: Extract<StreamChange, { type: 'SnapshotAborted' }>, cause: string): OutboundEvent {
    const { id } = change.snapshot
    return streamEvent(change, 'aborted', { snapshot: { id, cause } }, markerId(id, 'aborted'))
  }

  function endData({ snapshot, result, resourceVersion }: SnapshotEnd, { on }: View, deadLettered: number): object {
    const { members, state, ...counts } = result
    // a view that leaves types out cannot be compared with the stream
    const comparable = on.has('added') && on.has('deleted')
    const digests = comparable && { members, ...(on.has('updated') && snapshot.mode === 'full' && { state }) }
    return { snapshot: { ...snapshot, scope, resourceVersion, ...counts, deadLettered, ...digests } }
  }
}

type ObjectChange = Extract<Notable, { type: 'Added' | 'Updated' | 'Deleted' | 'SnapshotItem' }>
type StreamChange = Exclude<Notable, ObjectChange>
type SnapshotEnd = Extract<Notable, { type: 'SnapshotEnd' }>
type Marker = 'begin' | 'end' | 'aborted' | 'gap'

const nameOf: Record<Notable['type'], EventName> = {
  Added: 'added',
  Updated: 'updated',
  Deleted: 'deleted',
  Gap: 'gap',
  SnapshotBegin: 'snapshotBegin',
  SnapshotItem: 'snapshotItem',
  SnapshotEnd: 'snapshotEnd',
  SnapshotAborted: 'snapshotAborted',
}

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
