import type { Resource } from '../kube/object.ts'
import type { JsonObject } from './json.ts'

/** One resource in one version, and how the server treats its objects. */
export interface Definition extends Resource {
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  /** Built-in items have no `apiVersion` and `kind` inside a list; those of custom resources have. */
  readonly builtIn: boolean
  /** With `/status`: a write to the object leaves `status` alone, a write to `/status` everything else. */
  readonly status: boolean
  /** What counts up `metadata.generation`: `none` for resources without one. */
  readonly generation: 'none' | 'spec' | 'all'
  /** Dotted paths that field selectors may name beside `metadata.name` and `metadata.namespace`. */
  readonly fields: readonly string[]
  /** What the server adds to an object when it is created. */
  readonly complete?: (object: JsonObject) => JsonObject
}

type Row = Pick<Definition, 'resource' | 'kind' | 'singular' | 'shortNames' | 'namespaced'> &
  Partial<Pick<Definition, 'group' | 'version' | 'categories' | 'status' | 'generation' | 'fields' | 'complete'>>

const defaults = {
  group: '',
  version: 'v1',
  categories: [],
  builtIn: true,
  status: false,
  generation: 'none',
  fields: [],
} as const satisfies Partial<Definition>

const rows: readonly Row[] = [
  { resource: 'configmaps', kind: 'ConfigMap', singular: 'configmap', shortNames: ['cm'], namespaced: true },
  {
    resource: 'events',
    kind: 'Event',
    singular: 'event',
    shortNames: ['ev'],
    namespaced: true,
    fields: [
      'involvedObject.kind',
      'involvedObject.namespace',
      'involvedObject.name',
      'involvedObject.uid',
      'reason',
      'type',
    ],
  },
  {
    resource: 'namespaces',
    kind: 'Namespace',
    singular: 'namespace',
    shortNames: ['ns'],
    namespaced: false,
    status: true,
    fields: ['status.phase'],
    complete: completeNamespace,
  },
  {
    resource: 'nodes',
    kind: 'Node',
    singular: 'node',
    shortNames: ['no'],
    namespaced: false,
    status: true,
    fields: ['spec.unschedulable'],
  },
  {
    resource: 'pods',
    kind: 'Pod',
    singular: 'pod',
    shortNames: ['po'],
    namespaced: true,
    categories: ['all'],
    status: true,
    generation: 'spec',
    fields: ['spec.nodeName', 'spec.serviceAccountName', 'status.phase', 'status.podIP'],
    complete: (pod) => ({ ...pod, status: { phase: 'Pending', qosClass: 'BestEffort' } }),
  },
  {
    resource: 'secrets',
    kind: 'Secret',
    singular: 'secret',
    shortNames: [],
    namespaced: true,
    fields: ['type'],
    complete: (secret) => ({ ...secret, type: secret.type ?? 'Opaque' }),
  },
  {
    resource: 'serviceaccounts',
    kind: 'ServiceAccount',
    singular: 'serviceaccount',
    shortNames: ['sa'],
    namespaced: true,
  },
  {
    resource: 'services',
    kind: 'Service',
    singular: 'service',
    shortNames: ['svc'],
    namespaced: true,
    categories: ['all'],
    status: true,
    fields: ['spec.clusterIP', 'spec.type'],
  },
  {
    group: 'apps',
    resource: 'deployments',
    kind: 'Deployment',
    singular: 'deployment',
    shortNames: ['deploy'],
    namespaced: true,
    categories: ['all'],
    status: true,
    generation: 'spec',
    complete: (deployment) => ({ ...deployment, status: {} }),
  },
  {
    group: 'apps',
    resource: 'replicasets',
    kind: 'ReplicaSet',
    singular: 'replicaset',
    shortNames: ['rs'],
    namespaced: true,
    categories: ['all'],
    status: true,
    generation: 'spec',
    fields: ['status.replicas'],
    complete: (replicaSet) => ({ ...replicaSet, status: { replicas: 0 } }),
  },
  {
    group: 'batch',
    resource: 'jobs',
    kind: 'Job',
    singular: 'job',
    shortNames: [],
    namespaced: true,
    categories: ['all'],
    status: true,
    generation: 'spec',
    complete: (job) => ({ ...job, status: {} }),
  },
  {
    group: 'coordination.k8s.io',
    resource: 'leases',
    kind: 'Lease',
    singular: 'lease',
    shortNames: [],
    namespaced: true,
  },
  {
    group: 'apiextensions.k8s.io',
    resource: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    singular: 'customresourcedefinition',
    shortNames: ['crd', 'crds'],
    namespaced: false,
    categories: ['api-extensions'],
    status: true,
    generation: 'spec',
  },
]

/** The resources that are served without any CustomResourceDefinition. */
export const builtInResources: readonly Definition[] = rows.map((row) => ({ ...defaults, ...row }))

function completeNamespace(namespace: JsonObject): JsonObject {
  return { ...namespace, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
}
