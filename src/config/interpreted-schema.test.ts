/** The interpreter says what ajv says, about any schema that a sink may have and any value. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sinkTypes } from '../../sinks/index.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import { type AnySinkDefinition, closed, sinkSchema } from './bridge-config.ts'
import { interpreted } from './interpreted-schema.ts'
import { checkSchema } from './schema-check.ts'
import { flawsOfSinkSchema } from './schema-flaws.ts'
import { type Validator, validatorOf } from './validator.ts'

/** What a validator finds, in words, in an order of its own, and the value with its defaults. */
function verdict(schema: JsonSchema, value: unknown, validator: Validator) {
  const filled = structuredClone(value)
  const problems = checkSchema(schema, filled, validator).map((problem) => JSON.stringify(problem))
  return { problems: problems.sort(), filled }
}

function assertSame(schema: JsonSchema, value: unknown): void {
  assert.deepEqual(verdict(schema, value, interpreted(schema)), verdict(schema, value, validatorOf(schema)))
}

const names = fc.constantFrom('a', 'b', 'x/y', 'ä', '~')
const texts = fc.constantFrom('', 'a', 'ab', '😀😀', '5s', 'x:1', 'nonsense')
const numbers = fc.constantFrom(-1, 0, 1, 1.5, 7)
const scalars = fc.oneof(texts, numbers, fc.boolean(), fc.constant(null))

const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalars,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(names, tie('value'), { maxKeys: 3 }),
  ),
}))

const part = (shape: Readonly<Record<string, fc.Arbitrary<unknown>>>) => fc.record(shape, { requiredKeys: ['type'] })

/** Without defaults, which have to be valid themselves. */
const { schema: schemas } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalars.map((value) => ({ const: value })),
    fc.uniqueArray(scalars, { minLength: 1, maxLength: 3 }).map((several) => ({ enum: several })),
    part({ type: fc.constantFrom('integer', 'number'), minimum: numbers, maximum: numbers }),
    part({
      type: fc.constant('string'),
      minLength: fc.constantFrom(0, 1, 2),
      maxLength: fc.constantFrom(1, 2),
      pattern: fc.constantFrom('^a', '\\d', '^.$'),
      format: fc.constantFrom('duration', 'host-port'),
    }),
    part({ type: fc.constantFrom('boolean', 'null') }),
    part({ type: fc.constant('array'), items: tie('schema'), minItems: fc.constantFrom(0, 1) }),
    part({ type: fc.constant('object'), additionalProperties: fc.oneof(fc.boolean(), tie('schema')) }),
    fc
      .dictionary(names, tie('schema'), { minKeys: 1, maxKeys: 3 })
      .chain((properties) =>
        fc.subarray(Object.keys(properties)).map((required) => ({ type: 'object', properties, required })),
      ),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((oneOf) => ({ oneOf })),
  ) as fc.Arbitrary<JsonSchema>,
}))

test('any value by any schema: the same problems, word for word', () => {
  fc.assert(
    fc.property(schemas, values, (part, value) => {
      const schema = closed({ type: 'object', properties: { key: part } })
      assert.deepEqual(flawsOfSinkSchema({ type: 'object', properties: { key: part } }), [])
      assertSame(schema, { key: value })
    }),
    { numRuns: 2000 },
  )
})

const modules = await Promise.all(Object.values(sinkTypes).map((load) => load()))
const definitions: readonly AnySinkDefinition[] = modules.map(({ sink }) => sink)

test('the schemas of the built-in sinks are sound, and their defaults are filled in alike', () => {
  for (const definition of definitions) {
    assert.deepEqual(flawsOfSinkSchema(definition.schema), [], definition.type)
    const schema = closed(sinkSchema(definition))
    for (const value of [
      {},
      { name: 'a', type: definition.type },
      { name: 'a', type: definition.type, batch: { linger: 0 }, queue: { events: '5' }, retry: null, nonsense: 1 },
      { brokers: ['x'], topic: '', url: 5, tls: { ca: { file: '' } }, sasl: {}, auth: { basic: { password: 'p' } } },
      { bus: 1, region: [], headers: { a: 1, b: { env: 'B' }, c: { file: 5 } }, network: { allow: 'x' } },
    ]) {
      assertSame(schema, value)
    }
  }
})
