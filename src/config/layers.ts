/**
 * The process section in layers: default < file < environment < arguments. convict lays them over each other; what it
 * knows about a key comes from the key's definition. Lists of objects never reach it: it would neither check nor mask
 * what is in them.
 */
import convict from 'convict'
import type { JsonSchema } from '../lib/json-schema.ts'
import { nearest } from '../lib/nearest.ts'
import { type ConfigProblem, formatPath, type Place } from './problem.ts'
import { checkSchema } from './schema-check.ts'
import { unknownName } from './schema-problem.ts'

export interface Layers {
  /** Valid by the same definition. */
  readonly file: Readonly<Record<string, unknown>>
  readonly env: Environment
  /** By path: `{ 'log.level': 'debug' }`. */
  readonly args: Arguments
}

export type Environment = Readonly<Record<string, string | undefined>>
export type Arguments = Readonly<Record<string, string>>

/** One value of the process section. */
export interface Leaf {
  /** `log.level`. */
  readonly path: string
  readonly schema: JsonSchema
  /** The variable that sets it; undefined for lists and alternatives, which only a file can spell. */
  readonly variable: string | undefined
}

/** Every value below `schema`, in its order. Throws a TypeError for a name that convict would take for its own. */
export function leavesOf(schema: JsonSchema, parents: readonly string[] = []): readonly Leaf[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    if (name === 'default' || name === '_cvtProperties' || name.includes('.')) {
      throw new TypeError(`a key of the process section may not be called ${name}`)
    }
    const steps = [...parents, name]
    if (property.properties) return leavesOf(property, steps)
    return [{ path: steps.join('.'), schema: property, variable: isText(property) ? variableOf(steps) : undefined }]
  })
}

/** `apiServer.pageSize` -> `DELTAWIRE_API_SERVER_PAGE_SIZE`. */
function variableOf(steps: readonly string[]): string {
  return ['DELTAWIRE', ...steps.map((step) => step.replaceAll(/([A-Z])/g, '_$1').toUpperCase())].join('_')
}

/** Whether a piece of text can be this value: one value, no list and no alternatives. */
function isText({ type, enum: names, oneOf }: JsonSchema): boolean {
  return oneOf === undefined && (names !== undefined || (type !== undefined && type !== 'array' && type !== 'object'))
}

/** The merged section, with the problems of what environment and arguments say. */
export function layer(schema: JsonSchema, { file, env, args }: Layers): Layered {
  const leaves = leavesOf(schema)
  // An empty variable is one that is not set: a chart renders unused ones as "".
  const present = Object.fromEntries(Object.entries(env).filter(([, text]) => text !== undefined && text !== ''))
  const config = convict<object>(convictSchema(leaves), { env: present, args: [] }).load(file)
  const problems: ConfigProblem[] = []
  // Set here: convict's own parser would read `1.10` as a number and join what is given twice.
  for (const [path, text] of Object.entries(args)) {
    if (leaves.some((leaf) => leaf.path === path && leaf.variable !== undefined)) config.set(path, text)
    else problems.push(unknownArgument(path, leaves))
  }
  const value = filledIn(leaves, config.getProperties())
  for (const found of checkSchema(schema, value)) {
    const path = formatPath(found.path)
    const place = placeOf(path, leaves, present, args)
    if (place) problems.push({ ...found, path, place })
  }
  if (problems.length === 0) config.validate({ allowed: 'strict' })
  return { value, problems }
}

export interface Layered {
  readonly value: Readonly<Record<string, unknown>>
  readonly problems: readonly ConfigProblem[]
}

/** What Kubernetes sets in every pod for a Service, were it called deltawire or deltawire-something. */
const serviceLink = /_(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)$/

