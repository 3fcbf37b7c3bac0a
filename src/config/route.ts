import type { Infer, JsonSchema } from '../lib/json-schema.ts'

/** One entry of `routes`. */
export const routeSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', format: 'name', description: 'Unique.', examples: ['rollouts'] },
    from: {
      type: 'array',
      items: { type: 'string' },
      minItems: 1,
      description: 'Names of sources. Without it: all sources.',
      examples: [['workloads']],
    },
    to: {
      type: 'array',
      items: { type: 'string' },
      minItems: 1,
      description: 'Names of sinks.',
      examples: [['audit']],
    },
    where: {
      type: 'string',
      format: 'expression',
      description:
        'The objects that the route lets through: a CEL expression over `object`, see routes.md. One that begins or ' +
        'ceases to fit is added or deleted. Without it: all objects.',
      examples: ["object.kind != 'Pod' || object.status.phase != 'Succeeded'"],
    },
    on: {
      type: 'array',
      items: { enum: ['added', 'updated', 'deleted', 'snapshot', 'gap'] },
      minItems: 1,
      description:
        'The types of events that are sent. `snapshot` is begin, items and end. Without it: all, but of Events (`events`) ' +
        'no `deleted`: they expire by the hundred, which says nothing of the cluster.',
      examples: [['added', 'deleted']],
    },
    payload: {
      type: 'object',
      description: 'What the data of an object event holds.',
      default: {},
      properties: {
        shape: {
          enum: ['object', 'metadata', 'reference', 'bare'],
          description:
            '`object`: the whole object. `metadata`: as PartialObjectMetadata. `reference`: only apiVersion, kind, ' +
            'namespace, name, uid and resourceVersion. `bare`: the object itself is the data, without an envelope.',
          default: 'object',
        },
        previous: {
          type: 'boolean',
          description: 'Adds the last observed state to updates.',
          default: false,
        },
      },
    },
  },
  required: ['name', 'to'],
} as const satisfies JsonSchema

/** One entry of `routes`, with `from` filled in. */
export type RouteConfig = Infer<typeof routeSchema> & { readonly from: readonly string[] }
