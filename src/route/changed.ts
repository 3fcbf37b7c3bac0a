/** What changed between two states of an object, as JSON Pointers (RFC 6901) without values. */
import type { KubeObject } from '../kube/object.ts'
import { isExactNumber } from '../lib/exact-json.ts'
import { escapeStep, isRecord } from '../lib/json-pointer.ts'

/** Above this many pointers, only the members of the top level that differ are named. */
const MOST = 100

/** Every write changes these, so they say nothing. */
const SILENT = new Set(['/metadata/resourceVersion', '/metadata/generation', '/metadata/managedFields'])

/**
 * Pointers to the deepest values that differ, in the order of `after`, then those that are gone. Lists of equal length
 * are compared element by element, others are named as a whole. Both arguments must have passed redaction.
 */
export function changedPointers(before: KubeObject, after: KubeObject): readonly string[] {
  const pointers: string[] = []
  compare(before, after, '', pointers)
  if (pointers.length <= MOST) return pointers
  return [...new Set(pointers.map((pointer) => pointer.split('/', 2).join('/')))]
}

/** Recursion is safe: nothing nested deeper than the limit of a frame is ever parsed. */
function compare(before: unknown, after: unknown, pointer: string, found: string[]): void {
  if (before === after || SILENT.has(pointer)) return
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    for (let index = 0; index < after.length; index++)
      compare(before[index], after[index], `${pointer}/${index}`, found)
  } else if (isExactNumber(before) && isExactNumber(after) && JSON.stringify(before) === JSON.stringify(after)) {
    return
  } else if (isRecord(before) && isRecord(after)) {
    for (const name of Object.keys(after)) {
      const value = own(before, name)
      if (value !== after[name]) compare(value, after[name], `${pointer}/${escapeStep(name)}`, found)
    }
    for (const name of Object.keys(before)) {
      if (own(after, name) === undefined) compare(before[name], undefined, `${pointer}/${escapeStep(name)}`, found)
    }
  } else {
    found.push(pointer)
  }
}

/** A member named like something on Object.prototype is not there unless the object itself has it. */
function own(record: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined
}
