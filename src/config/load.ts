/**
 * From a file, the environment and arguments to a valid configuration, or to everything that is wrong with them.
 * Start reading here: read (document.ts), check (schema-check.ts), lay over each other (layers.ts), refer (references.ts).
 */
import { sinkTypes as builtIn } from '../../sinks/index.ts'
import { type SinkOptions, sinkOptionsSchema } from '../delivery/options.ts'
import { type AnySinkDefinition, type BridgeConfig, type Schemas, type SinkConfig, schemasOf } from './bridge-config.ts'
import { type ConfigDocument, readDocument } from './document.ts'
import { type Arguments, type Environment, layer, leavesOf, misspelledVariables } from './layers.ts'
import { ConfigError, type ConfigProblem, formatPath } from './problem.ts'
import { type ProcessConfig, processSchema } from './process-section.ts'
import { checkDeadLetters, checkReferences, type Entry } from './references.ts'
import type { RouteConfig } from './route.ts'
import { checkSchema } from './schema-check.ts'
import { type SchemaProblem, unknownName } from './schema-problem.ts'
import { checkSink } from './sink-check.ts'
import type { SourceConfig } from './source.ts'
import { missingFiles, warningsOf } from './warnings.ts'

export interface LoadOptions {
  readonly file: string
  /** Variables of the process; `DELTAWIRE_LOG_LEVEL` sets `log.level`. Others are ignored. */
  readonly env: Environment
  /** Values of the process section by path, stronger than the environment: `{ 'log.level': 'debug' }`. */
  readonly args?: Arguments
}

/** What `args` may hold, for a command line to offer: `--log.level <value>`. */
export const processArguments: readonly { readonly path: string; readonly description: string }[] = leavesOf(
  processSchema,
).flatMap(({ path, schema, variable }) =>
  variable === undefined ? [] : [{ path, description: schema.description ?? '' }],
)

/** How to get at a type of sinks; each is imported when a configuration names it. */
export type SinkTypes = Readonly<Record<string, () => Promise<{ readonly sink: AnySinkDefinition }>>>

export interface LoadedConfig extends BridgeConfig {
  /** What is valid and will most likely disappoint: for `formatProblem`, in the order of the file. */
  readonly warnings: readonly ConfigProblem[]
}

/** Layers: default < file < environment < arguments. Throws a ConfigError that carries all problems. */
export async function loadConfig(
  { file, env, args = {} }: LoadOptions,
  sinkTypes: SinkTypes = builtIn,
): Promise<LoadedConfig> {
  const document = await readDocument(file)
  const { value } = document
  const definitions = await definitionsOf(value, sinkTypes)
  const schemas = schemasOf(definitions)
  const bySchema = [
    ...checkTypes(value, Object.keys(sinkTypes)),
    ...checkSchema(schemas.file, value),
    ...checkEntries(value, schemas),
  ]
  const lists = listsOf(value, bySchema)
  const bySinks = await Promise.all(lists.sinks.map((sink) => checkSink(sink, definitions)))
  const byMeaning = [...checkReferences(lists), ...checkDeadLetters(lists.sinks, lists.names.sinks), ...bySinks.flat()]

  const sound = !bySchema.some(({ path }) => String(path[0]) in processSchema.properties)
  const section = Object.entries(value).filter(([name]) => sound && name in processSchema.properties)
  const layered = layer(schemas.process, { file: Object.fromEntries(section), env, args })

  const inFile = [...bySchema, ...byMeaning].map((problem) => placed(problem, document)).sort(byPlace)
  if (inFile.length + layered.problems.length > 0) throw new ConfigError([...inFile, ...layered.problems])
  const warnings = [
    ...(await warningsOf(lists, definitions)),
    ...(await missingFiles(processSchema, layered.value, [])),
  ]
  return {
    ...(layered.value as ProcessConfig), // valid by processSchema
    sources: lists.sources.map((entry) => entry.value),
    routes: lists.routes.map((entry) => entry.value),
    sinks: lists.sinks.map((entry) => entry.value),
    warnings: [
      ...warnings.map((problem) => placed(problem, document)).sort(byPlace),
      ...misspelledVariables(processSchema, env),
    ],
  }
}

