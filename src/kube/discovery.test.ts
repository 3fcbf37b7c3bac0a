import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiClient } from './api-client.ts'
import { clusterUid } from './cluster.ts'
import { discover, readCatalog } from './discovery.ts'
import { KubeError } from './errors.ts'
import { type Call, json, ScriptedServer, status } from './testing/scripted-server.ts'

/** Never aborts. */
const { signal } = new AbortController()

const VERBS = ['get', 'list', 'watch']

const aggregated = (items: readonly object[]) => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items,
})
const described = (resource: string, kind: string, more: object = {}) => ({
  resource,
  responseKind: { group: '', version: '', kind },
  scope: 'Namespaced',
  singularResource: kind.toLowerCase(),
  verbs: VERBS,
  ...more,
})
const core = aggregated([
  {
    metadata: {},
    versions: [
      {
        version: 'v1',
        freshness: 'Current',
        resources: [
          described('pods', 'Pod', { shortNames: ['po'], subresources: [{ subresource: 'status', verbs: ['get'] }] }),
          described('nodes', 'Node', { scope: 'Cluster' }),
        ],
      },
    ],
  },
])
const groups = aggregated([
  {
    metadata: { name: 'example.com' },
    versions: [
      { version: 'v1', freshness: 'Current', resources: [described('widgets', 'Widget'), described('odd', '')] },
      { version: 'v1alpha1', freshness: 'Current', resources: [described('widgets', 'Widget')] },
    ],
  },
  { metadata: { name: 'metrics.k8s.io' }, versions: [{ version: 'v1beta1', freshness: 'Stale', resources: [] }] },
])

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const widgets = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true }

async function withServer<R>(
  answers: Record<string, unknown>,
  work: (client: ApiClient, calls: readonly Call[]) => Promise<R>,
) {
  await using server = await ScriptedServer.start((call) => {
    const answer = answers[call.path]
    if (typeof answer === 'number') json(call, status(answer, '', 'no'), answer)
    else if (answer === undefined) json(call, status(404, 'NotFound', 'no'), 404)
    else json(call, answer)
  })
  await using client = new ApiClient(server.config())
  return await work(client, server.calls)
}

test('aggregated discovery: two requests, groups and versions in the order of the server', async () => {
  await withServer({ '/api': core, '/apis': groups }, async (client, calls) => {
    const catalog = await readCatalog(client, signal)
    assert.deepEqual(
      catalog.resources.map(({ group, version, resource, namespaced }) => [group, version, resource, namespaced]),
      [
        ['', 'v1', 'pods', true],
        ['', 'v1', 'nodes', false],
        ['example.com', 'v1', 'widgets', true],
        ['example.com', 'v1alpha1', 'widgets', true],
      ],
    )
    assert.deepEqual(catalog.unreachable, ['metrics.k8s.io/v1beta1'])
    assert.deepEqual(
      calls.map(({ path }) => path),
      ['/api', '/apis'],
    )
    assert.match(
      calls[0]?.headers.accept ?? '',
      /^application\/json;g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList,/,
    )
    assert.deepEqual(await discover(client, 'po', signal), pods)
    assert.deepEqual(await discover(client, 'widgets.v1.example.com', signal), widgets)
  })
})

const legacy = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      { name: 'pods', singularName: '', namespaced: true, kind: 'Pod', verbs: VERBS, shortNames: ['po'] },
      { name: 'pods/status', singularName: '', namespaced: true, kind: 'Pod', verbs: ['get'] },
    ],
  },
  '/apis': {
    kind: 'APIGroupList',
    groups: [
      {
        name: 'example.com',
        versions: [{ version: 'v1alpha1' }, { version: 'v1' }],
        preferredVersion: { groupVersion: 'example.com/v1', version: 'v1' },
      },
      { name: 'metrics.k8s.io', versions: [{ version: 'v1beta1' }], preferredVersion: { version: 'v1beta1' } },
      { name: 'gone.example.com', versions: [{ version: 'v1' }], preferredVersion: { version: 'v1' } },
    ],
  },
  '/apis/example.com/v1': { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true, verbs: VERBS }] },
  '/apis/example.com/v1alpha1': { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true, verbs: VERBS }] },
  '/apis/metrics.k8s.io/v1beta1': 503,
}

test('an older server is asked version by version, the preferred first; one that fails is noted, one that is gone is not', async () => {
  await withServer(legacy, async (client) => {
    const catalog = await readCatalog(client, signal)
    assert.deepEqual(
      catalog.resources.map(({ group, version, resource }) => `${group}/${version}/${resource}`),
      ['/v1/pods', 'example.com/v1/widgets', 'example.com/v1alpha1/widgets'],
    )
    assert.deepEqual(catalog.unreachable, ['metrics.k8s.io/v1beta1'])
    assert.deepEqual(await discover(client, 'Pod', signal), pods)
    assert.deepEqual(await discover(client, 'widgets', signal), widgets)
  })
})

test('a server that does not tell its groups is an error, not an empty catalogue', async () => {
  await withServer({ '/api': core, '/apis': 403 }, async (client) => {
    await assert.rejects(
      readCatalog(client, signal),
      (error) => error instanceof KubeError && error.code === 'forbidden',
    )
  })
})

test('the cluster uid is read, or it is said what is missing', async () => {
  const path = '/api/v1/namespaces/kube-system'
  await withServer({ [path]: { kind: 'Namespace', metadata: { uid: '0a1b' } } }, async (client) => {
    assert.equal(await clusterUid(client, signal), '0a1b')
  })
  await withServer({ [path]: {} }, async (client) => {
    await assert.rejects(clusterUid(client, signal), /kube-system has no uid; set `cluster`/)
  })
})
