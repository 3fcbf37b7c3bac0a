/**
 * The shapes of `data`, each once: JSON Schemas, and the TypeScript types that follow from them.
 * Open for members to come: a consumer ignores what it does not know, a schema never forbids it.
 */
import type { Infer, JsonSchema } from '../lib/json-schema.ts'
import type { DataShape } from './types.ts'

const position = { type: 'string', pattern: '^[1-9][0-9]*$', examples: ['4711'] } as const

const kubeObject = {
  type: 'object',
  required: ['apiVersion', 'kind', 'metadata'],
  properties: {
    apiVersion: { type: 'string', examples: ['apps/v1'] },
    kind: { type: 'string', examples: ['Deployment'] },
    metadata: {
      type: 'object',
      required: ['name', 'uid'],
      properties: {
        name: { type: 'string', examples: ['web'] },
        namespace: { type: 'string', description: 'Absent on a cluster-scoped object.', examples: ['shop'] },
        uid: { type: 'string', examples: ['9a2c7e0f-50f5-4e5b-8a0e-2f6a1d1c9b11'] },
        resourceVersion: position,
      },
      additionalProperties: true,
    },
  },
  additionalProperties: true,
} as const satisfies JsonSchema

const partialObject = {
  type: 'object',
  required: ['apiVersion', 'kind', 'metadata'],
  properties: {
    apiVersion: kubeObject.properties.apiVersion,
    kind: kubeObject.properties.kind,
    metadata: kubeObject.properties.metadata,
  },
} as const satisfies JsonSchema

const reference = {
  type: 'object',
  required: ['apiVersion', 'kind', 'name', 'uid'],
  properties: {
    apiVersion: kubeObject.properties.apiVersion,
    kind: kubeObject.properties.kind,
    namespace: kubeObject.properties.metadata.properties.namespace,
    name: kubeObject.properties.metadata.properties.name,
    uid: kubeObject.properties.metadata.properties.uid,
    resourceVersion: { ...position, description: 'Absent where only the identity is known.' },
  },
} as const satisfies JsonSchema

const pointers = { type: 'array', items: { type: 'string', examples: ['/spec/replicas'] } } as const

const patch = {
  type: 'array',
  items: {
    oneOf: [
      {
        type: 'object',
        required: ['op', 'path', 'value'],
        properties: { op: { enum: ['add', 'replace', 'test'] }, path: { type: 'string' }, value: {} },
      },
      {
        type: 'object',
        required: ['op', 'path'],
        properties: { op: { const: 'remove' }, path: { type: 'string' } },
      },
      {
        type: 'object',
        required: ['op', 'from', 'path'],
        properties: { op: { enum: ['move', 'copy'] }, from: { type: 'string' }, path: { type: 'string' } },
      },
    ],
  },
} as const satisfies JsonSchema

/** The members beside `object`, the same in every shape that has them. */
const aboutTheChange = {
  changed: {
    ...pointers,
    description:
      'On updated, if the previous observed state is held: JSON Pointers (RFC 6901) to what changed, without values.',
  },
  previousResourceVersion: {
    ...position,
    description:
      'If the route asks for `previous` or `patch`: the version that they are against, the last observed one.',
  },
  finalStateKnown: {
    type: 'boolean',
    description:
      'On deleted: true if `object` is the state at deletion, false if it is the newest one seen before, or the identity.',
  },
  redacted: {
    ...pointers,
    description: 'If something was redacted: JSON Pointers to it.',
  },
} as const satisfies Record<string, JsonSchema>

const objectData = {
  title: 'One object, whole',
  type: 'object',
  required: ['object'],
  properties: {
    object: {
      ...kubeObject,
      description:
        'The object after the change. On deleted its last state; at least apiVersion, kind, metadata.name, metadata.namespace and metadata.uid. Without managedFields and the last-applied annotation.',
    },
    previous: { ...kubeObject, description: 'If the route asks: the object as it was last observed before.' },
    patch: { ...patch, description: 'If the route asks: JSON Patch (RFC 6902) that makes `object` of `previous`.' },
    ...aboutTheChange,
  },
} as const satisfies JsonSchema

const metadataData = {
  title: 'One object, its metadata only',
  type: 'object',
  required: ['object'],
  properties: {
    object: { ...partialObject, description: 'apiVersion and kind of the object itself, and its metadata.' },
    ...aboutTheChange,
  },
} as const satisfies JsonSchema

const referenceData = {
  title: 'One object, named only',
  type: 'object',
  required: ['object'],
  properties: {
    object: { ...reference, description: 'The identity, with the members of a Kubernetes ObjectReference.' },
    ...aboutTheChange,
  },
} as const satisfies JsonSchema

const bareData = {
  ...kubeObject,
  title: 'The object itself',
  description: 'As the Kubernetes API shows it, with nothing around it.',
} as const satisfies JsonSchema

const snapshotId = {
  type: 'string',
  description: 'Shared by begin, items and end; the attribute `snapshotid`.',
  examples: ['workloads/deployments.apps:b7Qm2x'],
} as const

