/** What a schema finds wrong, in words. Values are repeated only where a name from a fixed list or a format is due. */

import { unescapeStep } from '../lib/json-pointer.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import { nearest } from '../lib/nearest.ts'
import { checkFormat, formats } from './formats.ts'
import type { ValuePath } from './problem.ts'
import type { SchemaError } from './validator.ts'

export interface SchemaProblem {
  readonly path: ValuePath
  /** Whether the key itself is wrong, or its value. */
  readonly about: 'key' | 'value'
  readonly message: string
  readonly expected?: string | undefined
  readonly nearest?: string | undefined
}

type Words = Pick<SchemaProblem, 'message' | 'expected' | 'nearest'>

/**
 * Alternatives (`oneOf`) are reported once, as a whole, unless exactly one of them has the value's type.
 * `written` is the value before defaults were filled in: a key that is there already is not what another one meant.
 */
export function describeErrors(all: readonly SchemaError[], written: unknown): readonly SchemaProblem[] {
  const typed = new Set(all.filter(({ keyword }) => keyword === 'type').map(({ instancePath }) => instancePath))
  // 12.5 where an integer is due is no integer; that it is out of range as well is no news
  const errors = all.slice(0, MAX_ERRORS).filter((error) => error.keyword === 'type' || !isOfValue(error, typed))
  const choices = errors.filter(({ keyword }) => keyword === 'oneOf')
  const hidden = (error: SchemaError) =>
    choices.some((choice) => {
      const branch = branchOf(choice)
      if (choice === error) return branch !== undefined
      return (
        isWithin(error, choice) &&
        (branch === undefined || !isBelow(error.schemaPath, `${choice.schemaPath}/${branch}`))
      )
    })
  return errors.filter((error) => !hidden(error)).map((error) => describe(error, written))
}

/** Nobody reads more, and a file of a megabyte can have a hundred thousand. */
const MAX_ERRORS = 500

const isOfValue = ({ keyword, instancePath }: SchemaError, typed: ReadonlySet<string>) =>
  (keyword === 'minimum' || keyword === 'maximum') && typed.has(instancePath)
const isBelow = (pointer: string, parent: string) => pointer.startsWith(`${parent}/`)

/** Whether an error comes from one of the alternatives, tried on the same value. */
function isWithin(error: SchemaError, choice: SchemaError): boolean {
  const sameValue = error.instancePath === choice.instancePath || isBelow(error.instancePath, choice.instancePath)
  return sameValue && isBelow(error.schemaPath, choice.schemaPath)
}

/**
 * The only alternative that takes values of this type; of several mappings, the one whose required keys are there.
 * None for text where a credential is due: what it says of itself would repeat it.
 */
function branchOf({ schema, data, parentSchema }: SchemaError): number | undefined {
  if (isCredential(parentSchema as JsonSchema) && typeof data !== 'object') return undefined
  const branches = [...(schema as readonly JsonSchema[]).entries()]
  const fitting = branches.filter(([, branch]) => takes(branch, data))
  const begun = fitting.filter(([, { required = [] }]) => required.some((key) => Object.hasOwn(Object(data), key)))
  const [only, ...others] = fitting.length > 1 ? begun : fitting
  // `true` where false or a mapping is due: what is meant may be the mapping
  if (!only || others.length > 0 || typeof only[1].const === 'boolean') return undefined
  return only[0]
}

function takes(schema: JsonSchema, value: unknown): boolean {
  if ('const' in schema) return typeOf(schema.const) === typeOf(value)
  if (schema.enum) return schema.enum.some((member) => typeOf(member) === typeOf(value))
  return schema.type === typeOf(value) || (schema.type === 'integer' && typeOf(value) === 'number')
}

function describe(error: SchemaError, written: unknown): SchemaProblem {
  const path = valuePath(error.instancePath)
  const member = (name: unknown, about: 'key' | 'value', words: Words): SchemaProblem => ({
    path: [...path, String(name)],
    about,
    ...words,
  })
  const { params, schema } = error
  const parent = error.parentSchema as JsonSchema
  switch (error.keyword) {
    case 'additionalProperties': {
      const present = Object(path.reduce<unknown>((value, step) => Object(value)[step], written))
      const known = Object.keys(parent.properties ?? {})
      const free = known.filter((name) => !Object.hasOwn(present, name))
      return member(
        params.additionalProperty,
        'key',
        unknownName('unknown key', String(params.additionalProperty), known, free),
      )
    }
    case 'required':
      return member(params.missingProperty, 'value', missing(parent.properties?.[String(params.missingProperty)]))
    default:
      return { path, about: 'value', ...describeValue(error, parent, schema) }
  }
}

