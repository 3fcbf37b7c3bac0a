/** Whether something that somebody else's module calls a schema is one that a configuration can be checked by. */
import { sinkOptionsSchema } from '../delivery/options.ts'
import { escapeStep } from '../lib/json-pointer.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import { nearest } from '../lib/nearest.ts'
import { formats } from './formats.ts'
import { interpreted } from './interpreted-schema.ts'

/** No schema of ours has more than 6; one that contains itself has no end. */
const MAX_DEPTH = 32

/** The keys of a sink type, as `defineSink` takes them. What is wrong, with its place; empty: it is sound. */
export function flawsOfSinkSchema(schema: unknown): readonly string[] {
  if (!isMapping(schema) || schema.type !== 'object') return ["schema: expected { type: 'object', properties: { … } }"]
  const known = ['type', 'title', 'description', 'properties', 'required']
  return [
    ...Object.keys(schema).flatMap((keyword) =>
      known.includes(keyword) ? [] : [`schema/${escapeStep(keyword)}: of the whole only properties and required count`],
    ),
    ...Object.keys(Object(schema.properties)).flatMap((key) =>
      key in sinkOptionsSchema.properties
        ? [`schema/properties/${key}: every sink has this key: take another name`]
        : [],
    ),
    ...flaws(schema, { place: 'schema', depth: 0, defaults: 'count' }),
  ]
}

interface At {
  readonly place: string
  readonly depth: number
  readonly defaults: 'count' | 'lost'
}

/** Of each keyword, whether its value is one, and what it should be. */
const keywords: Readonly<Record<keyof JsonSchema, readonly [isValid: (value: unknown) => boolean, expected: string]>> =
  {
    type: [
      (value) => ['object', 'array', 'string', 'integer', 'number', 'boolean', 'null'].includes(String(value)),
      'one of object, array, string, integer, number, boolean, null',
    ],
    title: [isText, 'text'],
    description: [isText, 'text'],
    default: [() => true, ''],
    const: [() => true, ''],
    enum: [(value) => Array.isArray(value) && value.length > 0, 'a list of values'],
    examples: [Array.isArray, 'a list of values'],
    properties: [isMapping, 'a mapping of names to schemas'],
    required: [(value) => Array.isArray(value) && value.every(isText), 'a list of names'],
    additionalProperties: [(value) => typeof value === 'boolean' || isMapping(value), 'true, false or a schema'],
    items: [isMapping, 'a schema'],
    minItems: [isCount, 'an integer of at least 0'],
    oneOf: [(value) => Array.isArray(value) && value.length > 0 && value.every(isMapping), 'a list of schemas'],
    pattern: [isPattern, 'a regular expression as text'],
    format: [(value) => isText(value) && Object.hasOwn(formats, value), `one of ${Object.keys(formats).join(', ')}`],
    minLength: [isCount, 'an integer of at least 0'],
    maxLength: [isCount, 'an integer of at least 0'],
    minimum: [Number.isFinite, 'a number'],
    maximum: [Number.isFinite, 'a number'],
  }

function* flaws(schema: Record<string, unknown>, at: At): Generator<string> {
  if (at.depth > MAX_DEPTH) {
    yield `${at.place}: nested too deeply`
    return
  }
  let sound = true
  for (const [keyword, value] of Object.entries(schema)) {
    const rule = Object.hasOwn(keywords, keyword) ? keywords[keyword as keyof JsonSchema] : undefined
    if (rule?.[0](value)) continue
    sound = false
    yield `${at.place}/${escapeStep(keyword)}: ${rule ? `expected ${rule[1]}` : unknownKeyword(keyword)}`
  }
  if (!sound) return
  const { properties = {}, required = [], additionalProperties: others, items, oneOf = [] } = schema as JsonSchema
  for (const name of required) {
    if (!Object.hasOwn(properties, name)) yield `${at.place}/required: there is no property ${JSON.stringify(name)}`
  }
  const below = (step: string, defaults = at.defaults): At => ({
    place: `${at.place}/${step}`,
    depth: at.depth + 1,
    defaults,
  })
  for (const [name, member] of Object.entries(properties))
    yield* flawsOf(member, below(`properties/${escapeStep(name)}`))
  for (const [index, branch] of oneOf.entries()) yield* flawsOf(branch, below(`oneOf/${index}`, 'lost'))
  if (items) yield* flawsOf(items, below('items'))
  if (typeof others === 'object') yield* flawsOf(others, below('additionalProperties'))
}

function* flawsOf(schema: unknown, at: At): Generator<string> {
  if (!isMapping(schema)) {
    yield `${at.place}: expected a schema`
    return
  }
  const found = [...flaws(schema, at)]
  yield* found
  if (found.length > 0 || schema.default === undefined) return
  if (at.defaults === 'lost') yield `${at.place}/default: has no effect below oneOf: put it beside oneOf`
  else if (!interpreted(schema as JsonSchema)(structuredClone(schema.default))) {
    yield `${at.place}/default: is not valid by the schema beside it`
  }
}

function unknownKeyword(keyword: string): string {
  const near = nearest(keyword, Object.keys(keywords))
  return near === undefined
    ? `unknown keyword; there are ${Object.keys(keywords).join(', ')}`
    : `unknown keyword; did you mean ${near}?`
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0
}

function isPattern(value: unknown): boolean {
  try {
    return isText(value) && new RegExp(value, 'u') instanceof RegExp
  } catch {
    return false
  }
}
