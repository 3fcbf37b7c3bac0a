/** Kubernetes objects and their identities. Types only, but for the functions that make the branded strings. */

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** `shop/web-1`, or `node-7` for a cluster-scoped object. Made by `keyOf`. */
export type ObjectKey = Branded<'ObjectKey'>
/** `metadata.uid`: one per object ever created, never used again. */
export type Uid = Branded<'Uid'>
/** A resourceVersion: decimal digits up to 2^128, comparable within one resource only. Made by `resourceVersion`. */
export type ResourceVersion = Branded<'ResourceVersion'>
/** RFC 3339 text, for example `2026-01-01T00:00:00.000000Z`. Passed through, never via Date: microseconds survive. */
export type Timestamp = Branded<'Timestamp'>

export interface ManagedFieldsEntry {
  readonly manager?: string
  readonly operation?: string
  readonly subresource?: string
  readonly time?: string
  readonly fieldsV1?: unknown
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid: Uid
  readonly resourceVersion: ResourceVersion
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly managedFields?: readonly ManagedFieldsEntry[]
}

/** Any object of a resource, with everything that the server sent. Read-only: caches and events share it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [member: string]: unknown
}

/** Why nothing but its identity is known of an object: longer, or nested deeper, than is parsed; or its transform failed. */
export type UnreadReason = 'size' | 'depth' | 'transform'

const unread = Symbol('unread')

/**
 * What may be kept of an object that could not be read: apiVersion, kind, name, namespace, uid and resourceVersion. It
 * stands for the object everywhere, so that no change of it, and above all no delete, is silent. Spreading a copy keeps
 * the mark; JSON does not show it.
 */
export function asUnread<T extends KubeObject>({ apiVersion, kind, metadata }: T, reason: UnreadReason): T {
  const { name, namespace, uid, resourceVersion } = metadata
  const identity = { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion }
  const reduced: KubeObject & { readonly [unread]: UnreadReason } = {
    apiVersion,
    kind,
    metadata: identity,
    [unread]: reason,
  }
  return reduced as KubeObject as T
}

/** Why the object is what `asUnread` left of one; undefined for a whole object. */
export function unreadReason(object: KubeObject): UnreadReason | undefined {
  return (object as KubeObject & { readonly [unread]?: UnreadReason })[unread]
}

const remembered = Symbol('remembered')

/** Stands for a version of an object of which nothing more is remembered. Spreading a copy keeps the mark. */
export function asRemembered(
  { apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>,
  metadata: ObjectIdentity & { readonly resourceVersion: ResourceVersion },
): KubeObject {
  const object: KubeObject & { readonly [remembered]: true } = { apiVersion, kind, metadata, [remembered]: true }
  return object
}

/** Whether the object is what `asRemembered` made. */
export function isRemembered(object: KubeObject): boolean {
  return remembered in object
}

/** What is known of an object whose last state is not: identity only. */
export interface ObjectIdentity {
  readonly namespace?: string
  readonly name: string
  readonly uid: Uid
}

/** One resource (GVR) as discovery describes it, for example deployments in apps/v1. */
export interface Resource {
  /** `''` for the core group. */
  readonly group: string
  readonly version: string
  /** Plural, lower case: `deployments`. */
  readonly resource: string
  readonly kind: string
  readonly namespaced: boolean
}

/** `pods`, `deployments.apps`: the resource without its version, as kubectl prints it. */
export function resourceName({ resource, group }: Resource): string {
  return group === '' ? resource : `${resource}.${group}`
}

/** `v1`, `apps/v1`. */
export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`
}

const DIGITS = /^[1-9][0-9]{0,38}$/

/** Validates a resourceVersion. Throws a RangeError for `''`, `'0'`, leading zeros and anything but digits. */
export function resourceVersion(text: unknown): ResourceVersion {
  if (typeof text !== 'string' || !DIGITS.test(text)) {
    throw new RangeError(`not a resourceVersion: ${String(text).slice(0, 60)}`)
  }
  return text as ResourceVersion
}

/**
 * Orders two resourceVersions of the same resource: negative, 0 or positive.
 * Digit strings compare by length, then as text. Source: KEP-5504 "Comparable Resource Version".
 */
export function compareResourceVersions(a: ResourceVersion, b: ResourceVersion): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}

/** `namespace/name`, or `name`. Throws a RangeError if a part holds a slash: two objects would share a key. */
export function keyOf({ namespace, name }: { readonly namespace?: string; readonly name: string }): ObjectKey {
  if (name.includes('/') || namespace?.includes('/')) {
    throw new RangeError(`a name or namespace holds a slash: ${JSON.stringify(namespace)} ${JSON.stringify(name)}`)
  }
  return (namespace ? `${namespace}/${name}` : name) as ObjectKey
}
