/**
 * Every name that an event is told apart, ordered or grouped by. Pure functions of what the server said, so that a
 * restart and another replica make the same ones (P4).
 */
import type { Resource, ResourceVersion, Uid } from '../kube/object.ts'

declare const brand: unique symbol

/** A position as 20 digits: text order is the order of positions. Made by `sequence`. */
export type Sequence = string & { readonly [brand]: 'Sequence' }

const SEQUENCE_DIGITS = 20

/** `00000000000000004711` for `4711`. Throws a RangeError for more than 20 digits: text order would end there. */
export function sequence(position: ResourceVersion): Sequence {
  if (position.length > SEQUENCE_DIGITS) {
    throw new RangeError(
      `resourceVersion ${position} has more than ${SEQUENCE_DIGITS} digits: the attribute "sequence" cannot order it. ` +
        'Leave this resource out of the sources',
    )
  }
  return position.padStart(SEQUENCE_DIGITS, '0') as Sequence
}

/** Of `added` and `updated`: `<uid>:<resourceVersion>`. The type is no part of it: a replay may see either. */
export function versionId(uid: Uid, version: ResourceVersion): string {
  return `${uid}:${version}`
}

/** Of an `added` because the object's namespace entered the scope: `<uid>:<sequence>:entered`. */
export function enteredId(uid: Uid, at: Sequence): string {
  return `${uid}:${at}:entered`
}

/** Of a `deleted` because the object is gone: `<uid>:deleted`, whether that was watched or inferred. */
export function deletedId(uid: Uid): string {
  return `${uid}:deleted`
}

/** Of a `deleted` because the object left a selector, a scope or a view: `<uid>:<sequence>:left`. */
export function leftId(uid: Uid, at: Sequence): string {
  return `${uid}:${at}:left`
}

/** Of a snapshot item: `<uid>:<resourceVersion>:<snapshotid>`. */
export function itemId(uid: Uid, version: ResourceVersion, snapshotId: string): string {
  return `${uid}:${version}:${snapshotId}`
}

/** Of a marker: `<snapshotid>:begin`. */
export function markerId(snapshotId: string, marker: 'begin' | 'end' | 'aborted'): string {
  return `${snapshotId}:${marker}`
}

/** Of a gap: `<stream>:<from>:<to>:gap`. */
export function gapId(stream: string, from: ResourceVersion, to: ResourceVersion): string {
  return `${stream}:${from}:${to}:gap`
}

/** `<source name>/<resource>`, or `<source name>/<resource>/<namespace>` for a stream of one namespace. */
export function streamName(source: string, resource: string, namespace?: string): string {
  return namespace === undefined ? `${source}/${resource}` : `${source}/${resource}/${namespace}`
}

/** `<stream>:<random>`: one per snapshot. The caller brings the randomness; nothing else in any id is random. */
export function snapshotId(stream: string, random: string): string {
  return `${stream}:${random}`
}

/** `kubernetes://prod-eu/api/v1/pods`, `kubernetes://prod-eu/apis/apps/v1/deployments`. */
export function sourceOf(cluster: string, { group, version, resource }: Resource): string {
  return group === ''
    ? `kubernetes://${cluster}/api/${version}/${resource}`
    : `kubernetes://${cluster}/apis/${group}/${version}/${resource}`
}

interface Named {
  /** Absent on a cluster-scoped object. */
  readonly namespace?: string | undefined
  readonly name: string
}

/** `<namespace>/<name>`; of a cluster-scoped object `<name>`. */
export function subjectOf({ namespace, name }: Named): string {
  return namespace ? `${namespace}/${name}` : name
}

/**
 * `<cluster>/<resource>/<subject>`: `prod-eu/deployments.apps/shop/web`, of a cluster-scoped object `prod-eu/nodes/n1`.
 * All events of a name share it, also of its later owners, so they stay in order. `resource` as `resourceName` spells it.
 */
export function partitionKey(cluster: string, resource: string, object: Named): string {
  return `${cluster}/${resource}/${subjectOf(object)}`
}

/** The partition key of what is about a whole stream: `<stream>:begin`. */
export function streamKey(stream: string, kind: 'begin' | 'end' | 'aborted' | 'gap'): string {
  return `${stream}:${kind}`
}
