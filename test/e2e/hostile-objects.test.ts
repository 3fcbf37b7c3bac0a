/** Objects that are hard to carry, from a real kube-apiserver to a receiver that decodes with another SDK. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { type ReceivedEvent, type Receiver, startReceiver } from '../testbed/receiver.ts'
import { type BridgeProcess, startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { webhook } from './support/stand.ts'

const widgets = '/apis/example.com/v1/namespaces/default/widgets'
const configMaps = '/api/v1/namespaces/default/configmaps'
const resources = ['configmaps', 'widgets.v1.example.com', 'clusterroles.rbac.authorization.k8s.io']

let server: TestApiServer
/** Takes 4 MiB, decodes with the Python SDK. */
let binary: Receiver
/** Takes 1 MiB, as webhooks do unless they are told otherwise. */
let structured: FaultyReceiver
let bridge: BridgeProcess

before(async () => {
  server = await startApiServer()
  await server.admin.createWidgets()
  binary = await startReceiver()
  structured = await FaultyReceiver.start()
  bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, resync: { every: '0s' } }],
      routes: [{ name: 'changes', to: ['binary', 'structured'], on: ['added', 'updated', 'deleted'] }],
      sinks: [
        webhook('binary', binary.url, { mode: 'binary', maxEventBytes: '4MiB' }),
        webhook('structured', structured.url),
      ],
    },
  })
  await bridge.ready()
})
after(async () => {
  for (const one of [bridge, structured, binary, server]) await one?.[Symbol.asyncDispose]()
})

const widget = (name: string, spec: unknown) => {
  return { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name }, spec }
}
const configMap = (name: string, data: unknown) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })

/** What both receivers have of an object, once each has so many events of it. */
async function arrived(subject: string, count = 1) {
  const of = (events: readonly ReceivedEvent[]) => events.filter((event) => event.subject === subject)
  const found = async () => {
    const both = { binary: of(await binary.events()), structured: of(structured.events) }
    return both.binary.length >= count && both.structured.length >= count && both
  }
  return await eventually(found, { what: `${subject} has arrived` })
}

interface Data {
  readonly object: {
    readonly metadata: { readonly labels?: Readonly<Record<string, string>> }
    readonly data?: object
    readonly spec?: { readonly text?: string }
  }
  readonly changed: readonly string[]
}

function dataOf(event: ReceivedEvent | undefined): Data {
  assert.ok(event)
  return event.data as Data
}

test('F54 an object of 1.5 MB, the largest that etcd takes, arrives whole where it fits, and else as what fits', async () => {
  const text = 'x'.repeat(1_500_000)
  await server.admin.create(widgets, widget('giant', { text }))
  const { binary: whole, structured: small } = await arrived('default/giant')
  assert.deepEqual([whole[0]?.degraded, dataOf(whole[0]).object.spec?.text === text], [undefined, true])
  assert.deepEqual([small[0]?.degraded, dataOf(small[0]).object.spec], ['metadata', undefined])
})

/** The deepest that kube-apiserver takes: it counts what is around it. */
const DEEPEST = 9_990

test('F55 a nesting of 10,000 arrives as a reference, and what comes after it arrives', async () => {
  const spec = `${'{"n":'.repeat(DEEPEST)}1${'}'.repeat(DEEPEST)}`
  await server.admin.create(widgets, JSON.stringify(widget('deep', 'spec')).replace('"spec":"spec"', `"spec":${spec}`))
  await server.admin.create(widgets, widget('behind', {}))
  const { binary: fromSdk, structured: whole } = await arrived('default/deep')
  for (const event of [fromSdk[0], whole[0]]) {
    assert.deepEqual(
      [event?.degraded, event?.dataschema, event?.name],
      ['reference', 'urn:deltawire:schema:reference:v1', 'deep'],
    )
  }
  await arrived('default/behind')
})

test('F56 10,000 labels, and a change of all of them: both versions arrive, and of the change where it is', async () => {
  const labels = (value: string) => Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`l${n}`, value]))
  await server.admin.create(configMaps, { metadata: { name: 'many', labels: labels('1') } })
  await server.admin.patch(`${configMaps}/many`, { metadata: { labels: labels('2') } })
  const {
    binary: [added, updated],
  } = await arrived('default/many', 2)
  assert.deepEqual(dataOf(added).object.metadata.labels, labels('1'))
  assert.deepEqual(dataOf(updated).object.metadata.labels, labels('2'))
  assert.deepEqual(dataOf(updated).changed, ['/metadata'])
})

test('F57 names beyond ASCII, and keys that JavaScript has a meaning for, arrive as they are', async () => {
  const subject = 'test:na\u00efve "x" \u{1f600}'
  await server.admin.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: subject },
    rules: [],
  })
  await arrived(subject)
  const data = JSON.parse('{"__proto__":"x","constructor":"y"}')
  await server.admin.create(configMaps, configMap('proto', data))
  const {
    binary: [proto],
  } = await arrived('default/proto')
  assert.deepEqual(Object.entries(dataOf(proto).object.data ?? {}).sort(), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ])
})

test('integers of 64 bits keep every digit', async () => {
  await server.admin.create(widgets, widget('numbers', { id: JSON.rawJSON('9223372036854775807'), ratio: 0.1 }))
  await arrived('default/numbers')
  const texts = structured.bodies.filter((body) => body.includes('"default/numbers"'))
  assert.equal(texts.length, 1)
  assert.match(texts[0] ?? '', /"id":9223372036854775807,"ratio":0\.1/)
})

test('P9 after all of them the bridge is in order', async () => {
  const { status, body } = await bridge.get('/readyz')
  assert.equal(status, 200)
  assert.doesNotMatch(body, /degraded/)
  assert.equal(await bridge.end('SIGTERM'), 0)
})
