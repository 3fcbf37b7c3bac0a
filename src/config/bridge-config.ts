/** The whole of a configuration: its type, and the one JSON Schema that validation and documentation are made from. */
import { type SinkOptions, sinkOptionsSchema } from '../delivery/options.ts'
import type { SinkDefinition } from '../delivery/sink.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import { MODULE_PATTERN } from './module-pattern.ts'
import { type ProcessConfig, processSchema } from './process-section.ts'
import { type RouteConfig, routeSchema } from './route.ts'
import { type SourceConfig, sourceSchema } from './source.ts'

/** A valid configuration: every default filled in, durations and sizes as text that `lib/units.ts` parses. */
export interface BridgeConfig extends ProcessConfig {
  readonly sources: readonly SourceConfig[]
  /** In order. Empty: everything goes to every sink. */
  readonly routes: readonly RouteConfig[]
  readonly sinks: readonly SinkConfig[]
}

/** One entry of `sinks`. */
export interface SinkConfig {
  /** The keys that all sinks share, `name` and `type` among them. */
  readonly options: SinkOptions
  /** The type's own keys: what its `limits` and `create` take. */
  readonly own: Readonly<Record<string, unknown>>
  /** By which it was checked, and is made. */
  readonly definition: AnySinkDefinition
}

/** A definition whose schema is not known to the compiler. */
export type AnySinkDefinition = SinkDefinition<JsonSchema>

/** JSON Schema with OpenAPI's `discriminator`, which tells an editor the branch that the entry's type leads to. */
export interface ConfigSchema extends JsonSchema {
  readonly discriminator?: { readonly propertyName: string }
}

const headSchema = {
  apiVersion: { const: 'deltawire.io/v1', description: 'Version of this format.' },
  kind: { const: 'Bridge', description: 'One file is one bridge.' },
} as const satisfies Record<string, JsonSchema>

/**
 * The schema of a file that may use these types of sinks; without any it leaves the entries of `sinks` open. Every object
 * in it refuses unknown keys.
 */
export function configSchema(definitions: readonly AnySinkDefinition[]): ConfigSchema {
  return closed({
    type: 'object',
    title: 'Deltawire configuration',
    properties: {
      ...headSchema,
      ...processSchema.properties,
      sources: { type: 'array', items: sourceSchema, minItems: 1, description: 'What is watched.' },
      routes: {
        type: 'array',
        items: routeSchema,
        default: [],
        description: 'What goes where, in order. Without any: everything to every sink.',
      },
      sinks: { type: 'array', items: sinksSchema(definitions), minItems: 1, description: 'Where events go.' },
    },
    required: ['apiVersion', 'kind', 'sources', 'sinks'],
  })
}

function sinksSchema(definitions: readonly AnySinkDefinition[]): ConfigSchema {
  if (definitions.length === 0) return { type: 'object' }
  return {
    type: 'object',
    discriminator: { propertyName: 'type' },
    oneOf: [...definitions.map((definition) => sinkSchema(definition)), moduleSchema()],
  }
}

/** The schema of one entry of `sinks`. `type` is how the configuration names it. */
export function sinkSchema(definition: AnySinkDefinition, type = definition.type): JsonSchema {
  const { schema } = definition
  const { name, type: _, ...common } = sinkOptionsSchema.properties
  return {
    type: 'object',
    title: type,
    properties: {
      name: { ...name, format: 'name' },
      type: { const: type, description: sinkOptionsSchema.properties.type.description },
      ...common,
      ...schema.properties,
    },
    required: [...sinkOptionsSchema.required, ...(schema.required ?? [])],
  }
}

/** Of a module nothing is known here but the keys that all sinks have. */
function moduleSchema(): JsonSchema {
  const { name, type, ...common } = sinkOptionsSchema.properties
  return {
    type: 'object',
    title: 'module',
    properties: { name: { ...name, format: 'name' }, type: { ...type, pattern: MODULE_PATTERN }, ...common },
    required: sinkOptionsSchema.required,
    additionalProperties: true,
  }
}

/**
 * Every schema that a configuration with these types of sinks is checked by: the file, the process section, and each
 * entry of `sinks` by its type, so that a type that nobody names need not be loaded.
 */
export function schemasOf(definitions: readonly AnySinkDefinition[]): Schemas {
  return {
    file: configSchema([]),
    process: closed(processSchema),
    sinks: new Map(definitions.map((definition) => [definition.type, closed(sinkSchema(definition))])),
  }
}

export interface Schemas {
  readonly file: JsonSchema
  readonly process: JsonSchema
  /** By type. */
  readonly sinks: ReadonlyMap<string, JsonSchema>
}

/** Refuses unknown keys wherever a definition says nothing about them. */
export function closed(schema: ConfigSchema): ConfigSchema {
  const { properties, items, oneOf, additionalProperties: others } = schema
  return {
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, closed(value)])),
      additionalProperties: others ?? false,
    }),
    ...(typeof others === 'object' && { additionalProperties: closed(others) }),
    ...(items && { items: closed(items) }),
    ...(oneOf && { oneOf: oneOf.map(closed) }),
  }
}