/** A warning for each variable that is nearly one that sets something. Others may belong to somebody else. */
export function misspelledVariables(schema: JsonSchema, env: Environment): readonly ConfigProblem[] {
  const known = leavesOf(schema).flatMap(({ variable }) => (variable === undefined ? [] : [afterPrefix(variable)]))
  return Object.entries(env).flatMap(([name, text]) => {
    const isOther = !name.startsWith(PREFIX) || serviceLink.test(name) || known.includes(afterPrefix(name))
    const near = isOther || text === undefined || text === '' ? undefined : nearest(afterPrefix(name), known)
    if (near === undefined) return []
    return [{ place: { type: 'environment', name }, path: '', message: 'sets nothing', nearest: `${PREFIX}${near}` }]
  })
}

const PREFIX = 'DELTAWIRE_'
const afterPrefix = (variable: string) => variable.slice(PREFIX.length)

function unknownArgument(path: string, leaves: readonly Leaf[]): ConfigProblem {
  const known = leaves.filter(({ variable }) => variable !== undefined).map((leaf) => leaf.path)
  return { place: { type: 'argument', name: path }, path: '', ...unknownName('unknown argument', path, known) }
}

/** Where a value comes from, unless that is the file or a default. */
function placeOf(path: string, leaves: readonly Leaf[], env: object, args: Arguments): Place | undefined {
  if (Object.hasOwn(args, path)) return { type: 'argument', name: path }
  const variable = leaves.find((leaf) => leaf.path === path)?.variable
  return variable !== undefined && Object.hasOwn(env, variable) ? { type: 'environment', name: variable } : undefined
}

const types: Readonly<Record<string, { accepts(value: unknown): boolean; fromText(text: string): unknown }>> = {
  text: { accepts: (value) => typeof value === 'string', fromText: (text) => text },
  integer: {
    accepts: Number.isSafeInteger,
    fromText: (text) => (/^-?(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : text),
  },
  boolean: {
    accepts: (value) => typeof value === 'boolean',
    fromText: (text) => (text === 'true' ? true : text === 'false' ? false : text),
  },
  other: { accepts: () => true, fromText: (text) => text },
}

// convict's own formats take `12abc` for 12, `no` for true and a text with commas for a list. These leave a text that
// they cannot read as it is, for validation to refuse.
for (const [name, { accepts, fromText }] of Object.entries(types)) {
  const validate = (value: unknown) => {
    if (!accepts(value)) throw new TypeError(`not ${name}`)
  }
  convict.addFormat({ name: `strict ${name}`, validate, coerce: fromText })
}

function formatOf({ type, variable }: JsonSchema & Pick<Leaf, 'variable'>): string {
  if (variable === undefined) return 'strict other'
  return type === 'integer' || type === 'boolean' ? `strict ${type}` : 'strict text'
}

/**
 * What convict is told of each value. A value that may be a text or a mapping has the default null here: with a text as
 * the default convict refuses mappings. `filledIn` puts the real one in.
 */
function convictSchema(leaves: readonly Leaf[]): convict.Schema<object> {
  const root: Record<string, unknown> = {}
  for (const { path, schema, variable } of leaves) {
    const leaf = {
      doc: schema.description,
      format: formatOf({ ...schema, variable }),
      default: schema.oneOf ? null : (schema.default ?? null),
      nullable: true,
      ...(variable !== undefined && { env: variable }),
    }
    setIn(root, path, leaf)
  }
  return root
}

function filledIn(leaves: readonly Leaf[], values: object): Readonly<Record<string, unknown>> {
  const root: Record<string, unknown> = {}
  for (const { path, schema } of leaves) {
    const value = getIn(values, path) ?? schema.default
    if (value !== undefined) setIn(root, path, value)
  }
  return root
}

function getIn(value: object, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((parent, name) => (parent as Record<string, unknown> | undefined)?.[name], value)
}

function setIn(root: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() ?? ''
  let parent = root
  for (const name of names) {
    parent[name] ??= {}
    parent = parent[name] as Record<string, unknown>
  }
  parent[last] = value
}
