/**
 * THE PUBLIC CONTRACT, once: every type and every attribute of the events. The TypeScript types below follow from it;
 * docs/events.md, docs/schemas and docs/asyncapi.yaml are generated from it (reference.ts).
 */
import type { Infer, JsonSchema } from '../lib/json-schema.ts'
import {
  type BareData,
  dataShapes,
  type GapData,
  type MetadataData,
  markerSchemas,
  type ObjectData,
  type ReferenceData,
  type SnapshotAbortedData,
  type SnapshotBeginData,
  type SnapshotEndData,
} from './data.ts'
import { type DataSchema, type DataShape, dataSchemas, type EventName, type EventType, eventTypes } from './types.ts'

/** What an event is about: one object, or a stream as a whole (markers and gaps). */
export type About = 'object' | 'stream'

interface EventDefinition {
  readonly about: About
  readonly when: string
  /** The shapes that `data` may have. */
  readonly shapes: readonly DataShape[]
  /** Of `data`, where it is narrower than the shape. */
  readonly data?: JsonSchema
}

const objectShapes = ['object', 'metadata', 'reference', 'bare'] as const

export const events = {
  added: { about: 'object', when: 'an object entered what this sink is sent', shapes: objectShapes },
  updated: { about: 'object', when: 'it changed', shapes: objectShapes },
  deleted: { about: 'object', when: 'it is gone, or left what this sink is sent', shapes: objectShapes },
  snapshotBegin: { about: 'stream', when: 'a snapshot starts', shapes: ['snapshot'], data: markerSchemas.begin },
  snapshotItem: {
    about: 'object',
    when: 'one object of it: present now, perhaps for years; never sent as `added`',
    shapes: objectShapes,
  },
  snapshotEnd: { about: 'stream', when: 'it is complete', shapes: ['snapshot'], data: markerSchemas.end },
  snapshotAborted: {
    about: 'stream',
    when: 'it will not be completed: conclude nothing from it. A new begin of the same stream says the same',
    shapes: ['snapshot'],
    data: markerSchemas.aborted,
  },
  gap: { about: 'stream', when: 'versions in between could not be observed', shapes: ['gap'] },
} as const satisfies Record<EventName, EventDefinition>

export type Presence = 'always' | 'sometimes' | 'never'

export interface AttributeDefinition {
  readonly schema: JsonSchema & { readonly description: string; readonly examples: readonly (string | boolean)[] }
  /** On the events of one object. */
  readonly object: Presence
  /** On markers and gaps. */
  readonly stream: Presence
}

const always = { object: 'always', stream: 'always' } as const
const sometimes = { object: 'sometimes', stream: 'sometimes' } as const
const onObjects = { object: 'always', stream: 'never' } as const
const onSomeObjects = { object: 'sometimes', stream: 'never' } as const

