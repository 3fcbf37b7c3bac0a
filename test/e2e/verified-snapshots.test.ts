/** `resync.verify` against a real API server whose watch leaves changes out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Copy, decodeStructured } from '../../src/events/index.ts'
import { eventually } from '../support/eventually.ts'
import type { TestObject } from '../testbed/admin-client.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { ForgetfulProxy } from './support/forgetful-proxy.ts'
import { startCluster, webhook } from './support/stand.ts'

const path = '/api/v1/namespaces/shop/configmaps'
const body = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { app: 'web' } } })

test('P1 P3 what a watch has left out is found, counted, logged and told', async () => {
  await using server = await startCluster(['shop'])
  await using proxy = await ForgetfulProxy.before(server)
  await using receiver = await FaultyReceiver.start()
  for (const name of ['a', 'b', 'c']) await server.admin.create(path, body(name))
  const resync = { every: '2s', verify: true }
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    args: ['--master', proxy.url],
    config: {
      sources: [{ name: 'all', resources: ['configmaps'], labelSelector: 'app', resync }],
      sinks: [webhook('copy', receiver.url)],
      apiServer: { pageSize: 2 },
    },
  })
  await bridge.ready()
  const drift = async () => await bridge.metric('deltawire_reconcile_drift_total{stream="all/configmaps"}')
  const completed = async () =>
    await bridge.metric('deltawire_snapshots_total{stream="all/configmaps",reason="periodic",result="completed"}')
  await eventually(async () => (await completed()) >= 2, { what: 'two snapshots that were verified' })
  assert.equal(await drift(), 0, 'a watch in order leaves nothing out')

  proxy.forgets = ({ type }) => type !== 'BOOKMARK'
  await server.admin.create(path, body('missing'))
  await server.admin.patch(`${path}/b`, { data: { key: 'value' } })
  await server.admin.delete(`${path}/c`)
  await eventually(() => proxy.forgotten === 3, { what: 'the watch has left them out' })
  proxy.forgets = () => false
  await server.admin.create(path, body('seen'))

  await eventually(async () => (await drift()) === 3, { what: 'they are found' })
  const copyOf = () => {
    const copy = new Copy()
    for (const { data, ...attributes } of receiver.events) {
      copy.apply(decodeStructured(JSON.stringify({ ...attributes, data })))
    }
    return [...copy.objects()].map(({ subject, resourceVersion }) => `${subject}@${resourceVersion}`).sort()
  }
  const { items } = await server.admin.get(`${path}?labelSelector=app`)
  const truth = (items as readonly TestObject[])
    .map(({ metadata }) => `shop/${metadata.name}@${metadata.resourceVersion}`)
    .sort()
  assert.equal(truth.length, 4)
  await eventually(() => String(copyOf()) === String(truth), { what: 'the copy is the cluster' })
  const logged = await bridge.logged('it is said', ({ message }) => /is not what the API server has/.test(message))
  assert.deepEqual([logged.level, logged.objects], ['error', 3])
  assert.deepEqual([...(logged.some as string[])].sort(), ['gone shop/c', 'missing shop/missing', 'outdated shop/b'])
  const before = await completed()
  await eventually(async () => (await completed()) > before, { what: 'snapshots go on' })
  assert.equal(await drift(), 3, 'once each')
})
