/** Objects that are hard to carry, from a real kube-apiserver to a receiver that decodes with another SDK. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer } from '../testbed/api-server.ts'
import { type ReceivedEvent, startReceiver } from '../testbed/receiver.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'

const network = { allow: ['127.0.0.0/8'] }

test('F54 F55 F57 F59 giant, deep, oddly named objects and 64-bit integers arrive as they are, or as what they can be', async () => {
  await using server = await startApiServer()
  await using binary = await startReceiver()
  await using structured = await FaultyReceiver.start()
  await server.admin.createWidgets()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [
        {
          name: 'all',
          resources: ['configmaps', 'widgets.v1.example.com', 'clusterroles.rbac.authorization.k8s.io'],
          resync: { every: '0s' },
        },
      ],
      routes: [{ name: 'changes', to: ['binary', 'structured'], on: ['added', 'updated', 'deleted'] }],
      sinks: [
        {
          name: 'binary',
          type: 'webhook',
          url: binary.url,
          mode: 'binary',
          insecureHttp: true,
          network,
          maxEventBytes: '4MiB',
        },
        { name: 'structured', type: 'webhook', url: structured.url, insecureHttp: true, network },
      ],
    },
  })
  await bridge.ready()
  const widgets = '/apis/example.com/v1/namespaces/default/widgets'
  const widget = (name: string, spec: unknown) => ({
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name },
    spec,
  })
  const configMap = (name: string, data: unknown) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })
  const configMaps = '/api/v1/namespaces/default/configmaps'
  const roleName = 'test:naïve "x" 😀'

  await server.admin.create(widgets, widget('numbers', { id: JSON.rawJSON('9223372036854775807'), ratio: 0.1 }))
  await server.admin.create(
    configMaps,
    JSON.parse(
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"proto"},"data":{"__proto__":"x","constructor":"y"}}',
    ),
  )
  await server.admin.create(configMaps, configMap('giant', { text: 'x'.repeat(1_000_000) }))
  await server.admin.create(
    configMaps,
    configMap('many', Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, '1']))),
  )
  await server.admin.patch(`${configMaps}/many`, {
    data: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, '2'])),
  })
  await server.admin.create(widgets, widget('deep', nested(900)))
  await server.admin.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: roleName },
    rules: [],
  })

  const subjects = ['default/numbers', 'default/proto', 'default/giant', 'default/many', 'default/deep', roleName]
  const arrived = async (events: readonly ReceivedEvent[]) => {
    const seen = new Set(events.map(({ subject }) => subject))
    return (
      subjects.every((subject) => seen.has(subject)) &&
      events.filter(({ subject }) => subject === 'default/many').length === 2
    )
  }
  await eventually(async () => (await arrived(await binary.events())) && (await arrived(structured.events)), {
    what: 'all has arrived',
  })

  const of = async (subject: string) => (await binary.events()).filter((event) => event.subject === subject)
  const [giant] = await of('default/giant')
  assert.equal(giant?.degraded, undefined)
  const [deep] = await of('default/deep')
  assert.deepEqual(
    [deep?.degraded, deep?.dataschema, deep?.name],
    ['reference', 'urn:deltawire:schema:reference:v1', 'deep'],
  )
  const [, many] = await of('default/many')
  assert.deepEqual(dataOf(many).changed, ['/data'])
  const [proto] = await of('default/proto')
  assert.deepEqual(Object.entries(dataOf(proto).object.data).sort(), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ])

  // a webhook takes 1 MiB unless configured otherwise
  const degraded = structured.events
    .filter((event) => event.degraded)
    .map(({ subject, degraded: how }) => [subject, how])
  assert.deepEqual(degraded, [['default/deep', 'reference']])
  const texts = structured.bodies.filter((body) => body.includes('"default/numbers"'))
  assert.equal(texts.length, 1)
  assert.match(texts[0] ?? '', /"id":9223372036854775807,"ratio":0\.1/)
  assert.equal(await bridge.end('SIGTERM'), 0)
})

interface Data {
  readonly object: { readonly data: object }
  readonly changed: readonly string[]
}

function dataOf(event: ReceivedEvent | undefined): Data {
  assert.ok(event)
  return event.data as Data
}

function nested(levels: number): object {
  let value: object = {}
  for (let level = 0; level < levels; level++) value = { n: value }
  return value
}