function describeValue({ keyword, data, params }: SchemaError, parent: JsonSchema, schema: unknown): Words {
  switch (keyword) {
    case 'type':
      return { message: `is ${named(data)}`, expected: `${expectation(parent)}${example(parent, data)}` }
    case 'enum':
    case 'const': {
      const names = keyword === 'enum' ? (schema as readonly unknown[]).map(String) : [String(schema)]
      if (typeof data !== 'string') return { message: `is ${named(data)}`, expected: oneOf(names) }
      return unknownName(`${quote(data)} is not valid`, data, names)
    }
    case 'format':
      return { message: checkFormat(String(schema), String(data)) ?? 'is not valid' }
    case 'oneOf':
      return isCredential(parent) && typeof data !== 'object'
        ? { message: 'a credential is never written into the configuration', expected: expectation(parent) }
        : { message: `is ${named(data)}`, expected: expectation(parent) }
    case 'minimum':
    case 'maximum':
      return { message: `${String(data)} is out of range`, expected: expectation(parent) }
    case 'pattern': {
      const [example] = parent.examples ?? []
      return { message: 'is not valid', expected: example === undefined ? 'text' : `text such as ${String(example)}` }
    }
    case 'minItems':
      return { message: 'is an empty list', expected: 'at least one entry' }
    case 'minLength':
      return { message: 'is too short', expected: `at least ${count(params.limit, 'character')}` }
    case 'maxLength':
      return { message: 'is too long', expected: `at most ${count(params.limit, 'character')}` }
    default:
      return { message: 'is not valid', expected: expectation(parent) }
  }
}

function missing(schema: JsonSchema | undefined): Words {
  return { message: 'is missing', expected: schema && expectation(schema) }
}

/** With the nearest of the `free` names if there is one, else with all that are known. */
export function unknownName(message: string, name: string, known: readonly string[], free = known): Words {
  const near = nearest(name, free)
  return near === undefined ? { message, expected: oneOf(known) } : { message, nearest: near }
}

/** What a definition takes, after "expected". */
function expectation(schema: JsonSchema): string {
  if (schema.const !== undefined) return String(schema.const)
  if (schema.enum) return oneOf(schema.enum.map(String))
  if (schema.oneOf) return schema.oneOf.map(expectation).join(' or ')
  if (schema.format !== undefined && schema.format in formats)
    return formats[schema.format as keyof typeof formats].expected
  switch (schema.type) {
    case 'object': {
      const required = schema.required ?? []
      if (required.length === 0) return 'a mapping'
      return `{ ${required.map((name) => `${name}: ${name === 'env' ? 'NAME' : name === 'file' ? 'PATH' : '…'}`).join(', ')} }`
    }
    case 'array':
      return 'a list'
    case 'integer':
    case 'number':
      return range(schema, schema.type === 'integer' ? 'an integer' : 'a number')
    case 'boolean':
      return 'true or false'
    default:
      return 'text'
  }
}

/** For a mapping, one that is short: with the text that is there if it is one of the names that a member takes. */
function example({ type, properties = {}, required = [] }: JsonSchema, data: unknown): string {
  if (type !== 'object' || required.length > 0) return ''
  const members = Object.entries(properties)
  const meant = members.find(([, { enum: names = [] }]) => names.includes(data))
  const [first] = members.filter(([, { default: value }]) => value !== undefined && typeof value !== 'object')
  if (meant) return ` such as { ${meant[0]}: ${String(data)} }`
  return first ? ` such as { ${first[0]}: ${String(first[1].default)} }` : ''
}

function range({ minimum, maximum }: JsonSchema, what: string): string {
  if (minimum !== undefined && maximum !== undefined) return `${what} from ${minimum} to ${maximum}`
  if (minimum !== undefined) return `${what} of at least ${minimum}`
  return maximum === undefined ? what : `${what} of at most ${maximum}`
}

/** It takes no text, and of mappings only `{ env }` and `{ file }`: a literal in their place may be a secret. */
function isCredential({ oneOf: branches = [] }: JsonSchema): boolean {
  if (branches.some(({ type }) => type === 'string')) return false
  const mappings = branches.filter(({ type }) => type === 'object')
  return mappings.length > 0 && mappings.every(({ required = [] }) => /^(?:env|file)$/.test(required.join()))
}

const oneOf = (names: readonly string[]) => (names.length === 1 ? `${names[0]}` : `one of ${names.join(', ')}`)
const quote = (text: string) => JSON.stringify(text.slice(0, 100))
const count = (limit: unknown, what: string) => `${String(limit)} ${what}${limit === 1 ? '' : 's'}`

function named(value: unknown): string {
  if (value === null || value === '') return 'empty'
  const type = typeOf(value)
  const names: Record<string, string> = {
    object: 'a mapping',
    array: 'a list',
    string: 'text',
    boolean: 'true or false',
  }
  return names[type] ?? `a ${type}`
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

/** A JSON Pointer as names and indices. A name made of digits looks like an index; places are found all the same. */
function valuePath(pointer: string): ValuePath {
  const steps = pointer === '' ? [] : pointer.slice(1).split('/')
  return steps.map(unescapeStep).map((step) => (/^(?:0|[1-9][0-9]*)$/.test(step) ? Number(step) : step))
}
