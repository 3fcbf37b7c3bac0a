import type { JsonSchema } from '../lib/json-schema.ts'
import { describeErrors, type SchemaProblem } from './schema-problem.ts'
import { type Validator, validatorOf } from './validator.ts'

/** Fills defaults into `value`. Returns everything that is wrong with it, in no order. */
export function checkSchema(
  schema: JsonSchema,
  value: unknown,
  validate: Validator = validatorOf(schema),
): readonly SchemaProblem[] {
  zeros(schema, value)
  const written = structuredClone(value)
  return validate(value) ? [] : describeErrors(validate.errors ?? [], written)
}

/** `0` needs no unit, so YAML reads it as a number: where a duration or a size is wanted, it becomes text. */
function zeros(schema: JsonSchema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) zeros(schema.items, item)
    return
  }
  if (typeof value !== 'object' || value === null) return
  const members = value as Record<string, unknown>
  for (const branch of schema.oneOf ?? []) zeros(branch, value)
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const unit = property.format === 'duration' || property.format === 'bytes'
    if (unit && members[name] === 0) members[name] = '0'
    else zeros(property, members[name])
  }
}
