/** What changed between two states of an object, as JSON Pointers (RFC 6901) without values. */
import type { KubeObject } from '../kube/object.ts'
import { isExactNumber } from '../lib/exact-json.ts'
import { isRecord, pointerOf } from '../lib/json-pointer.ts'

/** Above this many pointers, only the members of the top level that differ are named. */
const MOST = 100

/** Of metadata. Every write changes these, so they say nothing. */
const SILENT: ReadonlySet<string | number> = new Set(['resourceVersion', 'generation', 'managedFields'])

/**
 * Pointers to the deepest values that differ, in the order of `after`, then those that are gone. Lists of equal length
 * are compared element by element, others are named as a whole. Both arguments must have passed redaction.
 */
export function changedPointers(before: KubeObject, after: KubeObject): readonly string[] {
  const pointers: string[] = []
  compare(before, after, [], pointers)
  if (pointers.length <= MOST) return pointers
  return [...new Set(pointers.map((pointer) => pointer.split('/', 2).join('/')))]
}

/**
 * `trail`: the steps to the two values; most are equal, so no pointer is written before one differs.
 * Recursion is safe: nothing nested deeper than the limit of a frame is ever parsed.
 */
function compare(before: unknown, after: unknown, trail: (string | number)[], found: string[]): void {
  if (before === after || isSilent(trail)) return
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    for (let index = 0; index < after.length; index++) step(before[index], after[index], index, trail, found)
  } else if (isExactNumber(before) && isExactNumber(after) && JSON.stringify(before) === JSON.stringify(after)) {
    return
  } else if (isRecord(before) && isRecord(after)) {
    // `in`, not Object.keys: no list is made. Nothing that is enumerable is inherited
    for (const name in after) step(own(before, name), after[name], name, trail, found)
    for (const name in before) {
      if (own(after, name) === undefined) step(before[name], undefined, name, trail, found)
    }
  } else {
    found.push(pointerOf(trail))
  }
}

/** Compares what stands at `name` in both. */
function step(
  before: unknown,
  after: unknown,
  name: string | number,
  trail: (string | number)[],
  found: string[],
): void {
  if (before === after) return
  trail.push(name)
  compare(before, after, trail, found)
  trail.pop()
}

function isSilent(trail: readonly (string | number)[]): boolean {
  return trail.length === 2 && trail[0] === 'metadata' && SILENT.has(trail[1] ?? '')
}

/** A member named like something on Object.prototype is not there unless the object itself has it. */
function own(record: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = record[name]
  // hasOwn costs several times a read, and what is inherited is a function or the prototype, which no JSON holds
  const mayBeInherited = typeof value === 'function' || value === Object.prototype
  return mayBeInherited && !Object.hasOwn(record, name) ? undefined : value
}
