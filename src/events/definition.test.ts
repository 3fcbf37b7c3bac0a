import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import type { JsonSchema } from '../lib/json-schema.ts'
import { assertValidAttributes } from './attributes.ts'
import { dataShapes, type ObjectData, type SnapshotEndData } from './data.ts'
import { attributes, eventSchema, type ObjectAttributes, type StreamAttributes } from './definition.ts'
import { structured } from './encode.ts'
import { type DataShape, dataSchemas, type EventName, eventTypes } from './types.ts'

const ajv = new Ajv({ strict: true, allErrors: true, formats: { 'date-time': /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ } })
const eventNames = Object.keys(eventTypes) as EventName[]

function faults(schema: JsonSchema, value: unknown): string[] {
  const validate = ajv.compile(schema)
  validate(value)
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

const uid = '9a2c7e0f-50f5-4e5b-8a0e-2f6a1d1c9b11'
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid, resourceVersion: '4711', labels: { app: 'web' } },
  spec: { nodeName: 'node-7' },
}
const digest = '0f'.repeat(32)
const begin = {
  id: 'workloads/pods:b7Qm2x',
  reason: 'startup',
  mode: 'full',
  ledger: 'cold',
  scope: { resource: 'pods', namespaces: ['shop'], labelSelector: 'app=web' },
} as const
const end = {
  ...begin,
  resourceVersion: '4800',
  items: 1,
  added: 0,
  updated: 2,
  deleted: 0,
  unchanged: 1,
  deadLettered: 0,
  members: digest,
  state: digest,
} as const
const whole: ObjectData = {
  object: pod,
  previous: pod,
  previousResourceVersion: '4700',
  patch: [
    { op: 'replace', path: '/spec/nodeName', value: 'node-7' },
    { op: 'remove', path: '/metadata/labels/old' },
    { op: 'move', from: '/a', path: '/b' },
  ],
  changed: ['/spec/nodeName'],
  redacted: [],
}

const good: Record<DataShape, readonly unknown[]> = {
  object: [
    { object: pod },
    whole,
    { object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', uid } }, finalStateKnown: false },
  ],
  metadata: [{ object: { apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata }, changed: [] }],
  reference: [
    { object: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web', uid, resourceVersion: '4711' } },
  ],
  bare: [pod],
  snapshot: [{ snapshot: begin }, { snapshot: end }, { snapshot: { id: begin.id, cause: 'shutdown' } }],
  gap: ['expired', 'restart', 'restored', 'redefined', 'overflow'].map((cause) => ({
    gap: { from: '4711', to: '4800', cause },
  })),
}

const bad: Record<DataShape, readonly unknown[]> = {
  object: [
    {},
    { object: { ...pod, kind: undefined } },
    { object: { ...pod, metadata: { name: 'web' } } },
    { object: pod, changed: '/spec' },
    { object: pod, patch: [{ op: 'replace', path: '/spec' }] },
  ],
  metadata: [{}, { object: { apiVersion: 'v1', kind: 'Pod' } }],
  reference: [{ object: pod }],
  bare: [{ object: pod }],
  snapshot: [{}, { snapshot: {} }, { snapshot: { ...end, items: -1 } }, { snapshot: { ...end, state: 'abc' } }],
  gap: [{ gap: { from: '4711', to: '4800', cause: 'bad luck' } }, { gap: { from: '', to: '4800', cause: 'expired' } }],
}

for (const shape of Object.keys(dataSchemas) as DataShape[]) {
  test(`the schema of ${dataSchemas[shape]} takes what is sent and refuses what is not`, () => {
    for (const data of good[shape]) assert.deepEqual(faults(dataShapes[shape], data), [], JSON.stringify(data))
    for (const data of bad[shape]) assert.notDeepEqual(faults(dataShapes[shape], data), [], JSON.stringify(data))
  })
}

const common = {
  specversion: '1.0',
  source: 'kubernetes://prod-eu/api/v1/pods',
  datacontenttype: 'application/json',
  time: '2026-01-01T00:00:00.123456Z',
  cluster: 'prod-eu',
  resource: 'pods',
  stream: 'workloads/pods',
  sequence: '00000000000000004711',
} as const
const onObject: ObjectAttributes = {
  ...common,
  id: `${uid}:4711`,
  type: eventTypes.updated,
  dataschema: dataSchemas.object,
  subject: 'shop/web',
  apiversion: 'v1',
  kind: 'Pod',
  namespace: 'shop',
  name: 'web',
  uid,
  resourceversion: '4711',
  partitionkey: 'prod-eu/pods/shop/web',
  observed: 'relist',
  collapsed: true,
}
const onStream: StreamAttributes = {
  ...common,
  id: `${begin.id}:begin`,
  type: eventTypes.snapshotBegin,
  dataschema: dataSchemas.snapshot,
  partitionkey: 'workloads/pods:begin',
  snapshotid: begin.id,
}
const dataOf: Record<EventName, unknown> = {
  added: { object: pod },
  updated: whole,
  deleted: { object: pod, finalStateKnown: true },
  snapshotBegin: { snapshot: begin },
  snapshotItem: { object: pod },
  snapshotEnd: { snapshot: end satisfies SnapshotEndData['snapshot'] },
  snapshotAborted: { snapshot: { id: begin.id, cause: 'shutdown' } },
  gap: { gap: { from: '4711', to: '4800', cause: 'expired' } },
}

for (const name of eventNames) {
  test(`the schema of ${eventTypes[name]} describes the whole structured event`, () => {
    const schema = eventSchema(name)
    const aboutObject = schema.required?.includes('uid')
    const own = aboutObject ? onObject : { ...onStream, dataschema: dataSchemas[name === 'gap' ? 'gap' : 'snapshot'] }
    const sent = { ...own, type: eventTypes[name] }
    assertValidAttributes(sent)
    const event = JSON.parse(structured(sent, JSON.stringify(dataOf[name])))
    assert.deepEqual(faults(schema, event), [])
    assert.notDeepEqual(faults(schema, { ...event, data: {} }), [])
    assert.notDeepEqual(faults(schema, { ...event, sequence: '4711' }), [])
    assert.notDeepEqual(faults(schema, { ...event, partitionkey: undefined }), [])
    assert.notDeepEqual(faults(schema, { ...event, dataschema: dataSchemas[name === 'gap' ? 'snapshot' : 'gap'] }), [])
  })
}

test('an end without counts, an aborted without cause, a begin without scope are no such events', () => {
  for (const [name, data] of [
    ['snapshotEnd', begin],
    ['snapshotAborted', begin],
    ['snapshotBegin', { ...begin, scope: undefined }],
  ] as const) {
    assert.notDeepEqual(
      faults(eventSchema(name), { ...onStream, type: eventTypes[name], data: { snapshot: data } }),
      [],
    )
  }
})

test('every attribute has a name and examples that CloudEvents and its own schema take', () => {
  for (const [name, { schema }] of Object.entries(attributes)) {
    for (const example of schema.examples) {
      assert.deepEqual(faults(schema, example), [], name)
      assertValidAttributes({ ...onObject, [name]: example })
    }
  }
})

test('every JSON example in docs/events.md is a valid event', async () => {
  const page = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8')
  const examples = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => JSON.parse(text ?? ''))
  assert.ok(examples.length > 0)
  for (const example of examples) {
    const name = eventNames.find((known) => eventTypes[known] === example.type)
    assert.ok(name, `unknown type ${example.type}`)
    assert.deepEqual(faults(eventSchema(name), example), [])
  }
})
