/**
 * The transform that every object passes before anything keeps, compares, logs or sends it (promise P8).
 * Guarantee: the result holds no managedFields, no last-applied copy of itself, no value of a Secret, no value of an
 * environment variable whose name looks like a credential, and nothing at a configured path.
 */
import { createHmac } from 'node:crypto'
import type { KubeObject, ManagedFieldsEntry, ObjectMeta } from '../kube/object.ts'
import { type Taken, takenFrom, withTaken } from '../kube/taken.ts'
import { isRecord, pointerOf } from '../lib/json-pointer.ts'
import { type Path, parsePath } from './path.ts'

export interface RedactionOptions {
  /** Key of the digests that stand for redacted values. Without it they read `redacted`. At least 16 bytes. */
  readonly key?: Uint8Array
  /** Further places whose values are redacted, in objects of every kind. */
  readonly paths: readonly Path[]
  /** A container's environment variable is redacted when its name holds one of these, in any case. */
  readonly env: readonly string[]
}

/** Idempotent and pure: an object that was redacted comes back as it is; the argument is never changed. */
export type Redact = <T extends KubeObject>(object: T) => T

/** Annotations in which a tool keeps a whole copy of the object, plain values included. */
const COPIES = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'kapp.k14s.io/original',
  'objectset.rio.cattle.io/applied',
  'banzaicloud.com/last-applied',
])

const IDENTITY = /^(?:\*|apiVersion|kind|metadata)$|^(?:\*|metadata)\.(?:\*|name|namespace|uid|resourceVersion)$/

/** Throws a RangeError for a path into the identity of objects: without it nothing could be told apart. */
export function createRedaction({ key, paths, env }: RedactionOptions): Redact {
  for (const path of paths) {
    const names = path.map((step) => (step.type === 'member' ? step.name : '*')).join('.')
    if (IDENTITY.test(names)) throw new RangeError(`redaction of ${names} would hide which object an event is about`)
  }
  const patterns = env.map((text) => text.toUpperCase())
  const isCredential = (name: string) => {
    const upper = name.toUpperCase()
    return patterns.some((pattern) => upper.includes(pattern))
  }

  return <T extends KubeObject>(object: T): T => {
    if (takenFrom(object)) return object
    const pointers: string[] = []
    const mark: Mark = (value, trail) => {
      const pointer = pointerOf(trail)
      pointers.push(pointer)
      if (!key) return 'redacted'
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      // uid and pointer are part of the input: equal values in two places do not show as equal
      const input = `${object.metadata.uid}\n${pointer}\n${text}`
      return `hmac-sha256:${createHmac('sha256', key).update(input).digest('hex')}`
    }

    let result: unknown = { ...object, metadata: stripMetadata(object.metadata) }
    if (object.kind === 'Secret' && object.apiVersion === 'v1') {
      for (const path of SECRET_VALUES) result = markAt(result, path, [], mark)
    } else if (patterns.length > 0) {
      result = credentialMarker(isCredential, mark)(result, [])
    }
    for (const path of paths) result = markAt(result, path, [], mark)
    // every step returns its argument or a copy of the same shape
    return withTaken(result as T, { ...lastWrite(object.metadata.managedFields), redacted: pointers })
  }
}

const SECRET_VALUES = [parsePath('data'), parsePath('stringData')]

/** Rebuilt, not deleted from: an object with a deleted member takes 15 % more memory. */
function stripMetadata(metadata: ObjectMeta): ObjectMeta {
  const { managedFields: _, annotations, ...rest } = metadata
  if (!annotations) return rest
  const kept = Object.entries(annotations).filter(([name]) => !COPIES.has(name))
  // fromEntries, not a loop of assignments: a key `__proto__` stays data
  return kept.length === 0 ? rest : { ...rest, annotations: Object.fromEntries(kept) }
}

function lastWrite(entries: readonly ManagedFieldsEntry[] | undefined): Omit<Taken, 'redacted'> {
  let changedAt: string | undefined
  for (const { time } of entries ?? []) {
    // the format is fixed (whole seconds, Z), so text order is time order
    if (time !== undefined && (changedAt === undefined || time > changedAt)) changedAt = time
  }
  const newest = entries?.filter(({ time }) => time !== undefined && time === changedAt) ?? []
  const writers = newest.map(({ manager, operation, subresource, fieldsV1 }) => {
    return { manager, operation, subresource, fields: countMembers(fieldsV1) }
  })
  return { writers, changedAt }
}

function countMembers(node: unknown): number {
  if (!isRecord(node)) return 0
  let count = 0
  for (const name in node) count += 1 + countMembers(node[name])
  return count
}

type Trail = (string | number)[]
type Mark = (value: unknown, trail: Trail) => string
/** What becomes of the value at `trail`. */
type Visit = (value: unknown, trail: Trail) => unknown

/**
 * Wherever `env` stands in the object (pod, template, custom resource), the credentials in it are marked: in a list of
 * `{ name, value }`, as containers have it, and in a mapping from name to value, as some custom resources do.
 * Recursion is safe here and below: nothing nested deeper than the limit of a frame is ever parsed.
 */
function credentialMarker(isCredential: (name: string) => boolean, mark: Mark): Visit {
  const visit: Visit = (node, trail) => {
    if (typeof node !== 'object' || node === null) return node // most of an object is scalars
    if (trail.at(-2) === 'env' && isRecord(node) && typeof node.name === 'string' && isScalar(node.value)) {
      return isCredential(node.name) ? { ...node, value: mark(node.value, [...trail, 'value']) } : node
    }
    return mapChildren(node, trail, trail.at(-1) === 'env' && isRecord(node) ? visitVariable : visit)
  }
  const visitVariable: Visit = (value, trail) =>
    isScalar(value) && isCredential(String(trail.at(-1))) ? mark(value, trail) : visit(value, trail)
  return visit
}

/** Something that can be secret: a text, a number, a truth value. */
function isScalar(value: unknown): boolean {
  return value !== undefined && value !== null && !isRecord(value) && !Array.isArray(value)
}

/** Marks every scalar at or below the places that `path` names. */
function markAt(node: unknown, path: Path, trail: Trail, mark: Mark): unknown {
  const depth = trail.length
  const step = path[depth]
  return mapChildren(node, trail, (value) => {
    if (step?.type === 'member' && step.name !== String(trail[depth])) return value
    if (depth + 1 < path.length || isRecord(value) || Array.isArray(value)) return markAt(value, path, trail, mark)
    return value === null ? value : mark(value, trail)
  })
}

/** The node with its members or elements mapped, `trail` naming each in turn. The node itself if none changed. */
function mapChildren(node: unknown, trail: Trail, visit: Visit): unknown {
  const last = trail.length
  if (Array.isArray(node)) {
    let copy: unknown[] | undefined
    trail.push(0)
    for (let index = 0; index < node.length; index++) {
      trail[last] = index
      const mapped = visit(node[index], trail)
      if (mapped === node[index]) continue
      copy ??= [...node]
      copy[index] = mapped
    }
    trail.pop()
    return copy ?? node
  }
  if (!isRecord(node)) return node
  let changed: Map<string, unknown> | undefined
  trail.push('')
  // `in`, not Object.keys: nothing is made for an object that stays as it is. Nothing that is enumerable is inherited
  for (const name in node) {
    trail[last] = name
    const mapped = visit(node[name], trail)
    if (mapped === node[name]) continue
    changed ??= new Map()
    changed.set(name, mapped)
  }
  trail.pop()
  if (!changed) return node
  // fromEntries, not a loop of assignments: a key `__proto__` stays data
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, changed.get(name) ?? value]))
}
