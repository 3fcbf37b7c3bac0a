/** The schema of a configuration for validators that do not know our formats, nor OpenAPI's `discriminator`: Helm's. */
import type { ConfigSchema } from '../../src/config/bridge-config.ts'
import type { formats } from '../../src/config/formats.ts'
import type { JsonSchema } from '../../src/lib/json-schema.ts'

export type PortableSchema = Readonly<Record<string, unknown>>

/**
 * Accepts what the schema accepts. A format becomes a pattern that is at most as strict; alternatives by `type` become
 * conditions, so that a message is about the alternative that was meant.
 */
export function portable(schema: ConfigSchema): PortableSchema {
  const { discriminator, format, oneOf, properties, items, additionalProperties: others, ...rest } = schema
  return {
    ...rest,
    ...(format !== undefined && formatted(format)),
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, member]) => [name, portable(member)])),
    }),
    ...(others !== undefined && { additionalProperties: typeof others === 'object' ? portable(others) : others }),
    ...(items && { items: portable(items) }),
    ...(oneOf && (discriminator ? conditions(oneOf, discriminator.propertyName) : { oneOf: oneOf.map(portable) })),
  }
}

const NUMBER = '[0-9]+(?:\\.[0-9]+)?'

/** At most as strict as the formats. RE2 reads them: no lookaround, at most 1000 repetitions. */
const patterns: Readonly<Record<keyof typeof formats, string>> = {
  duration: `^(?:0|${NUMBER}(?:ms|s|m|h))$`,
  bytes: `^${NUMBER}(?:B|kB|MB|GB|KiB|MiB|GiB)$`,
  'listen-address': ':[0-9]{1,5}$',
  'admin-address': '^off$|:[0-9]{1,5}$',
  'host-port': '^[^\\s:/@,]+:[0-9]{1,5}$',
  name: '^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$',
  cluster: '^[A-Za-z0-9](?:[-A-Za-z0-9._]{0,251}[A-Za-z0-9])?$',
  namespace: '^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$',
  resource: '^[a-z0-9][-a-z0-9]*(?:\\.[a-z0-9][-a-z0-9]*)*$',
  'label-selector': '[^ ]',
  'field-selector': '[^ ]',
  'object-path': '[^ ]',
  expression: '[^ ]',
}

function formatted(name: string): PortableSchema {
  const pattern = patterns[name as keyof typeof formats]
  if (name !== 'duration') return { pattern }
  // 0 needs no unit, so YAML reads it as a number; any other number is told what durations look like
  const number = onlyIf({ type: 'integer' }, { enum: [0, '500ms', '10s', '5m', '1h'] })
  return { pattern, type: ['string', 'integer'], ...number }
}

/** A branch says its `key` as a constant, or, for what is not known beforehand, as a pattern. */
function conditions(branches: readonly JsonSchema[], key: string): PortableSchema {
  const tags = branches.map((branch) => branch.properties?.[key] ?? {})
  const known = tags.flatMap((tag) => ('const' in tag ? [tag.const] : []))
  const others = tags.flatMap(({ pattern }) => (pattern === undefined ? [] : [{ not: { pattern } }]))
  const isNoOther = { properties: { [key]: { allOf: others } }, required: [key] }
  return {
    required: [key],
    allOf: [
      onlyIf(isNoOther, { properties: { [key]: { enum: known } } }),
      ...branches.map((branch, index) => {
        const { const: value, pattern } = tags[index] ?? {}
        const is = pattern === undefined ? { const: value } : { type: 'string', pattern }
        return onlyIf({ properties: { [key]: is }, required: [key] }, portable(branch))
      }),
    ],
  }
}

function onlyIf(condition: PortableSchema, consequence: PortableSchema): PortableSchema {
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
  return { if: condition, then: consequence }
}
