/**
 * An object as an expression sees it. The evaluator asks a value for its `constructor` to learn its type, so a member of
 * that name, which anybody may give an annotation or a ConfigMap, would make every `where` fail: who can write an object
 * could hide it. And an integer that a double cannot hold is an opaque value, which compares with nothing.
 */
import type { ASTNode } from '@marcbachmann/cel-js'
import type { KubeObject } from '../kube/object.ts'
import { isExactNumber } from '../lib/exact-json.ts'
import { isRecord } from '../lib/json-pointer.ts'
import { childrenOf } from './expression-cost.ts'

/** What of an object an expression can reach: the value at each path, with all that is in it. */
export type Reach = readonly (readonly string[])[]

/** Found once for an expression, so that not all of each object has to be looked at. */
export function reachOf(root: ASTNode): Reach {
  const paths = new Map<string, readonly string[]>()
  const find = (node: ASTNode): void => {
    const path = pathOf(node)
    if (path) paths.set(JSON.stringify(path), path)
    else for (const child of childrenOf(node)) find(child)
  }
  find(root)
  return [...paths.values()]
}

/** `object.metadata.labels['app']` as its names; undefined if the node is not one value of the object, read by name. */
function pathOf(node: ASTNode): readonly string[] | undefined {
  switch (node.op) {
    case 'id':
      return node.args === 'object' ? [] : undefined
    case '.':
    case '.?': {
      const [of, name] = node.args
      const path = pathOf(of)
      return path && [...path, name]
    }
    case '[]':
    case '[?]': {
      const [of, { op, args: name }] = node.args
      if (op !== 'value' || typeof name !== 'string') return undefined
      const path = pathOf(of)
      return path && [...path, name]
    }
    default:
      return undefined
  }
}

const INT = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const

/** The object itself, unless something within reach would be misread: then a copy in which nothing is. */
export function visible(object: KubeObject, reach: Reach): unknown {
  for (const path of reach) if (!isPlainAt(object, path)) return converted(object)
  return object
}

function isPlainAt(object: KubeObject, path: readonly string[]): boolean {
  let value: unknown = object
  for (const name of path) {
    if (!isRecord(value)) break
    if (Object.hasOwn(value, 'constructor')) return false
    value = Object.hasOwn(value, name) ? value[name] : undefined
  }
  return isPlain(value)
}

/** Recursion is safe: nothing nested deeper than the limit of a frame is ever parsed. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object' && !isPlain(element)) return false
    return true
  }
  const members = value as Readonly<Record<string, unknown>>
  for (const name in members) {
    // an exact number has one member, of this name
    if (name === 'constructor' || (name === 'rawJSON' && isExactNumber(value))) return false
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
