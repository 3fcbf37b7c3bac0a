/** From a real kube-apiserver over the bus and the deployed rule into the handler. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { startBridge } from '../../test/e2e/support/bridge-process.ts'
import { eventually } from '../../test/support/eventually.ts'
import type { TestObject } from '../../test/testbed/admin-client.ts'
import { startApiServer } from '../../test/testbed/api-server.ts'
import { matched } from '../../test/testbed/event-ruler.ts'
import { startMoto } from '../../test/testbed/moto.ts'
import { type EventBridgeEvent, handler } from './handler.ts'
import { deploy, queueForFunction } from './stack.ts'

interface Config {
  readonly cluster: string
  readonly sources: readonly object[]
  readonly routes: readonly object[]
  readonly sinks: readonly object[]
}

const config = parse(readFileSync(join(import.meta.dirname, 'deltawire.yaml'), 'utf8')) as Config
const pods = '/api/v1/namespaces/default/pods'
const containers = [{ name: 'app', image: 'example.com/app:1' }]

test('a crashing pod, and no other change, comes to the function as an alert', async (t) => {
  await using server = await startApiServer()
  await using moto = await startMoto()
  const stack = await deploy(moto)
  const queue = await queueForFunction(moto, stack)
  const everything = await moto.createRule({ bus: stack.bus, name: 'everything', pattern: { version: ['0'] } })
  // beside what the example sends: other resources, snapshots and deletes, which its rule has to hold off
  const others = [
    { name: 'configmaps', from: ['configmaps'], to: ['lambdas'] },
    { name: 'other-pods', from: ['other-pods'], to: ['lambdas'] },
  ]
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    env: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
    config: {
      cluster: config.cluster,
      sources: [
        ...config.sources.map((source) => ({ ...source, namespaces: ['default'] })),
        { name: 'configmaps', resources: ['configmaps'], namespaces: ['default'] },
        { name: 'other-pods', resources: ['pods'], namespaces: ['kube-system'] },
      ],
      routes: [...config.routes.map((route) => ({ ...route, from: ['pods'] })), ...others],
      sinks: config.sinks.map((sink) => ({ ...sink, endpoint: moto.url })),
    },
  })
  await bridge.ready()

  const { admin } = server
  const otherPods = '/api/v1/namespaces/kube-system/pods'
  const metadata = { name: 'web' }
  const created = await admin.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers } })
  const status = async (restartCount: number, state: object, lastState: object = {}) =>
    await admin.patch(`${pods}/web/status`, {
      status: {
        phase: 'Running',
        containerStatuses: [{ ...containers[0], imageID: '', ready: false, restartCount, state, lastState }],
      },
    })
  const failed = { terminated: { reason: 'Error', exitCode: 1, containerID: 'containerd://1' } }
  const killed = { terminated: { reason: 'OOMKilled', exitCode: 137, containerID: 'containerd://2' } }
  const written = [
    created,
    await status(0, { running: {} }),
    await status(0, failed),
    await status(1, { waiting: { reason: 'CrashLoopBackOff' } }, failed),
    await admin.patch(`${pods}/web`, { metadata: { labels: { tier: 'web' } } }),
    await status(1, { running: {} }, failed),
    await status(1, killed, failed),
  ]
  await admin.create('/api/v1/namespaces/default/configmaps', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings' },
  })
  await admin.create(otherPods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'other' }, spec: { containers } })
  await admin.delete(`${otherPods}/other`)

  // each of these is the last of its stream; the deployed rule is asked before the one that takes everything
  const idOf = ({ metadata: { uid, resourceVersion } }: TestObject) => `${uid}:${resourceVersion}`
  const last = [idOf(written.at(-1) ?? created), /^added.*settings$/, /^deleted.*other$/]
  const arrived = async () => {
    const all = (await everything.events()).map(({ detail }) => detail)
    const names = all.map(({ type, subject }) => `${String(type).split('.')[3]} ${String(subject)}`)
    return last.every((one) =>
      typeof one === 'string' ? all.some(({ id }) => id === one) : names.some((name) => one.test(name)),
    )
  }
  await eventually(arrived, { what: 'all is on the bus' })
  const onBus = await everything.events()
  const types = new Set(onBus.map(({ 'detail-type': type }) => type))
  assert.ok(types.has('io.deltawire.snapshot.begin.v1') && types.has('io.deltawire.object.deleted.v1'))

  // as the runtime gives it to a function
  const queued = JSON.parse(JSON.stringify(await queue.events())) as readonly EventBridgeEvent[]
  const passed = new Set(queued.map(({ detail }) => detail.id))
  t.diagnostic(`${onBus.length} events on the bus, ${queued.length} passed the rule`)
  const [label] = written.splice(4, 1)
  assert.ok(!passed.has(idOf(label ?? created)))
  const otherAdded = onBus.filter(({ detail }) => /added/.test(String(detail.type)) && detail.name === 'other')
  assert.deepEqual(passed, new Set([...written.map(idOf), ...otherAdded.map(({ detail }) => String(detail.id))]))

  const byAws = await matched(stack.pattern, onBus)
  assert.deepEqual(new Set(byAws.map(({ detail }) => String(detail.id))), passed)

  const lines = t.mock.method(console, 'log', () => {})
  const alerts = (await Promise.all([...queued, ...queued].map(handler))).flat()
  const uid = created.metadata.uid
  assert.deepEqual(
    alerts.map(({ id, pod, cluster }) => ({ id, pod, cluster })).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    [
      { id: `${uid}/app/1/CrashLoopBackOff`, pod: 'default/web', cluster: 'my-cluster' },
      { id: `${uid}/app/containerd://2/OOMKilled`, pod: 'default/web', cluster: 'my-cluster' },
    ],
  )
  assert.equal(lines.mock.callCount(), 2)
})
