/** What is generated from the definition of a configuration: docs/configuration.md and its JSON Schema. */
import { sinkTypes } from '../../sinks/index.ts'
import { sinkOptionsSchema } from '../delivery/options.ts'
import type { JsonSchema } from '../lib/json-schema.ts'
import { type AnySinkDefinition, closed, configSchema } from './bridge-config.ts'
import type { formats } from './formats.ts'
import { leavesOf } from './layers.ts'
import { processSchema } from './process-section.ts'
import { routeSchema } from './route.ts'
import { checkSchema } from './schema-check.ts'
import { sourceSchema } from './source.ts'

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string
  readonly content: string
}

const ORIGIN = 'Generated from src/config by `npm run generate`: edit the definition, not this file.'

/** All generated files about configuration. */
export async function configurationFiles(): Promise<readonly GeneratedFile[]> {
  const modules = await Promise.all(Object.values(sinkTypes).map((load) => load()))
  const definitions: readonly AnySinkDefinition[] = modules.map(({ sink }) => sink)
  const $schema = 'http://json-schema.org/draft-07/schema#'
  const schema = { $comment: ORIGIN, $schema, $id: 'urn:deltawire:schema:config:v1', ...configSchema(definitions) }
  return [
    { path: 'docs/configuration.md', content: document(definitions) },
    { path: 'docs/schemas/config.schema.json', content: `${JSON.stringify(schema, null, 2)}\n` },
  ]
}

const EXAMPLE = `apiVersion: deltawire.io/v1
kind: Bridge
cluster: prod-eu
sources:
  - name: workloads
    resources: [pods, deployments.apps, widgets.v1.example.com]
    namespaces: [shop, pay]
    labelSelector: app.kubernetes.io/part-of=shop,tier!=cache
routes:
  - name: changes
    from: [workloads]
    payload: { previous: true }
    to: [lambdas]
sinks:
  - name: lambdas
    type: webhook
    url: https://receiver.example.com/events
    auth: { bearer: { file: /var/run/secrets/receiver/token } }
`

function document(definitions: readonly AnySinkDefinition[]): string {
  const sections = [
    `<!-- ${ORIGIN} -->`,
    '# Configuration',
    'One YAML file is one bridge. In a clone of the repository, ' +
      '`npx node src/main.ts validate --config FILE` says everything that is wrong with it at once, each with file, line, ' +
      'path, what was expected and the nearest valid name; it opens no connection. Unknown keys are errors. What is valid ' +
      'but useless is a warning: a source or sink without a route, a credential file that is not there, a misspelled variable. ' +
      '`npx node src/main.ts run --config FILE` runs it.',
    `\`\`\`yaml\n${EXAMPLE}\`\`\``,
    'Durations are written as `500ms`, `10s`, `5m`, `1h`, sizes as `64KiB`, `1MiB`, labels and fields as kubectl takes ' +
      'them. A credential is never written into the file: `{ env: NAME }` or `{ file: /path }` says where it is.',
    '`apiVersion: deltawire.io/v1` and `kind: Bridge` are required. docs/schemas/config.schema.json is for editors.',
    '## Process',
    'Each key can be set at four places: default < file < environment < argument. The one further right wins, so ' +
      '`--log.level debug` goes before `DELTAWIRE_LOG_LEVEL=info`, and that before `log: { level: warn }` in the file. An ' +
      'argument is `--` and the key. An empty variable counts as one that is not set. Keys without a variable are set in ' +
      'the file only, and so are sources, routes and sinks.',
    processTable(),
    '## sources[]',
    keyTable(sourceSchema),
    '## routes[]',
    'In order: of the routes from a source to a sink, the first that lets an object through shapes everything that the ' +
      'sink gets about it. Without any route everything goes to every sink. More is in [routes.md](routes.md).',
    'A sink takes a resource from one source only, or from several whose `namespaces` have none in common: the same object ' +
      'by two streams would come without order between them, and with snapshots that disagree. Anything else is an error.',
    keyTable(routeSchema),
    '## sinks[]',
    keyTable(sinkOptionsSchema),
    'Each type has a page of its own that says what it guarantees: ' +
      `${definitions.map(({ type }) => `[${type}](sinks/${type}.md)`).join(', ')}. A type may also be a module of your own: ` +
      '[write a sink](write-a-sink.md).',
    ...definitions.flatMap((definition) => [`### type: ${definition.type}`, optionsOf(definition)]),
  ]
  return `${sections.join('\n\n')}\n`
}

