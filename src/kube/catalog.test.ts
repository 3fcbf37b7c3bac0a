import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Catalog, findResource, type ServedResource } from './catalog.ts'
import { KubeError, type KubeErrorCode } from './errors.ts'

const ALL = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

function served(
  groupVersion: string,
  resource: string,
  kind: string,
  more: Partial<ServedResource> = {},
): ServedResource {
  const [version = '', group = ''] = groupVersion.split('/').reverse()
  const singular = kind.toLowerCase()
  return { group, version, resource, kind, namespaced: true, singular, shortNames: [], verbs: ALL, ...more }
}

const catalog: Catalog = {
  resources: [
    served('v1', 'pods', 'Pod', { shortNames: ['po'] }),
    served('v1', 'nodes', 'Node', { shortNames: ['no'], namespaced: false }),
    served('v1', 'events', 'Event', { shortNames: ['ev'] }),
    served('v1', 'bindings', 'Binding', { verbs: ['create'] }),
    served('apps/v1', 'deployments', 'Deployment', { shortNames: ['deploy'] }),
    served('events.k8s.io/v1', 'events', 'Event', { shortNames: ['ev'] }),
    served('networking.k8s.io/v1', 'ingresses', 'Ingress', { shortNames: ['ing'] }),
    served('autoscaling/v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', { shortNames: ['hpa'] }),
    served('autoscaling/v1', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', { shortNames: ['hpa'] }),
    served('example.com/v1', 'widgets', 'Widget'),
    served('example.com/v1beta1', 'widgets', 'Widget'),
    served('v1.example.com/v1alpha1', 'gadgets', 'Gadget'),
    served('metrics.k8s.io/v1beta1', 'pods', 'PodMetrics', { singular: 'pod', verbs: ['get', 'list'] }),
    // a resource whose short name is another's plural
    served('example.com/v1', 'podlets', 'Podlet', { shortNames: ['pods', 'pl'] }),
  ],
  unreachable: ['custom.metrics.k8s.io/v1beta1'],
}

const find = (name: string) => {
  const { group, version, resource } = findResource(catalog, name)
  return [group, version, resource].join('/')
}

const failed = (code: KubeErrorCode, message: RegExp) => (error: unknown) =>
  error instanceof KubeError && error.code === code && message.test(error.message)

test('names are read as kubectl reads them', () => {
  const table: Record<string, string> = {
    pods: '/v1/pods',
    po: '/v1/pods',
    pod: '/v1/pods',
    Pod: '/v1/pods',
    PODS: '/v1/pods',
    'pods.v1.': '/v1/pods',
    'pods.v1': '/v1/pods',
    'gadgets.v1': 'v1.example.com/v1alpha1/gadgets',
    pl: 'example.com/v1/podlets',
    deploy: 'apps/v1/deployments',
    'deployments.apps': 'apps/v1/deployments',
    'deploy.apps': 'apps/v1/deployments',
    'deployments.v1.apps': 'apps/v1/deployments',
    events: '/v1/events',
    'events.events.k8s.io': 'events.k8s.io/v1/events',
    'ingresses.networking': 'networking.k8s.io/v1/ingresses',
    hpa: 'autoscaling/v2/horizontalpodautoscalers',
    'hpa.v1.autoscaling': 'autoscaling/v1/horizontalpodautoscalers',
    widgets: 'example.com/v1/widgets',
    'widgets.example.com': 'example.com/v1/widgets',
    'widgets.v1.example.com': 'example.com/v1/widgets',
    'widgets.v1beta1.example.com': 'example.com/v1beta1/widgets',
    'gadgets.v1.example.com': 'v1.example.com/v1alpha1/gadgets',
    'gadgets.v1alpha1.v1.example.com': 'v1.example.com/v1alpha1/gadgets',
  }
  assert.deepEqual(Object.fromEntries(Object.keys(table).map((name) => [name, find(name)])), table)
  assert.deepEqual(findResource(catalog, 'no'), {
    group: '',
    version: 'v1',
    resource: 'nodes',
    kind: 'Node',
    namespaced: false,
  })
})

test('an unknown resource is not found, and the nearest is named', () => {
  const { resources } = catalog
  const unknown = (name: string, hint: RegExp) =>
    assert.throws(() => findResource({ resources, unreachable: [] }, name), failed('not-found', hint), name)
  unknown('podz', /the server serves no resource podz; is pods meant\?/)
  unknown('deploymets.apps', /is deployments\.apps meant\?/)
  unknown('widgets.v1.exmaple.com', /is widgets\.v1\.example\.com meant\?/)
  unknown('widgets.v2.example.com', /is widgets\.v1\.example\.com meant\?/)
  unknown('xyzzyxyzzy', /see `kubectl api-resources`/)
  unknown('pods/status', /serves no resource pods\/status/)
  unknown('', /serves no resource/)
})

test('P3 a resource that may be in a group which cannot be read now is not said to be gone', () => {
  assert.throws(
    () => findResource(catalog, 'things'),
    failed('unavailable', /what custom\.metrics\.k8s\.io\/v1beta1 holds/),
  )
  assert.throws(() => findResource(catalog, 'things.custom.metrics.k8s.io'), failed('unavailable', /custom\.metrics/))
  assert.throws(() => findResource(catalog, 'things.example.com'), failed('not-found', /things\.example\.com/))
})

test('a resource that cannot be listed and watched is rejected with what it can', () => {
  assert.throws(
    () => findResource(catalog, 'bindings'),
    failed('rejected', /bindings cannot be listed and watched.*: it has create$/),
  )
  assert.throws(
    () => findResource(catalog, 'pods.metrics.k8s.io'),
    failed('rejected', /pods\.metrics\.k8s\.io .* get, list$/),
  )
})