/** CloudEvents' own attributes first, then extensions, in the order in which they are sent. */
export const attributes = {
  specversion: { ...always, schema: { const: '1.0', description: 'Version of CloudEvents.', examples: ['1.0'] } },
  id: {
    ...always,
    schema: {
      type: 'string',
      minLength: 1,
      description:
        'The same for the same event about the same version of an object, whoever sends it and whenever; opaque.',
      examples: ['9a2c7e0f-50f5-4e5b-8a0e-2f6a1d1c9b11:4711'],
    },
  },
  source: {
    ...always,
    schema: {
      type: 'string',
      pattern: '^kubernetes://',
      description:
        "The resource and the version in which it is read; never the API server's address. Another version is another source of the same stream.",
      examples: ['kubernetes://prod-eu/apis/apps/v1/deployments', 'kubernetes://prod-eu/api/v1/pods'],
    },
  },
  type: {
    ...always,
    schema: { enum: Object.values(eventTypes), description: 'What happened.', examples: [eventTypes.updated] },
  },
  datacontenttype: {
    ...always,
    schema: {
      const: 'application/json',
      description: 'Of `data`. In HTTP binary mode: the header Content-Type.',
      examples: ['application/json'],
    },
  },
  dataschema: {
    ...always,
    schema: {
      enum: Object.values(dataSchemas),
      description: 'The shape of `data`.',
      examples: [dataSchemas.object],
    },
  },
  subject: {
    ...onObjects,
    schema: {
      type: 'string',
      minLength: 1,
      description: '`<namespace>/<name>`, of a cluster-scoped object `<name>`.',
      examples: ['shop/web', 'node-7'],
    },
  },
  time: {
    ...always,
    schema: {
      type: 'string',
      format: 'date-time',
      description:
        'When it happened, as far as the object tells: added: its creationTimestamp; updated: the newest time in its managedFields; else when it was observed.',
      examples: ['2026-01-01T00:00:00.123456Z'],
    },
  },
  apiversion: {
    ...onObjects,
    schema: { type: 'string', description: 'As in the object.', examples: ['apps/v1'] },
  },
  kind: { ...onObjects, schema: { type: 'string', description: 'As in the object.', examples: ['Deployment'] } },
  namespace: {
    ...onSomeObjects,
    schema: { type: 'string', description: 'As in the object, if it is in one.', examples: ['shop'] },
  },
  name: { ...onObjects, schema: { type: 'string', description: 'As in the object.', examples: ['web'] } },
  cluster: {
    ...always,
    schema: { type: 'string', description: "The cluster's configured name.", examples: ['prod-eu'] },
  },
  resource: {
    ...always,
    schema: {
      type: 'string',
      description: 'The resource with its group, as `kubectl api-resources -o name` prints it.',
      examples: ['deployments.apps', 'pods'],
    },
  },
  stream: {
    ...always,
    schema: {
      type: 'string',
      description:
        '`<configured source>/<resource>[/<namespace>]`. A snapshot covers exactly the objects with the same `cluster`, `stream` and shard.',
      examples: ['workloads/deployments.apps'],
    },
  },
  uid: {
    ...onObjects,
    schema: {
      type: 'string',
      description: 'Of the object: one per object ever created, also if the name is taken again.',
      examples: ['9a2c7e0f-50f5-4e5b-8a0e-2f6a1d1c9b11'],
    },
  },
  resourceversion: {
    ...onSomeObjects,
    schema: {
      type: 'string',
      description: 'Of the object. Absent on a deleted whose last version is unknown.',
      examples: ['4711'],
    },
  },
  partitionkey: {
    ...always,
    schema: {
      type: 'string',
      description:
        'What shares it stays in order: `<cluster>/<resource>/<subject>`; of markers and gaps `<stream>:begin`, `:end`, `:aborted`, `:gap`.',
      examples: ['prod-eu/deployments.apps/shop/web'],
    },
  },
  sequence: {
    ...always,
    schema: {
      type: 'string',
      pattern: '^[0-9]{20}$',
      description:
        "The stream's position here: of a live change its resourceVersion, of what a list showed the list's. 20 digits: text order is the order of positions.",
      examples: ['00000000000000004711'],
    },
  },
  observed: {
    ...onObjects,
    schema: {
      enum: ['watch', 'relist', 'snapshot'],
      description: 'How it was seen: reported by the server, found by comparing with a list, or taken for a snapshot.',
      examples: ['watch'],
    },
  },
  collapsed: {
    ...onSomeObjects,
    schema: {
      const: true,
      description: 'A Boolean. Earlier versions of this object were skipped. Absent otherwise.',
      examples: [true],
    },
  },
  snapshotid: {
    ...sometimes,
    schema: {
      type: 'string',
      description: 'On everything that a snapshot caused: markers, items, and deletes that belong to it.',
      examples: ['workloads/deployments.apps:b7Qm2x'],
    },
  },
  epoch: {
    ...sometimes,
    schema: {
      type: 'string',
      description:
        'With several replicas: the fencing token of the one that sent it. Of one uid, a lower epoch that arrives after a higher one comes from a replica that had lost its leadership.',
      examples: ['4690'],
    },
  },
  fieldmanager: {
    ...onSomeObjects,
    schema: {
      type: 'string',
      description: 'Who wrote the change, by the managedFields of the object.',
      examples: ['kube-controller-manager'],
    },
  },
  degraded: {
    ...onSomeObjects,
    schema: {
      enum: ['no-previous', 'no-patch', 'metadata', 'reference'],
      description: 'What was sent because the payload that the route asks for did not fit.',
      examples: ['metadata'],
    },
  },
  traceparent: {
    ...sometimes,
    schema: {
      type: 'string',
      description: 'With tracing on: where the trace of this event starts (W3C Trace Context).',
      examples: ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
    },
  },
  deadsink: {
    ...sometimes,
    schema: {
      type: 'string',
      description:
        'On a dead letter that another sink gets (`deadLetter`), as all that begin with `dead`: the sink that did not get it.',
      examples: ['audit'],
    },
  },
  deadcode: {
    ...sometimes,
    schema: { type: 'string', description: 'Why, as one of the reasons in docs/delivery.md.', examples: ['rejected'] },
  },
  deadreason: {
    ...sometimes,
    schema: { type: 'string', description: 'Why, in the words of the last error.', examples: ['400 Bad Request'] },
  },
  deadattempts: {
    ...sometimes,
    schema: { type: 'string', description: 'How often it was sent.', examples: ['3'] },
  },
  deadtime: {
    ...sometimes,
    schema: {
      type: 'string',
      format: 'date-time',
      description: 'When it was given up.',
      examples: ['2026-01-01T00:00:00.000Z'],
    },
  },
} as const satisfies Record<string, AttributeDefinition>

