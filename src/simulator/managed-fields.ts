import { isDeepStrictEqual } from 'node:util'
import { isObject, type JsonObject, objectAt } from './json.ts'

/** Who writes: a manager is the `fieldManager` of a request, or else the program's name from its User-Agent. */
export interface Writer {
  readonly manager: string
  readonly apiVersion: string
  readonly subresource: '' | 'status'
  /** RFC 3339, seconds. */
  readonly time: string
}

type Tree = { [step: string]: Tree }

/** Members of metadata whose writer is tracked; the server sets the others itself. */
const TRACKED_METADATA = ['annotations', 'finalizers', 'generateName', 'labels', 'ownerReferences']

/**
 * `metadata.managedFields` after a write: the fields that changed belong to the writer, and to nobody else any more.
 * Lists of named things are tracked by element, others as one field; that is right for the built-in types.
 * Source: Kubernetes documentation, "Server-Side Apply".
 */
export function managedFields(
  before: JsonObject | undefined,
  after: JsonObject,
  writer: Writer,
): readonly JsonObject[] {
  const changed: Tree = {}
  const removed: Tree = {}
  diff(before ? tracked(before) : {}, tracked(after), changed, removed)
  const metadata = objectAt(before ?? {}, 'metadata')
  const entries = Array.isArray(metadata.managedFields) ? metadata.managedFields.filter(isObject) : []
  if (isEmpty(changed) && isEmpty(removed)) return entries
  const result: JsonObject[] = []
  let own: Tree = {}
  for (const entry of entries) {
    const fields = entry.fieldsV1 as Tree
    const left = subtract(fields, removed)
    if (isOwn(entry, writer)) own = left
    else {
      const others = subtract(left, changed)
      if (!isEmpty(others)) result.push({ ...entry, fieldsV1: others })
    }
  }
  const fieldsV1 = union(own, changed)
  if (!isEmpty(fieldsV1)) result.push(entryOf(writer, fieldsV1))
  return result
}

function entryOf({ manager, apiVersion, subresource, time }: Writer, fieldsV1: Tree): JsonObject {
  return {
    manager,
    operation: 'Update',
    apiVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(subresource ? { subresource } : {}),
  }
}

function isOwn(entry: JsonObject, writer: Writer): boolean {
  return entry.manager === writer.manager && (entry.subresource ?? '') === writer.subresource
}

function tracked(object: JsonObject): JsonObject {
  const metadata = objectAt(object, 'metadata')
  const kept: JsonObject = {}
  for (const member of TRACKED_METADATA) if (metadata[member] !== undefined) kept[member] = metadata[member]
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = object
  return Object.keys(kept).length > 0 ? { ...rest, metadata: kept } : rest
}

/** Marks in `changed` what is new or different in `after`, and in `removed` what it has no more. */
function diff(before: JsonObject, after: JsonObject, changed: Tree, removed: Tree): void {
  for (const step of Object.keys(before)) if (after[step] === undefined) removed[`f:${step}`] = {}
  for (const [step, value] of Object.entries(after)) {
    const old = before[step]
    if (value === undefined || isDeepStrictEqual(old, value)) continue
    diffValue(old, value, `f:${step}`, changed, removed)
  }
}

function diffValue(old: unknown, value: unknown, step: string, changed: Tree, removed: Tree): void {
  const [before, after] = [elements(old), elements(value)]
  if (!after) {
    changed[step] = {}
    return
  }
  const inside: Tree = before ? {} : { '.': {} }
  const gone: Tree = {}
  for (const name of before?.keys() ?? []) if (!after.has(name)) gone[name] = {}
  for (const [name, child] of after) {
    const previous = before?.get(name)
    if (!isDeepStrictEqual(previous, child)) diffValue(previous, child, name, inside, gone)
  }
  if (step === 'f:spec' || step === 'f:status' || step === 'f:metadata') delete inside['.']
  if (!isEmpty(inside) || !before) changed[step] = inside
  if (!isEmpty(gone)) removed[step] = gone
}

/** What a value is made of, by step: members, or the elements of a list that can be told apart. */
function elements(value: unknown): Map<string, unknown> | undefined {
  if (isObject(value)) return new Map(Object.entries(value).map(([name, child]) => [`f:${name}`, child]))
  if (!Array.isArray(value)) return undefined
  const named = new Map<string, unknown>()
  for (const element of value) {
    const key = elementKey(element)
    if (key === undefined || named.has(key)) return undefined
    named.set(key, element)
  }
  return named
}

const KEY_MEMBERS = [['uid'], ['type'], ['containerPort', 'protocol'], ['port', 'protocol'], ['name'], ['ip']]

function elementKey(element: unknown): string | undefined {
  if (typeof element === 'string') return `v:${JSON.stringify(element)}`
  if (!isObject(element)) return undefined
  const members = KEY_MEMBERS.find(([first = '']) => element[first] !== undefined)
  if (!members) return undefined
  return `k:${JSON.stringify(Object.fromEntries(members.map((member) => [member, element[member]])))}`
}

function union(a: Tree, b: Tree): Tree {
  const result: Tree = { ...a }
  for (const [step, child] of Object.entries(b)) result[step] = union(result[step] ?? {}, child)
  return result
}

/** `a` without the leaves of `b`, and without branches that this leaves empty. */
function subtract(a: Tree, b: Tree): Tree {
  const result: Tree = {}
  for (const [step, child] of Object.entries(a)) {
    const cut = b[step]
    if (!cut) result[step] = child
    else if (!isEmpty(cut)) {
      const left = subtract(child, cut)
      // A field of which only the field itself is left is written like a leaf
      if (!isEmpty(left)) result[step] = Object.keys(left).join() === '.' ? {} : left
    }
  }
  return result
}

function isEmpty(tree: Tree): boolean {
  for (const _ in tree) return false
  return true
}
