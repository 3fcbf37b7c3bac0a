/**
 * Change -> CloudEvent. Pure: no clock, no I/O, nothing random, so that the same version of the same object gives the
 * same event after a restart and on another replica (P4).
 */
import {
  type CloudEventAttributes,
  dataSchemas,
  type EventName,
  eventTypes,
  gapId,
  markerId,
  sequence,
  sourceOf,
  streamKey,
} from '../events/index.ts'
import type { OutboundEvent } from '../events/outbound.ts'
import { type Resource, resourceName } from '../kube/object.ts'
import type { Notable, Snapshot } from '../reconcile/change.ts'
import type { View } from '../route/view.ts'
import { type ObjectChange, ObjectEvent, ObjectFacts, type ObjectStream } from './object-event.ts'

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
  /** What a begin and its end say of a snapshot. */
  function described({ scope: part, ...snapshot }: Snapshot): object {
    const { namespaces = part?.namespaces, labelSelector, fieldSelector } = description.scope
    const labels = [labelSelector, part?.labelSelector].filter((text) => text !== undefined)
    const selectors = {
      ...(labels.length > 0 && { labelSelector: labels.join(',') }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    }
    return { ...snapshot, scope: { resource: name, ...(namespaces && { namespaces }), ...selectors } }
  }

  const objects: ObjectStream = { cluster, stream, resource, attributes: common }
  function objectEvent(change: ObjectChange): Translation {
    const facts = new ObjectFacts(objects, change)
    return ({ payload }) => new ObjectEvent(facts, payload)
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
          streamEvent(change, 'begin', { snapshot: described(change.snapshot) }, markerId(change.snapshot.id, 'begin'))
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
    // a view that leaves types out cannot be compared with the stream, nor can a part of it
    const comparable = on.has('added') && on.has('deleted') && snapshot.mode !== 'part'
    const digests = comparable && { members, ...(on.has('updated') && snapshot.mode === 'full' && { state }) }
    return { snapshot: { ...described(snapshot), resourceVersion, ...counts, deadLettered, ...digests } }
  }
}

type StreamChange = Exclude<Notable, ObjectChange>
type SnapshotEnd = Extract<Notable, { type: 'SnapshotEnd' }>
type Marker = 'begin' | 'end' | 'aborted' | 'gap'

const nameOf: Record<StreamChange['type'], EventName> = {
  Gap: 'gap',
  SnapshotBegin: 'snapshotBegin',
  SnapshotEnd: 'snapshotEnd',
  SnapshotAborted: 'snapshotAborted',
}