export type AttributeName = keyof typeof attributes
type Definitions = typeof attributes
type NamesOf<A extends About, P extends Presence> = {
  [N in AttributeName]: Definitions[N][A] extends P ? N : never
}[AttributeName]
type AttributesOf<A extends About> = {
  readonly [N in NamesOf<A, 'always'>]: Infer<Definitions[N]['schema']>
} & {
  readonly [N in NamesOf<A, 'sometimes'>]?: Infer<Definitions[N]['schema']>
}

/** All attributes of the events of one object. */
export type ObjectAttributes = AttributesOf<'object'>
/** All attributes of markers and gaps. */
export type StreamAttributes = AttributesOf<'stream'>

type Typed<A, T extends EventType, S extends DataShape, D> = Omit<A, 'type' | 'dataschema'> & {
  readonly type: T
  readonly dataschema: (typeof dataSchemas)[S]
  readonly data: D
}
type OfObject<T extends EventType> =
  | Typed<ObjectAttributes, T, 'object', ObjectData>
  | Typed<ObjectAttributes, T, 'metadata', MetadataData>
  | Typed<ObjectAttributes, T, 'reference', ReferenceData>
  | Typed<ObjectAttributes, T, 'bare', BareData>
type Types = typeof eventTypes

export type AddedEvent = OfObject<Types['added']>
export type UpdatedEvent = OfObject<Types['updated']>
export type DeletedEvent = OfObject<Types['deleted']>
export type SnapshotItemEvent = OfObject<Types['snapshotItem']>
export type SnapshotBeginEvent = Typed<StreamAttributes, Types['snapshotBegin'], 'snapshot', SnapshotBeginData>
export type SnapshotEndEvent = Typed<StreamAttributes, Types['snapshotEnd'], 'snapshot', SnapshotEndData>
export type SnapshotAbortedEvent = Typed<StreamAttributes, Types['snapshotAborted'], 'snapshot', SnapshotAbortedData>
export type GapEvent = Typed<StreamAttributes, Types['gap'], 'gap', GapData>

/** A structured event as JSON.parse returns it. `type` narrows it, `dataschema` narrows `data`. */
export type DeltawireEvent =
  | AddedEvent
  | UpdatedEvent
  | DeletedEvent
  | SnapshotBeginEvent
  | SnapshotItemEvent
  | SnapshotEndEvent
  | SnapshotAbortedEvent
  | GapEvent

/** JSON Schema of a whole structured event of one type. */
export function eventSchema(name: EventName): JsonSchema {
  const { about, shapes, data, when }: EventDefinition = events[name]
  const own = Object.entries<AttributeDefinition>(attributes).filter(([, definition]) => definition[about] !== 'never')
  const withShape = (shape: DataShape): JsonSchema => ({
    properties: { dataschema: { const: dataSchemas[shape] satisfies DataSchema }, data: data ?? dataShapes[shape] },
  })
  return {
    title: eventTypes[name],
    description: `Sent when: ${when}.`,
    type: 'object',
    required: [
      ...own.filter(([, definition]) => definition[about] === 'always').map(([attribute]) => attribute),
      'data',
    ],
    properties: {
      ...Object.fromEntries(own.map(([attribute, { schema }]) => [attribute, schema])),
      type: { const: eventTypes[name] },
    },
    oneOf: shapes.map(withShape),
  }
}