/** The keys of a sink type, and the defaults that depend on it. */
export function optionsOf(definition: AnySinkDefinition): string {
  return `${keyTable(definition.schema)}\n\n${byType(definition)}`
}
function byType({ schema, limits }: AnySinkDefinition): string {
  const own: Readonly<Record<string, unknown>> = {}
  checkSchema(closed({ type: 'object', ...schema }), own) // fills in the defaults; what is required has no say here
  const { concurrency, maxBatchEvents, maxBatchBytes, maxEventBytes } = limits(own)
  return (
    `Defaults of this type: \`concurrency\` ${concurrency}, \`batch.events\` ${maxBatchEvents}, \`batch.bytes\` ` +
    `${size(maxBatchBytes)}, \`maxEventBytes\` ${size(maxEventBytes)}. Those of \`batch\` are also its maximum.`
  )
}

const size = (bytes: number) => (bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20}MiB` : `${bytes}B`)

function processTable(): string {
  const rows = leavesOf(processSchema).map(({ path, schema, variable }) => [
    code(path),
    kindOf(schema),
    defaultOf(schema),
    variable === undefined ? '' : code(variable),
    schema.description ?? '',
  ])
  return table(['key', 'value', 'default', 'environment', ''], rows)
}

function keyTable(schema: JsonSchema): string {
  return table(['key', 'value', 'default', ''], [...rowsOf(schema, '')])
}

function* rowsOf(schema: JsonSchema, prefix: string): Generator<readonly string[]> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const path = `${prefix}${name}`
    if (property.properties) {
      if (property.description) yield [code(path), 'mapping', '', property.description]
      yield* rowsOf(property, `${path}.`)
      continue
    }
    const fallback = schema.required?.includes(name) ? 'required' : defaultOf(property)
    yield [code(path), kindOf(property), fallback, property.description ?? '']
    for (const branch of property.oneOf ?? []) yield* nested(branch, `${path}.`)
  }
}

/** The keys of an alternative, unless it is only where a credential is. */
function* nested(branch: JsonSchema, prefix: string): Generator<readonly string[]> {
  const names = Object.keys(branch.properties ?? {})
  if (names.length === 1 && (names[0] === 'env' || names[0] === 'file')) return
  yield* rowsOf(branch, prefix)
}

function kindOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return code(String(schema.const))
  if (schema.enum) return schema.enum.map((value) => code(String(value))).join(' ')
  if (schema.oneOf) return schema.oneOf.map(kindOf).join(' or ')
  if (schema.format !== undefined) return formatNames[schema.format as keyof typeof formats]
  switch (schema.type) {
    case 'array':
      return `list of ${schema.items ? kindOf(schema.items) : 'values'}`
    case 'object':
      return schema.properties
        ? code(`{ ${Object.keys(schema.properties).join(', ')} }`)
        : `mapping of names to ${typeof schema.additionalProperties === 'object' ? kindOf(schema.additionalProperties) : 'values'}`
    case 'integer':
      return [schema.minimum ?? '', schema.maximum ?? ''].some((limit) => limit !== '')
        ? `integer, ${schema.minimum ?? ''}..${schema.maximum ?? ''}`
        : 'integer'
    case 'boolean':
      return '`true` `false`'
    default:
      return schema.type === 'string' ? 'text' : (schema.type ?? '')
  }
}

const formatNames: Readonly<Record<keyof typeof formats, string>> = {
  duration: 'duration',
  bytes: 'size',
  'listen-address': 'address',
  'admin-address': 'address',
  'host-port': 'host:port',
  name: 'name',
  cluster: 'name',
  namespace: 'namespace',
  resource: 'resource',
  'label-selector': 'label selector',
  'field-selector': 'field selector',
  'object-path': 'path',
  expression: 'CEL',
}

function defaultOf({ default: value }: JsonSchema): string {
  if (value === undefined) return ''
  return code(Array.isArray(value) ? `[${value.join(', ')}]` : typeof value === 'object' ? '{}' : String(value))
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const code = (text: string) => `\`${text}\``