const begin = {
  id: snapshotId,
  reason: {
    enum: ['startup', 'gap', 'periodic', 'requested', 'failover', 'view'],
    description: 'Why it was taken. `view`: the routes to this sink changed.',
  },
  mode: {
    enum: ['full', 'part', 'delta', 'markers'],
    description:
      'What it holds. `full`: every object of the view. `part`: those of a requested selection; its end removes nothing. `delta`: only differences. `markers`: no object.',
  },
  ledger: {
    enum: ['warm', 'cold'],
    description: '`cold`: the bridge does not know what was sent before; what a full snapshot does not hold is gone.',
  },
  scope: {
    type: 'object',
    description: 'Which objects the stream covers. An absent member restricts nothing.',
    required: ['resource'],
    properties: {
      resource: { type: 'string', description: 'As the attribute `resource`.', examples: ['deployments.apps'] },
      namespaces: {
        type: 'array',
        items: { type: 'string' },
        description: 'Those that are covered.',
        examples: [['shop', 'pay']],
      },
      labelSelector: {
        type: 'string',
        description: 'As kubectl takes it.',
        examples: ['app.kubernetes.io/part-of=shop'],
      },
      fieldSelector: { type: 'string', description: 'As kubectl takes it.', examples: ['spec.nodeName=node-7'] },
      shard: { type: 'string', description: 'The share of the objects that one of several bridges serves.' },
    },
  },
} as const satisfies Record<string, JsonSchema>

const count = { type: 'integer', minimum: 0 } as const
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const

const result = {
  resourceVersion: { ...position, description: "The stream's position at this place." },
  items: { ...count, description: 'Objects in the view here.' },
  added: { ...count, description: 'Live changes of this kind between begin and end.' },
  updated: { ...count, description: 'Live changes of this kind between begin and end.' },
  deleted: { ...count, description: 'Live changes of this kind between begin and end.' },
  unchanged: { ...count, description: 'Objects that did not change between begin and end.' },
  deadLettered: {
    ...count,
    description: "Dead letters of this view since its last full snapshot's end. Above 0 a copy may differ by them.",
  },
  members: {
    ...digest,
    description: 'Digest of which objects are in the view. Absent where a route leaves types out.',
  },
  state: {
    ...digest,
    description: 'Digest of which versions are in the view. After full snapshots of views that send every update.',
  },
} as const satisfies Record<string, JsonSchema>

const cause = {
  type: 'string',
  description: 'Why it will not be completed.',
  examples: ['shutdown'],
} as const

/** What a schema of markers looks like: `{ snapshot: { … } }`. */
function marker<const P extends Record<string, JsonSchema>, const R extends readonly (keyof P & string)[]>(
  title: string,
  properties: P,
  required: R,
) {
  return {
    title,
    type: 'object',
    required: ['snapshot'],
    properties: { snapshot: { type: 'object', required, properties } },
  } as const satisfies JsonSchema
}

/** The three forms of the shape `snapshot`, one per marker. */
export const markerSchemas = {
  begin: marker('A snapshot starts', begin, ['id', 'reason', 'mode', 'ledger', 'scope']),
  end: marker('A snapshot is complete', { ...begin, ...result }, [
    'id',
    'reason',
    'mode',
    'ledger',
    'scope',
    'resourceVersion',
    'items',
    'added',
    'updated',
    'deleted',
    'unchanged',
    'deadLettered',
  ]),
  aborted: marker('A snapshot will not be completed', { id: snapshotId, cause }, ['id', 'cause']),
} as const

const gapData = {
  title: 'Versions that could not be observed',
  type: 'object',
  required: ['gap'],
  properties: {
    gap: {
      type: 'object',
      required: ['from', 'to', 'cause'],
      properties: {
        from: { ...position, description: 'The last position before the gap.' },
        to: { ...position, description: 'The first one after it.' },
        cause: {
          enum: ['expired', 'restart', 'restored', 'redefined', 'overflow'],
          description:
            "`expired`: the API server's history no longer reached back. `restart`: the bridge was away too long. `restored`: the server's versions went back, as after a restored backup. `redefined`: the stream's configuration changed. `overflow`: this sink's queue was full.",
        },
      },
    },
  },
} as const satisfies JsonSchema

/** By shape: the schema that the event's `dataschema` names. */
export const dataShapes = {
  object: objectData,
  metadata: metadataData,
  reference: referenceData,
  bare: bareData,
  snapshot: marker('About a snapshot', { ...begin, ...result, cause }, ['id']),
  gap: gapData,
} as const satisfies Record<DataShape, JsonSchema>

export type ObjectData = Infer<typeof objectData>
export type MetadataData = Infer<typeof metadataData>
export type ReferenceData = Infer<typeof referenceData>
export type BareData = Infer<typeof bareData>
export type SnapshotBeginData = Infer<typeof markerSchemas.begin>
export type SnapshotEndData = Infer<typeof markerSchemas.end>
export type SnapshotAbortedData = Infer<typeof markerSchemas.aborted>
export type GapData = Infer<typeof gapData>
