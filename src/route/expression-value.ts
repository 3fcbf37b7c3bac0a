/**
 * An object as an expression sees it. The evaluator asks a value for its `constructor` to learn its type, so a member of
 * that name, which anybody may give an annotation or a ConfigMap, would make every `where` fail: who can write an object
 * could hide it. And an integer that a double cannot hold is an opaque value, which compares with nothing.
 */
import type { KubeObject } from '../kube/object.ts'
import { isExactNumber } from '../lib/exact-json.ts'

const INT = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const

/** The object itself, unless something in it would be misread: then a copy in which it is not. */
export function visible(object: KubeObject): unknown {
  return isPlain(object) ? object : converted(object)
}

/** Recursion is safe: nothing nested deeper than the limit of a frame is ever parsed. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object' && !isPlain(element)) return false
    return true
  }
  // also of exact numbers, which have no prototype
  if (value.constructor !== Object) return false
  const members = value as Readonly<Record<string, unknown>>
  for (const name in members) {
    const member = members[name]
    if (typeof member === 'object' && !isPlain(member)) return false
  }
  return true
}

function converted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(converted)
  if (isExactNumber(value)) return numberOf(JSON.stringify(value))
  const members = Object.entries(value).map(([name, member]) => [name, converted(member)] as const)
  return Object.hasOwn(value, 'constructor') ? new Map(members) : Object.fromEntries(members)
}

function numberOf(digits: string): number | bigint {
  if (!/^-?[0-9]+$/.test(digits)) return Number(digits)
  const integer = BigInt(digits)
  return integer >= INT.min && integer <= INT.max ? integer : Number(digits)
}
