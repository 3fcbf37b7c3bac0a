/** What is generated from the definition: docs/events.md, a JSON Schema per event and per shape of data, AsyncAPI. */
import { readFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import type { JsonSchema } from '../lib/json-schema.ts'
import { dataShapes, markerSchemas } from './data.ts'
import { type AttributeDefinition, attributes, eventSchema, events, type Presence } from './definition.ts'
import { batchedContentType, structuredContentType } from './encode.ts'
import { type DataShape, dataSchemas, type EventName, eventTypes } from './types.ts'

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string
  readonly content: string
}

const ORIGIN = 'Generated from src/events by `npm run generate`: edit the definition, not this file.'
const eventNames = Object.keys(eventTypes) as EventName[]
const shapeNames = Object.keys(dataSchemas) as DataShape[]

/** All generated files about events. */
export async function eventsReference(): Promise<readonly GeneratedFile[]> {
  const template = await readFile(new URL('reference.template.md', import.meta.url), 'utf8')
  return [
    { path: 'docs/events.md', content: `<!-- ${ORIGIN} -->\n\n${filled(template)}` },
    { path: 'docs/asyncapi.yaml', content: `# ${ORIGIN}\n${stringify(asyncApi(), { lineWidth: 0 })}` },
    ...shapeNames.map((shape) =>
      schemaFile(`data.${shape}.v1`, dataSchemas[shape], dataShapes[shape] satisfies JsonSchema),
    ),
    ...eventNames.map((name) =>
      schemaFile(eventTypes[name], `urn:deltawire:schema:event:${eventTypes[name]}`, eventSchema(name)),
    ),
  ]
}

/** Draft 7: the definitions use nothing newer, and every tool and AsyncAPI know it. */
function schemaFile(name: string, id: string, schema: JsonSchema): GeneratedFile {
  const $schema = 'http://json-schema.org/draft-07/schema#'
  const content = JSON.stringify({ $comment: ORIGIN, $schema, $id: id, ...schema }, null, 2)
  return { path: `docs/schemas/${name}.schema.json`, content: `${content}\n` }
}

function asyncApi(): object {
  const messages = Object.fromEntries(
    eventNames.map((name) => [
      name,
      {
        name: eventTypes[name],
        summary: `Sent when: ${events[name].when}.`,
        contentType: structuredContentType,
        payload: { $ref: `./schemas/${eventTypes[name]}.schema.json` },
      },
    ]),
  )
  const references = (to: string) => Object.fromEntries(eventNames.map((name) => [name, { $ref: `${to}/${name}` }]))
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Deltawire',
      version: '1.0.0',
      description: `Changes in a Kubernetes cluster as CloudEvents, here in structured mode. In batches (${batchedContentType}) and in binary mode the events are the same. docs/events.md is the whole contract.`,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: structuredContentType,
    channels: {
      events: {
        description: 'One sink: a Kafka topic, an event bus, a webhook, standard output.',
        messages: references('#/components/messages'),
      },
    },
    operations: { sendEvents: { action: 'send', channel: { $ref: '#/channels/events' } } },
    components: { messages },
  }
}

/** The template with each `{{name}}` replaced. Throws for a name that has no content. */
function filled(template: string): string {
  const contents: Record<string, string> = {
    types: table(
      ['type', 'sent when', 'shapes of data'],
      eventNames.map((name) => [code(eventTypes[name]), events[name].when, events[name].shapes.join(', ')]),
    ),
    attributes: attributeTable(),
    shapes: table(
      ['shape', 'dataschema'],
      shapeNames.map((shape) => [shape, code(dataSchemas[shape])]),
    ),
    object: memberTable(dataShapes.object),
    metadata: memberTable(dataShapes.metadata),
    reference: memberTable(dataShapes.reference),
    'reference.object': memberTable(dataShapes.reference.properties.object),
    begin: memberTable(markerSchemas.begin.properties.snapshot),
    scope: memberTable(markerSchemas.begin.properties.snapshot.properties.scope),
    end: memberTable(
      markerSchemas.end.properties.snapshot,
      Object.keys(markerSchemas.begin.properties.snapshot.properties),
    ),
    aborted: memberTable(markerSchemas.aborted.properties.snapshot),
    gap: memberTable(dataShapes.gap.properties.gap),
    ...Object.fromEntries(shapeNames.map((shape) => [`${shape}.urn`, dataSchemas[shape]])),
  }
  return template.replace(/\{\{([a-z.]+)\}\}/g, (_, name: string) => {
    const content = contents[name]
    if (content === undefined) throw new Error(`reference.template.md names {{${name}}}, which has no content`)
    return content
  })
}

function attributeTable(): string {
  const listedElsewhere = new Set(['type', 'dataschema'])
  const presence: Record<Presence, string> = { always: 'yes', sometimes: 'some', never: '' }
  return table(
    ['attribute', 'on objects', 'on markers, gaps', 'value', 'example'],
    Object.entries<AttributeDefinition>(attributes).map(([name, { schema, object, stream }]) => [
      code(name),
      presence[object],
      presence[stream],
      listedElsewhere.has(name) ? schema.description : meaningOf(schema),
      schema.examples.map((example) => code(`${example}`)).join(', '),
    ]),
  )
}

/** The members of an object schema, but for those in `known`. */
function memberTable({ properties = {}, required = [] }: JsonSchema, known: readonly string[] = []): string {
  return table(
    ['member', 'always', 'type', 'meaning'],
    Object.entries(properties)
      .filter(([name]) => !known.includes(name))
      .map(([name, schema]) => [code(name), required.includes(name) ? 'yes' : '', typeOf(schema), meaningOf(schema)]),
  )
}

function typeOf({ type, items, enum: values }: JsonSchema): string {
  if (type === 'array') return items?.type === undefined ? 'array of objects' : `array of ${items.type}s`
  return type ?? (values ? 'string' : 'any')
}

/** The description, and the values if it does not name them all. */
function meaningOf({ description = '', enum: values = [] }: JsonSchema): string {
  const names = values.map((value) => code(`${value}`))
  return names.every((name) => description.includes(name)) ? description : `${description} One of ${names.join(', ')}.`
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.trim().replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)].join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}
