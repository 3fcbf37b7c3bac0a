import assert from 'node:assert/strict'
import { type Check, check } from './check.ts'
import { assertFailure, type Json } from './client.ts'

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'

function named(entries: readonly Json[], name: string): Json {
  return entries.find((entry) => entry.name === name || entry.resource === name || entry.metadata?.name === name)
}

function sorted(verbs: readonly string[]): readonly string[] {
  return [...verbs].sort()
}

const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

export const discoveryChecks: readonly Check[] = [
  check('/version says which release it is', async ({ api }) => {
    const { status, body } = await api.get('/version')
    assert.equal(status, 200)
    assert.deepEqual([body.major, body.minor, body.gitVersion], ['1', '36', 'v1.36.2'])
  }),
  check('/readyz and /livez answer ok as text', async ({ api }) => {
    for (const path of ['/readyz', '/livez']) {
      const { status, text } = await api.get(path)
      assert.deepEqual([status, text], [200, 'ok'])
    }
  }),
  check('/api lists the versions of the core group', async ({ api }) => {
    const { status, body } = await api.get('/api')
    assert.equal(status, 200)
    assert.deepEqual([body.kind, body.versions], ['APIVersions', ['v1']])
  }),
  check('/apis lists the groups with their preferred versions', async ({ api }) => {
    const { body } = await api.get('/apis')
    assert.deepEqual([body.kind, body.apiVersion], ['APIGroupList', 'v1'])
    const apps = { groupVersion: 'apps/v1', version: 'v1' }
    assert.deepEqual(named(body.groups, 'apps'), { name: 'apps', versions: [apps], preferredVersion: apps })
  }),
  check('/apis/GROUP describes one group', async ({ api }) => {
    const { status, body } = await api.get('/apis/apps')
    assert.equal(status, 200)
    assert.deepEqual([body.kind, body.name, body.preferredVersion.groupVersion], ['APIGroup', 'apps', 'apps/v1'])
  }),
  check('/api/v1 lists resources with kind, scope, short names and verbs', async ({ api }) => {
    const { body } = await api.get('/api/v1')
    assert.deepEqual([body.kind, body.groupVersion], ['APIResourceList', 'v1'])
    const pods = named(body.resources, 'pods')
    assert.deepEqual(
      [pods.kind, pods.namespaced, pods.singularName, pods.shortNames, pods.categories],
      ['Pod', true, 'pod', ['po'], ['all']],
    )
    assert.deepEqual(sorted(pods.verbs), ALL_VERBS)
    assert.equal(named(body.resources, 'nodes').namespaced, false)
  }),
  check('discovery lists subresources as resources with a slash', async ({ api }) => {
    const { body } = await api.get('/apis/apps/v1')
    assert.deepEqual([body.apiVersion, body.groupVersion], ['v1', 'apps/v1'])
    const status = named(body.resources, 'deployments/status')
    assert.deepEqual(
      [status.kind, status.singularName, sorted(status.verbs)],
      ['Deployment', '', ['get', 'patch', 'update']],
    )
  }),
  check('aggregated discovery gives all core resources in one answer', async ({ api }) => {
    const { body, headers } = await api.get('/api', { accept: AGGREGATED })
    assert.match(String(headers['content-type']), /as=APIGroupDiscoveryList/)
    assert.deepEqual([body.kind, body.apiVersion], ['APIGroupDiscoveryList', 'apidiscovery.k8s.io/v2'])
    const [group] = body.items
    assert.deepEqual([group.metadata, group.versions[0].version, group.versions[0].freshness], [{}, 'v1', 'Current'])
    const pods = named(group.versions[0].resources, 'pods')
    assert.deepEqual(
      [pods.responseKind, pods.scope, pods.singularResource],
      [{ group: '', version: '', kind: 'Pod' }, 'Namespaced', 'pod'],
    )
    assert.equal(named(group.versions[0].resources, 'nodes').scope, 'Cluster')
  }),
  check('aggregated discovery gives all groups in one answer', async ({ api }) => {
    const { body } = await api.get('/apis', { accept: AGGREGATED })
    const deployments = named(named(body.items, 'apps').versions[0].resources, 'deployments')
    assert.deepEqual([deployments.responseKind.kind, deployments.shortNames], ['Deployment', ['deploy']])
    assert.ok(deployments.subresources.some(({ subresource }: Json) => subresource === 'status'))
  }),
  check('an unknown group is 404 as text, an unknown resource of a known group is 404 as Status', async ({ api }) => {
    for (const path of [
      '/apis/nowhere.example',
      '/apis/nowhere.example/v1',
      '/apis/nowhere.example/v1/things',
      '/nowhere',
    ]) {
      const { status, text } = await api.get(path)
      assert.deepEqual([status, text.trim()], [404, '404 page not found'])
    }
    const message = 'the server could not find the requested resource'
    assertFailure(await api.get('/apis/apps/v1/things'), { code: 404, reason: 'NotFound', message, details: {} })
  }),
  check('a method that a path does not have is 405', async ({ api, configMaps }) => {
    assertFailure(await api.put(configMaps, {}), { code: 405, reason: 'MethodNotAllowed', details: {} })
    assertFailure(await api.post('/api/v1/configmaps', { metadata: { name: 'a' } }), {
      code: 405,
      reason: 'MethodNotAllowed',
    })
  }),
  check('a token that nobody has is 401', async ({ api }) => {
    const answer = await api.get('/api/v1/pods', { authorization: 'Bearer nobody-has-this' })
    assertFailure(answer, { code: 401, reason: 'Unauthorized', message: 'Unauthorized' })
    assert.equal(answer.body.details, undefined)
  }),
  check('a missing right is 403 and says who may not do what where', async ({ api, server, namespace }) => {
    const headers = { authorization: `Bearer ${server.limitedToken}` }
    assertFailure(await api.get('/api/v1/pods', headers), {
      code: 403,
      reason: 'Forbidden',
      message: 'pods is forbidden: User "limited" cannot list resource "pods" in API group "" at the cluster scope',
      details: { kind: 'pods' },
    })
    assertFailure(await api.get(`/apis/apps/v1/namespaces/${namespace}/deployments/web`, headers), {
      code: 403,
      reason: 'Forbidden',
      message: `deployments.apps "web" is forbidden: User "limited" cannot get resource "deployments" in API group "apps" in the namespace "${namespace}"`,
      details: { name: 'web', group: 'apps', kind: 'deployments' },
    })
  }),
  check('a watch without the right is 403, not an ERROR frame', async ({ api, server, configMaps }) => {
    const answer = await api.get(`${configMaps}?watch=true`, { authorization: `Bearer ${server.limitedToken}` })
    assertFailure(answer, { code: 403, reason: 'Forbidden', message: /cannot watch resource "configmaps"/ })
  }),
]