type Raw = Readonly<Record<string, unknown>>

/** The definitions of the types that the file names, each once. */
async function definitionsOf(value: Raw, sinkTypes: SinkTypes): Promise<readonly AnySinkDefinition[]> {
  const named = new Set(entriesOf(value, 'sinks').map(({ value: { type } }) => type))
  const known = Object.entries(sinkTypes).filter(([type]) => named.has(type))
  return await Promise.all(known.map(async ([, load]) => (await load()).sink))
}

function checkTypes(value: Raw, known: readonly string[]): readonly SchemaProblem[] {
  return entriesOf(value, 'sinks').flatMap(({ index, value: { type } }) => {
    if (typeof type === 'string' && known.includes(type)) return []
    const words =
      typeof type === 'string'
        ? unknownName(`there is no type of sink ${JSON.stringify(type.slice(0, 100))}`, type, known)
        : { message: type === undefined ? 'is missing' : 'is not text', expected: `one of ${known.join(', ')}` }
    return [{ path: ['sinks', index, 'type'], about: 'value', ...words }]
  })
}

/** Each entry of `sinks` by its own type's schema. */
function checkEntries(value: Raw, { sinks }: Schemas): readonly SchemaProblem[] {
  return entriesOf(value, 'sinks').flatMap(({ index, value: entry }) => {
    const schema = sinks.get(String(entry.type))
    const problems = schema ? checkSchema(schema, entry) : []
    return problems.map((problem) => ({ ...problem, path: ['sinks', index, ...problem.path] }))
  })
}

/** Typed by what the schema has just proved: only entries without a problem of their own are taken. */
function listsOf(value: Raw, problems: readonly SchemaProblem[]) {
  const sound = <T>(list: string): readonly Entry<T>[] =>
    entriesOf(value, list)
      .filter(({ index }) => !problems.some(({ path }) => path[0] === list && path[1] === index))
      .map(({ index, value: entry }) => ({ index, value: entry as T }))
  const names = (list: string) =>
    entriesOf(value, list).map(({ value: { name } }) => (typeof name === 'string' ? name : ''))
  for (const { value: source } of entriesOf(value, 'sources')) {
    if (source.name === undefined && Array.isArray(source.resources)) source.name = source.resources[0]
  }
  return {
    sources: sound<SourceConfig>('sources'),
    routes: sound<RouteConfig>('routes'),
    sinks: sound<Raw>('sinks').map(({ index, value: entry }) => ({ index, value: sinkConfig(entry) })),
    names: { sources: names('sources'), routes: names('routes'), sinks: names('sinks') },
  }
}

/** Parts the keys that all sinks share from the type's own. */
function sinkConfig(entry: Raw): SinkConfig {
  const isCommon = ([key]: [string, unknown]) => key in sinkOptionsSchema.properties
  const members = Object.entries(entry)
  return {
    options: Object.fromEntries(members.filter(isCommon)) as SinkOptions, // valid by sinkSchema
    own: Object.fromEntries(members.filter((member) => !isCommon(member))),
  }
}

/** The mappings in a list; what else is there has been reported by the schema. */
function entriesOf(value: Raw, list: string): readonly Entry<Record<string, unknown>>[] {
  const items = value[list]
  if (!Array.isArray(items)) return []
  return items.flatMap((item, index) => (typeof item === 'object' && item !== null ? [{ index, value: item }] : []))
}

function placed({ path, about, ...words }: SchemaProblem, document: ConfigDocument): ConfigProblem {
  const place = about === 'key' ? document.placeOfKey(path) : document.placeOf(path)
  return { place, path: formatPath(path), ...words }
}

function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  if (a.place.type !== 'file' || b.place.type !== 'file') return 0
  return a.place.line - b.place.line || a.place.column - b.place.column
}
