/** Makes helm/values.yaml, helm/values.schema.json and helm/README.md from values.ts and the schema of a configuration. */
import { stringify } from 'yaml'
import { sinkTypes } from '../../sinks/index.ts'
import { type ConfigSchema, configSchema } from '../../src/config/bridge-config.ts'
import type { JsonSchema } from '../../src/lib/json-schema.ts'
import { type PortableSchema, portable } from './portable.ts'
import { chartValues } from './values.ts'

interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string
  readonly content: string
}

const ORIGIN = 'Generated from scripts/chart/values.ts by `npm run generate`: edit that, not this file.'

/** Switches that a chart puts here of which this one is a part; `global` is a value of ours too. */
const ofParents = ['enabled', 'tags']

/** Asked for by their usual names; templates/_guards.tpl says why there is no such value. */
const refusedByGuards = ['replicas', 'replicaCount', 'autoscaling', 'leaderElection', 'sharding', 'persistence']

type Properties = Readonly<Record<string, JsonSchema>>

export async function chartFiles(): Promise<readonly GeneratedFile[]> {
  const modules = await Promise.all(Object.values(sinkTypes).map((load) => load()))
  const config = configSchema(modules.map(({ sink }) => sink))
  return [
    { path: 'helm/values.yaml', content: valuesFile() },
    { path: 'helm/values.schema.json', content: `${JSON.stringify(schemaOf(config), null, 2)}\n` },
    { path: 'helm/README.md', content: readme() },
  ]
}

/** Closed, but for what is not about this chart, or is refused by a template with better words. */
function schemaOf(config: ConfigSchema): PortableSchema {
  return {
    $comment: ORIGIN,
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    title: 'Values of the Deltawire chart',
    properties: {
      ...chartValues,
      config: { ...withBareOn(portable(config)), description: chartValues.config.description },
      ...Object.fromEntries([...ofParents, ...refusedByGuards].map((name) => [name, {}])),
    },
    patternProperties: { '^x-': {} },
    additionalProperties: false,
  }
}

/** YAML 1.1, which Helm reads, takes the key `on` for the boolean true. templates/_config.tpl undoes it. */
function withBareOn(config: PortableSchema): PortableSchema {
  const properties = config.properties as Readonly<Record<string, PortableSchema>>
  const routes = properties.routes as { readonly items: { readonly properties: Readonly<Record<string, object>> } }
  const { on } = routes.items.properties
  const items = { ...routes.items, properties: { ...routes.items.properties, true: { ...on, title: 'on' } } }
  return { ...config, properties: { ...properties, routes: { ...routes, items } } }
}

function valuesFile(): string {
  const head = [
    `# ${ORIGIN}`,
    '# Every value of the chart and its default. docs/install.md tells how to begin; presets/ holds whole examples.',
    '',
  ]
  return `${[...head, ...linesOf(chartValues, '')].join('\n')}\n`
}

function* linesOf(properties: Properties, indent: string): Generator<string> {
  for (const [name, schema] of Object.entries(properties)) {
    if (schema.description) yield* wrapped(schema.description, 116 - indent.length).map((line) => `${indent}# ${line}`)
    if (schema.default === undefined && schema.properties) {
      yield `${indent}${name}:`
      yield* linesOf(schema.properties, `${indent}  `)
    } else if (schema.default === undefined) {
      yield `${indent}# ${stringify({ [name]: schema.examples?.[0] }).trimEnd()}`
    } else {
      const text = stringify({ [name]: schema.default }, { defaultStringType: 'PLAIN', lineWidth: 0 }).trimEnd()
      yield* text.split('\n').map((line) => indent + line)
    }
    if (indent === '') yield ''
  }
}

function wrapped(text: string, width: number): readonly string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

const README = `# Deltawire, the Helm chart

Every change in a Kubernetes cluster, as a CloudEvent, delivered. From a clone of the repository:

\`\`\`sh
helm upgrade --install deltawire ./helm --namespace deltawire --create-namespace
\`\`\`

watches the pods of the cluster and prints an event for each change. [docs/install.md](../docs/install.md) goes on from
there: the image, Kafka, EventBridge and webhooks, credentials, rights, size, OpenShift. Whole examples are in
[presets/](presets): \`kafka-audit.yaml\`, \`eventbridge-lambda.yaml\`, \`webhook.yaml\`. It is tested with Helm 3 and 4.

## Values
`

function readme(): string {
  const rows = [...rowsOf(chartValues, '')].map((cells) => `| ${cells.join(' | ')} |`)
  return [`<!-- ${ORIGIN} -->`, '', README, '| value | default |  |', '| --- | --- | --- |', ...rows, ''].join('\n')
}

function* rowsOf(properties: Properties, prefix: string): Generator<readonly string[]> {
  for (const [name, schema] of Object.entries(properties)) {
    const path = `${prefix}${name}`
    if (schema.default === undefined && schema.properties) {
      if (Object.values(schema.properties).every(({ description }) => description === undefined)) {
        const defaults = Object.entries(schema.properties).map(([key, member]) => [key, member.default])
        yield [`\`${path}\``, code(Object.fromEntries(defaults)), cell(schema.description)]
      } else yield* rowsOf(schema.properties, `${path}.`)
      continue
    }
    yield [`\`${path}\``, path === 'config' ? 'pods to `stdout`' : code(schema.default), cell(schema.description)]
  }
}

function code(value: unknown): string {
  if (value === undefined || value === '') return ''
  return `\`${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}\``
}

const cell = (text = '') => text.replaceAll('|', '\\|')
