/** The transport (src/kube) against a real kube-apiserver. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ApiClient } from '../../src/kube/api-client.ts'
import { defaultLimits } from '../../src/kube/bounded-text.ts'
import { clusterUid } from '../../src/kube/cluster.ts'
import { discover } from '../../src/kube/discovery.ts'
import { KubeError, type KubeErrorCode } from '../../src/kube/errors.ts'
import { loadKubeConfig } from '../../src/kube/kube-config.ts'
import type { Frame, Frames } from '../../src/kube/list-watch.ts'
import { type KubeObject, type Resource, resourceVersion, unreadReason } from '../../src/kube/object.ts'
import { type ListWatchOptions, listWatch } from '../../src/kube/resource-list-watch.ts'
import { startApiServer, type TestApiServer, type TestUser } from '../testbed/api-server.ts'

const configMaps: Resource = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true }
const widgets: Resource = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true }

/** Nothing here takes longer; a frame that never comes ends the test with a reason. */
const within = () => AbortSignal.timeout(60_000)

let server: TestApiServer
let client: ApiClient

const clientOf = async (user: TestUser) => new ApiClient(loadKubeConfig({ kubeconfig: await server.kubeconfig(user) }))

before(async () => {
  server = await startApiServer()
  client = await clientOf('admin')
  await server.admin.createWidgets()
})

