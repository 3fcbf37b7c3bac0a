/**
 * Checks values by a schema without making code from it, which the image forbids and ajv cannot do without: for the
 * schemas of sinks that are not part of the product. It says what ajv says, in the same words (validator.ts);
 * interpreted-schema.test.ts holds the two against each other.
 */
import { isDeepStrictEqual } from 'node:util'
import { escapeStep } from '../lib/json-pointer.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import { formatTests } from './formats.ts'
import type { SchemaError, Validator } from './validator.ts'

/** The schema must be sound, see `flawsOf`. Fills in defaults, but for those below `oneOf`: which of them applies? */
export function interpreted(schema: JsonSchema): Validator {
  const validate = (value: unknown) => {
    const errors = [...check(schema, value, { instance: '', schema: '#', fill: 'defaults' })]
    validate.errors = errors
    return errors.length === 0
  }
  validate.errors = [] as readonly SchemaError[]
  return validate
}

interface At {
  /** JSON Pointers. */
  readonly instance: string
  readonly schema: string
  readonly fill: 'defaults' | 'nothing'
}

function* check(schema: JsonSchema, value: unknown, at: At): Generator<SchemaError> {
  const failed = (keyword: keyof JsonSchema, params: SchemaError['params'] = {}): SchemaError => ({
    keyword,
    params,
    instancePath: at.instance,
    schemaPath: `${at.schema}/${keyword}`,
    schema: schema[keyword] as SchemaError['schema'],
    parentSchema: schema,
    data: value,
  })
  if (schema.type !== undefined && !isOfType(schema.type, value)) yield failed('type', { type: schema.type })
  if (Object.hasOwn(schema, 'const') && !isDeepStrictEqual(value, schema.const)) yield failed('const')
  if (schema.enum && !schema.enum.some((one) => isDeepStrictEqual(value, one))) yield failed('enum')
  if (schema.oneOf) {
    const found = schema.oneOf.map((branch, index) => [
      ...check(branch, value, { ...at, schema: `${at.schema}/oneOf/${index}`, fill: 'nothing' }),
    ])
    const fitting = found.filter((errors) => errors.length === 0).length
    if (fitting === 0) yield* found.flat()
    if (fitting !== 1) yield failed('oneOf')
  }
  if (typeof value === 'number') yield* checkNumber(schema, value, failed)
  else if (typeof value === 'string') yield* checkText(schema, value, failed)
  else if (Array.isArray(value)) yield* checkList(schema, value, at, failed)
  else if (isMapping(value)) yield* checkMapping(schema, value, at, failed)
}

type Failed = (keyword: keyof JsonSchema, params?: SchemaError['params']) => SchemaError

function* checkNumber({ minimum, maximum }: JsonSchema, value: number, failed: Failed): Generator<SchemaError> {
  if (minimum !== undefined && !(value >= minimum)) yield failed('minimum', { limit: minimum })
  if (maximum !== undefined && !(value <= maximum)) yield failed('maximum', { limit: maximum })
}

function* checkText(schema: JsonSchema, value: string, failed: Failed): Generator<SchemaError> {
  const { minLength, maxLength, pattern, format } = schema
  const length = [...value].length
  if (minLength !== undefined && length < minLength) yield failed('minLength', { limit: minLength })
  if (maxLength !== undefined && length > maxLength) yield failed('maxLength', { limit: maxLength })
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) yield failed('pattern')
  if (format !== undefined && !formatTests[format]?.(value)) yield failed('format')
}

function* checkList(
  { minItems, items }: JsonSchema,
  value: readonly unknown[],
  at: At,
  failed: Failed,
): Generator<SchemaError> {
  if (minItems !== undefined && value.length < minItems) yield failed('minItems', { limit: minItems })
  if (!items) return
  for (const [index, item] of value.entries()) {
    yield* check(items, item, { ...at, instance: `${at.instance}/${index}`, schema: `${at.schema}/items` })
  }
}

function* checkMapping(schema: JsonSchema, value: Mapping, at: At, failed: Failed): Generator<SchemaError> {
  const { properties = {}, required = [], additionalProperties: others = true } = schema
  const isThere = (name: string) => Object.hasOwn(value, name) && value[name] !== undefined
  if (at.fill === 'defaults') {
    for (const [name, { default: fallback }] of Object.entries(properties)) {
      if (fallback !== undefined && !isThere(name)) value[name] = structuredClone(fallback)
    }
  }
  for (const name of required) {
    if (!isThere(name)) yield failed('required', { missingProperty: name })
  }
  for (const [name, member] of Object.entries(value)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined
    const instance = `${at.instance}/${escapeStep(name)}`
    if (known) {
      // of a member that is there without a value only `required` speaks
      const below = `${at.schema}/properties/${escapeStep(name)}`
      if (member !== undefined) yield* check(known, member, { ...at, instance, schema: below })
    } else if (others === false) {
      yield failed('additionalProperties', { additionalProperty: name })
    } else if (others !== true) {
      yield* check(others, member, { ...at, instance, schema: `${at.schema}/additionalProperties` })
    }
  }
}

type Mapping = Record<string, unknown>

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isOfType(type: JsonSchema['type'], value: unknown): boolean {
  switch (type) {
    case 'object':
      return isMapping(value)
    case 'array':
      return Array.isArray(value)
    case 'null':
      return value === null
    case 'integer':
      return Number.isFinite(value) && Number(value) % 1 === 0
    case 'number':
      return Number.isFinite(value)
    default:
      return typeof value === type
  }
}
