/**
 * From a file, the environment and arguments to a valid configuration, or to everything that is wrong with them.
 * Start reading here: read (document.ts), check (schema-check.ts), lay over each other (layers.ts), refer (references.ts).
 * Types of sinks that are not part of the product: sink-module.ts.
 */
import { sinkTypes as builtIn } from '../../sinks/index.ts'
import { type SinkOptions, sinkOptionsSchema } from '../delivery/options.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import {
  type AnySinkDefinition,
  type BridgeConfig,
  closed,
  type Schemas,
  type SinkConfig,
  schemasOf,
  sinkSchema,
} from './bridge-config.ts'
import { type ConfigDocument, readDocument } from './document.ts'
import { checkFolders, checkSpools, checkState } from './folders.ts'
import { interpreted } from './interpreted-schema.ts'
import { type Arguments, type Environment, layer, leavesOf, misspelledVariables } from './layers.ts'
import { isModule } from './module-pattern.ts'
import { ConfigError, type ConfigProblem, formatPath } from './problem.ts'
import { type ProcessConfig, processSchema } from './process-section.ts'
import { checkDeadLetters, checkReferences, type Entry } from './references.ts'
import type { RouteConfig } from './route.ts'
import { checkSchema } from './schema-check.ts'
import { type SchemaProblem, unknownName } from './schema-problem.ts'
import { checkSink } from './sink-check.ts'
import type { LoadedModule } from './sink-module.ts'
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
  const builtInTypes = await builtInOf(value, sinkTypes)
  const modules = await modulesOf(value, file, Object.keys(sinkTypes))
  const schemas = schemasOf(builtInTypes)
  const bySchema = [
    ...checkTypes(value, Object.keys(sinkTypes), modules),
    ...checkSchema(schemas.file, value),
    ...checkEntries(value, schemas, modules),
  ]
  const lists = listsOf(value, bySchema, definitionsOf(builtInTypes, modules))
  const bySinks = await Promise.all(lists.sinks.map(checkSink))
  const byMeaning = [
    ...checkReferences(lists),
    ...checkDeadLetters(lists.sinks, lists.names.sinks),
    ...checkSpools(lists.sinks),
    ...bySinks.flat(),
  ]

  const sound = !bySchema.some(({ path }) => String(path[0]) in processSchema.properties)
  const section = Object.entries(value).filter(([name]) => sound && name in processSchema.properties)
  const layered = layer(schemas.process, { file: Object.fromEntries(section), env, args })

  const whole = layered.value as Partial<ProcessConfig>
  const taken = { 'the dead letters': whole.deadLetters?.path, 'the state': whole.state?.path }
  const byFolder = [...checkState(whole), ...checkFolders(lists.sinks, taken)]
  const inFile = [...bySchema, ...byMeaning, ...byFolder].map((problem) => placed(problem, document)).sort(byPlace)
  if (inFile.length + layered.problems.length > 0) throw new ConfigError([...inFile, ...layered.problems])
  const warnings = [...(await warningsOf(lists)), ...(await missingFiles(processSchema, layered.value, []))]
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

/** The definitions of the product's types that the file names, each once. */
async function builtInOf(value: Raw, sinkTypes: SinkTypes): Promise<readonly AnySinkDefinition[]> {
  const named = typesIn(value)
  const known = Object.entries(sinkTypes).filter(([type]) => named.has(type))
  return await Promise.all(known.map(async ([, load]) => (await load()).sink))
}

/** The modules that the file names as types, each once. */
async function modulesOf(value: Raw, file: string, builtIn: readonly string[]): Promise<Modules> {
  const named = [...typesIn(value)].filter((type) => typeof type === 'string').filter(isModule)
  if (named.length === 0) return new Map()
  const { loadModule } = await import('./sink-module.ts')
  return new Map(await Promise.all(named.map(async (type) => [type, await loadModule(type, file, builtIn)] as const)))
}

type Modules = ReadonlyMap<string, LoadedModule>

function definitionsOf(builtIn: readonly AnySinkDefinition[], modules: Modules): Definitions {
  const loaded = [...modules].flatMap(([type, module]) =>
    module.type === 'loaded' ? [[type, module.definition] as const] : [],
  )
  return new Map([...builtIn.map((definition) => [definition.type, definition] as const), ...loaded])
}

/** By how the file names them. */
type Definitions = ReadonlyMap<string, AnySinkDefinition>

function typesIn(value: Raw): ReadonlySet<unknown> {
  return new Set(entriesOf(value, 'sinks').map(({ value: { type } }) => type))
}

function checkTypes(value: Raw, known: readonly string[], modules: Modules): readonly SchemaProblem[] {
  return entriesOf(value, 'sinks').flatMap(({ index, value: { type } }) => {
    const words = checkType(type, known, modules)
    return words ? [{ path: ['sinks', index, 'type'], about: 'value', ...words }] : []
  })
}

function checkType(type: unknown, known: readonly string[], modules: Modules) {
  if (typeof type !== 'string') {
    return { message: type === undefined ? 'is missing' : 'is not text', expected: `one of ${known.join(', ')}` }
  }
  const module = modules.get(type)
  if (module) return module.type === 'refused' ? module.problem : undefined
  if (known.includes(type)) return undefined
  const message = `there is no type of sink ${JSON.stringify(type.slice(0, 100))}`
  return /\.[cm]?[jt]s$/.test(type) ? { message, nearest: `./${type}` } : unknownName(message, type, known)
}

/** Each entry of `sinks` by its own type's schema. */
function checkEntries(value: Raw, { sinks }: Schemas, modules: Modules): readonly SchemaProblem[] {
  return entriesOf(value, 'sinks').flatMap(({ index, value: entry }) => {
    const problems = checkEntry(entry, sinks.get(String(entry.type)), modules.get(String(entry.type)))
    return problems.map((problem) => ({ ...problem, path: ['sinks', index, ...problem.path] }))
  })
}

/** The schema of a module cannot be compiled ahead, and where code is not made from text not at all. */
function checkEntry(entry: Raw, schema: JsonSchema | undefined, module: LoadedModule | undefined) {
  if (module?.type === 'loaded') {
    const its = closed(sinkSchema(module.definition, String(entry.type)))
    return checkSchema(its, entry, interpreted(its))
  }
  return schema ? checkSchema(schema, entry) : []
}

/** Typed by what the schema has just proved: only entries without a problem of their own are taken. */
function listsOf(value: Raw, problems: readonly SchemaProblem[], definitions: Definitions) {
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
    sinks: sound<Raw>('sinks').flatMap(({ index, value: entry }) => {
      const definition = definitions.get(String(entry.type))
      return definition ? [{ index, value: sinkConfig(entry, definition) }] : [] // else its type was reported
    }),
    names: { sources: names('sources'), routes: names('routes'), sinks: names('sinks') },
  }
}

/** Parts the keys that all sinks share from the type's own. */
function sinkConfig(entry: Raw, definition: AnySinkDefinition): SinkConfig {
  const isCommon = ([key]: [string, unknown]) => key in sinkOptionsSchema.properties
  const members = Object.entries(entry)
  return {
    options: Object.fromEntries(members.filter(isCommon)) as SinkOptions, // valid by sinkSchema
    own: Object.fromEntries(members.filter((member) => !isCommon(member))),
    definition,
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