after(async () => {
  await client?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const failed = (code: KubeErrorCode) => (error: unknown) => error instanceof KubeError && error.code === code

/** A namespace of its own for one test, and how to write and read ConfigMaps in it. */
async function namespaceFor(name: string, options: ListWatchOptions = {}) {
  await server.admin.createNamespace(name)
  const path = `/api/v1/namespaces/${name}/configmaps`
  return {
    path,
    api: listWatch(client, configMaps, { namespace: name, ...options }),
    create: async (object: string, data: Record<string, string> = {}) =>
      await server.admin.create(path, { metadata: { name: object, labels: { test: name } }, data }),
  }
}

/** Reads until a frame satisfies `last`. */
async function readUntil(
  frames: Frames<KubeObject>,
  last: (frame: Frame<KubeObject>) => boolean,
): Promise<readonly Frame<KubeObject>[]> {
  const seen: Frame<KubeObject>[] = []
  for await (const some of frames) {
    for (const frame of some) {
      seen.push(frame)
      if (last(frame)) return seen
    }
  }
  throw new Error(`the watch ended after ${seen.map(({ type }) => type)}`)
}

const named = (name: string) => (frame: Frame<KubeObject>) => 'object' in frame && frame.object.metadata.name === name
const deleted = (frame: Frame<KubeObject>) => frame.type === 'DELETED'
const summary = (frames: readonly Frame<KubeObject>[]) =>
  frames.flatMap((frame) => ('object' in frame ? [`${frame.type} ${frame.object.metadata.name}`] : []))

test('discovery, version and the identity of the cluster', async () => {
  assert.deepEqual(await discover(client, 'cm', within()), configMaps)
  assert.deepEqual(await discover(client, 'widgets.v1.example.com', within()), widgets)
  const deployments = { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment', namespaced: true }
  assert.deepEqual(await discover(client, 'deployments.apps', within()), deployments)
  assert.deepEqual(await discover(client, 'deploy', within()), deployments)
  await assert.rejects(
    discover(client, 'widgetz', within()),
    /the server serves no resource widgetz; is widgets meant\?/,
  )
  await assert.rejects(discover(client, 'bindings', within()), failed('rejected'))
  const kubeSystem = await server.admin.get('/api/v1/namespaces/kube-system')
  assert.equal(await clusterUid(client, within()), kubeSystem.metadata.uid)
})

test('C12 pages of one list have one resourceVersion, and every item its kind', async () => {
  const { api, create } = await namespaceFor('pages')
  for (let index = 0; index < 25; index++) await create(`config-${String(index).padStart(2, '0')}`)
  const names: string[] = []
  const versions = new Set<string>()
  let next: string | undefined
  do {
    const page = await api.list(next === undefined ? { limit: 10 } : { limit: 10, continue: next }, within())
    for (const { apiVersion, kind, metadata } of page.items) {
      assert.deepEqual([apiVersion, kind], ['v1', 'ConfigMap'])
      names.push(metadata.name)
    }
    versions.add(page.resourceVersion)
    next = page.continue
  } while (next !== undefined)
  assert.equal(new Set(names).size, 25)
  assert.equal(versions.size, 1)
})

test('a watch from the version of a list sees every change after it', async () => {
  const { api, create, path } = await namespaceFor('changes')
  await create('before')
  const { resourceVersion: from, items } = await api.list({ limit: 500 }, within())
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['before'],
  )
  await using frames = await api.watch({ resourceVersion: from, timeoutSeconds: 300 }, within())
  await create('after', { text: 'é 漢 😀 \u2028 \n "' })
  await server.admin.patch(`${path}/after`, { data: { more: '1' } })
  await server.admin.delete(`${path}/before`)
  const seen = await readUntil(frames, deleted)
  assert.deepEqual(summary(seen), ['ADDED after', 'MODIFIED after', 'DELETED before'])
  const [first] = seen
  assert.ok(first?.type === 'ADDED')
  assert.deepEqual(first.object.data, { text: 'é 漢 😀 \u2028 \n "' })
})

test('C25 a streamed list ends with the bookmark that says so, and goes on as a watch', async () => {
  const { api, create } = await namespaceFor('streamed')
  for (const name of ['a', 'b', 'c']) await create(name)
  await using frames = await api.watch({ sendInitialEvents: true, timeoutSeconds: 300 }, within())
  const initial = await readUntil(frames, (frame) => frame.type === 'BOOKMARK' && frame.initialEventsEnd)
  assert.deepEqual(summary(initial).sort(), ['ADDED a', 'ADDED b', 'ADDED c'])
  await create('d')
  assert.deepEqual(summary(await readUntil(frames, named('d'))), ['ADDED d'])
})

test('X6 large lists and watches come compressed and are read', async () => {
  const { api, create } = await namespaceFor('large')
  const data = { text: 'abc '.repeat(25_000) }
  for (const name of ['a', 'b', 'c']) await create(name, data)
  const { items } = await api.list({ limit: 500 }, within())
  assert.deepEqual(
    items.map((item) => item.data),
    [data, data, data],
  )
  await using frames = await api.watch({ sendInitialEvents: true, timeoutSeconds: 300 }, within())
  const initial = await readUntil(frames, (frame) => frame.type === 'BOOKMARK' && frame.initialEventsEnd)
  assert.equal(initial.filter((frame) => 'object' in frame && frame.bytes > 100_000).length, 3)
})

test('F54 F55 an object too long or too deep comes as its identity, in lists and watches', async () => {
  const { api, create } = await namespaceFor('giant', { limits: { ...defaultLimits, frameBytes: 50_000 } })
  await create('giant', { text: 'x'.repeat(60_000) })
  await create('small')
  const { items, resourceVersion: from } = await api.list({ limit: 500 }, within())
  assert.deepEqual(
    items.map((item) => [item.metadata.name, unreadReason(item), 'data' in item]),
    [
      ['giant', 'size', false],
      ['small', undefined, false],
    ],
  )
  await using frames = await api.watch({ resourceVersion: from, timeoutSeconds: 300 }, within())
  await create('giant-too', { text: 'x'.repeat(60_000) })
  await create('last')
  const [frame, last] = await readUntil(frames, named('last'))
  assert.ok(frame?.type === 'ADDED' && last?.type === 'ADDED')
  assert.deepEqual([frame.object.metadata.name, unreadReason(frame.object)], ['giant-too', 'size'])
  assert.equal(unreadReason(last.object), undefined)

  let nested: unknown = 'bottom'
  for (let level = 0; level < 600; level++) nested = { a: nested }
  await server.admin.create('/apis/example.com/v1/namespaces/giant/widgets', {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'deep' },
    spec: nested,
  })
  const deep = await listWatch(client, widgets).list({ limit: 500 }, within())
  assert.deepEqual(
    deep.items.map((item) => [item.metadata.name, unreadReason(item)]),
    [['deep', 'depth']],
  )
})

test('metadata alone comes with the kind of the resource', async () => {
  const { api, create, path } = await namespaceFor('partial', { metadataOnly: true, labelSelector: 'test=partial' })
  await create('a', { text: 'x' })
  const { items, resourceVersion: from } = await api.list({ limit: 500 }, within())
  assert.deepEqual(
    items.map(({ apiVersion, kind, metadata, data }) => [apiVersion, kind, metadata.name, data]),
    [['v1', 'ConfigMap', 'a', undefined]],
  )
  await using frames = await api.watch({ resourceVersion: from, timeoutSeconds: 300 }, within())
  await server.admin.delete(`${path}/a`)
  const [frame] = await readUntil(frames, deleted)
  assert.ok(frame?.type === 'DELETED')
  assert.deepEqual([frame.object.kind, frame.object.metadata.name, frame.object.data], ['ConfigMap', 'a', undefined])
})

test('C18 a version that the server has not reached is told as such', async () => {
  const { api } = await namespaceFor('future')
  const query = {
    limit: 500,
    resourceVersion: resourceVersion('99999999999'),
    resourceVersionMatch: 'NotOlderThan',
  } as const
  await assert.rejects(api.list(query, within()), failed('too-large-resource-version'))
})

test('X13 401 and 403 are told apart', async () => {
  await using limited = await clientOf('limited')
  await assert.rejects(listWatch(limited, configMaps).list({ limit: 500 }, within()), failed('forbidden'))
  await assert.rejects(
    listWatch(limited, configMaps).watch({ resourceVersion: resourceVersion('1'), timeoutSeconds: 300 }, within()),
    failed('forbidden'),
  )
  const config = loadKubeConfig({ kubeconfig: await server.kubeconfig() })
  config.loadFromOptions({ ...config, users: [{ name: 'admin', token: 'wrong' }] })
  await using stranger = new ApiClient(config)
  await assert.rejects(listWatch(stranger, configMaps).list({ limit: 500 }, within()), failed('unauthorized'))
})

test('F01 F05 a killed server is a reset; once it is back and has forgotten, an old version and page are expired', async () => {
  const { api, create } = await namespaceFor('forgotten')
  for (const name of ['a', 'b']) await create(name)
  const page = await api.list({ limit: 1 }, within())
  await using frames = await api.watch({ resourceVersion: page.resourceVersion, timeoutSeconds: 300 }, within())
  await create('c')
  await readUntil(frames, named('c'))
  await server.kill()
  await assert.rejects(
    readUntil(frames, () => false),
    failed('reset'),
  )
  await assert.rejects(
    api.watch({ resourceVersion: page.resourceVersion, timeoutSeconds: 300 }, within()),
    failed('refused'),
  )
  await server.compact()
  await server.start()
  await assert.rejects(api.list({ limit: 1, continue: page.continue ?? '' }, within()), failed('expired'))
  await assert.rejects(async () => {
    await using late = await api.watch({ resourceVersion: page.resourceVersion, timeoutSeconds: 300 }, within())
    const [frame] = await readUntil(late, ({ type }) => type === 'ERROR')
    if (frame?.type === 'ERROR') throw frame.error
  }, failed('expired'))
})
