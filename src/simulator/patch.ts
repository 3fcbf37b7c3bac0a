import { isDeepStrictEqual } from 'node:util'
import { unescapeStep } from '../lib/json-pointer.ts'
import { isObject, type JsonObject } from './json.ts'
import { badRequest, invalid, type StatusError } from './status.ts'

export type PatchType = 'merge' | 'strategic' | 'json'

/** Applies a patch to a copy. Throws a 400 for a patch of the wrong shape, a 422 for an operation that cannot be done. */
export function applyPatch(object: JsonObject, patch: unknown, type: PatchType): JsonObject {
  if (type === 'json') return jsonPatch(object, patch)
  if (!isObject(patch)) throw badRequest('error decoding patch: json: cannot unmarshal into an object')
  return type === 'merge' ? mergePatch(object, patch) : strategicPatch(object, patch)
}

/** RFC 7386. */
function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...target }
  for (const [member, value] of Object.entries(patch)) {
    const old = result[member]
    if (value === null) delete result[member]
    else if (isObject(value)) result[member] = mergePatch(isObject(old) ? old : {}, value)
    else result[member] = value
  }
  return result
}

/** The lists of the built-in types that a strategic merge patch merges, with the member that tells elements apart. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  conditions: 'type',
  containers: 'name',
  containerStatuses: 'name',
  env: 'name',
  ephemeralContainers: 'name',
  hostAliases: 'ip',
  imagePullSecrets: 'name',
  initContainers: 'name',
  initContainerStatuses: 'name',
  ownerReferences: 'uid',
  podIPs: 'ip',
  ports: 'containerPort',
  volumeMounts: 'mountPath',
  volumes: 'name',
}

/** As a merge patch, but known lists are merged by element and `finalizers` is a set. Source: sig-api-machinery, "Strategic Merge Patch". */
function strategicPatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result = { ...target }
  for (const [member, value] of Object.entries(patch)) {
    const old = result[member]
    if (member.startsWith('$')) continue
    if (value === null) delete result[member]
    else if (isObject(value)) {
      result[member] = value.$patch === 'replace' ? value : strategicPatch(isObject(old) ? old : {}, value)
    } else if (Array.isArray(value) && Array.isArray(old)) result[member] = mergeList(member, old, value)
    else result[member] = value
  }
  return result
}

function mergeList(member: string, old: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  if (member === 'finalizers') return [...new Set([...old, ...patch])]
  const key = MERGE_KEYS[member]
  if (key === undefined) return patch
  const result = [...old]
  for (const element of patch) {
    if (!isObject(element)) return patch
    const index = result.findIndex((candidate) => isObject(candidate) && candidate[key] === element[key])
    const found = result[index]
    if (element.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1)
    } else if (isObject(found)) result[index] = strategicPatch(found, element)
    else result.push(element)
  }
  return result
}

/** RFC 6902: add, remove, replace, move, copy, test. */
function jsonPatch(object: JsonObject, patch: unknown): JsonObject {
  if (!Array.isArray(patch)) throw badRequest('error decoding patch: a JSON patch is an array of operations')
  const document: JsonObject = { '': structuredClone(object) }
  for (const operation of patch) {
    if (!isObject(operation) || typeof operation.path !== 'string')
      throw badRequest('error decoding patch: an operation needs a path')
    const path = pointer(operation.path)
    switch (operation.op) {
      case 'test':
        if (!isDeepStrictEqual(read(document, path), operation.value))
          throw unprocessable(`testing value ${operation.path} failed`)
        break
      case 'remove':
        write(document, path, 'remove', undefined)
        break
      case 'add':
      case 'replace':
        write(document, path, operation.op, operation.value)
        break
      case 'copy':
      case 'move': {
        const from = pointer(String(operation.from))
        const value = structuredClone(read(document, from))
        if (operation.op === 'move') write(document, from, 'remove', undefined)
        write(document, path, 'add', value)
        break
      }
      default:
        throw badRequest(`error decoding patch: unknown operation ${JSON.stringify(operation.op)}`)
    }
  }
  const result = document['']
  if (!isObject(result)) throw unprocessable('the patch leaves no object')
  return result
}

/** The document hangs under the empty name, so that `''` is a path like any other. */
function pointer(text: string): readonly string[] {
  return text.split('/').map(unescapeStep)
}

function read(document: JsonObject, path: readonly string[]): unknown {
  let value: unknown = document
  for (const step of path) {
    if (isObject(value)) value = value[step]
    else if (Array.isArray(value)) value = value[Number(step)]
    else return undefined
  }
  return value
}

function write(document: JsonObject, path: readonly string[], how: 'add' | 'replace' | 'remove', value: unknown): void {
  const parent = read(document, path.slice(0, -1))
  const last = path.at(-1) ?? ''
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last)
    if (!(index >= 0 && index <= parent.length)) throw unprocessable(`no element ${last}`)
    if (how === 'add') parent.splice(index, 0, value)
    else if (how === 'remove') parent.splice(index, 1)
    else parent[index] = value
  } else if (isObject(parent)) {
    if (how !== 'add' && parent[last] === undefined)
      throw unprocessable(`${how} operation does not apply: no ${path.join('/')}`)
    if (how === 'remove') delete parent[last]
    else parent[last] = value
  } else throw unprocessable(`${how} operation does not apply: no ${path.slice(0, -1).join('/')}`)
}

function unprocessable(message: string): StatusError {
  return invalid('', '', '', [{ reason: 'FieldValueInvalid', field: 'patch', message }])
}
