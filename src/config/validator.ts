/**
 * ajv, and nothing of it anywhere else. In the image no code may be generated from text, and ajv does nothing else: so
 * the bundle has the validators of the product's own schemas compiled beforehand. They are found by what the schema says,
 * so none can be stale; only a schema that is not among them is compiled here.
 */
import { hash } from 'node:crypto'
import { Ajv, type ErrorObject, type Options } from 'ajv'
import type { JsonSchema } from '../lib/json-schema.ts'
import { compiledAhead } from './compiled-ahead.ts'
import { formatTests } from './formats.ts'

/** Whether the value is valid; fills in defaults. If not, `errors` says why until the next call. */
export interface Validator {
  (value: unknown): boolean
  readonly errors?: readonly SchemaError[] | null
}

export type SchemaError = ErrorObject<string, Record<string, unknown>, unknown>

export const ajvOptions = { allErrors: true, strict: true, useDefaults: true, verbose: true } as const satisfies Options

const ajv = new Ajv({ ...ajvOptions, formats: formatTests })

export function validatorOf(schema: JsonSchema): Validator {
  return compiledAhead[digestOf(schema)] ?? ajv.compile(schema)
}

/** The name of a schema in `compiledAhead`. */
export function digestOf(schema: JsonSchema): string {
  return hash('sha256', JSON.stringify(schema))
}
