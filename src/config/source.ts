import type { Infer, JsonSchema } from '../lib/json-schema.ts'

/** One entry of `sources`. */
export const sourceSchema = {
  type: 'object',
  properties: {
    name: {
      type: 'string',
      format: 'name',
      description: 'Unique. Part of the `stream` attribute of its events. Without it: the first resource.',
      examples: ['workloads'],
    },
    resources: {
      type: 'array',
      items: { type: 'string', format: 'resource' },
      minItems: 1,
      description:
        'What is watched, with its group, as `kubectl api-resources -o name` prints it: `pods`, `deployments.apps`. A version can be named: `widgets.v1.example.com`.',
      examples: [['pods', 'deployments.apps']],
    },
    namespaces: {
      type: 'array',
      items: { type: 'string', format: 'namespace' },
      minItems: 1,
      description: 'One stream for each of them. Without it: one stream over all namespaces.',
      examples: [['shop', 'pay']],
    },
    labelSelector: {
      type: 'string',
      format: 'label-selector',
      description: 'Applied by the API server. Without it: all objects.',
      examples: ['app.kubernetes.io/part-of=shop,tier!=cache'],
    },
    fieldSelector: {
      type: 'string',
      format: 'field-selector',
      description: 'Applied by the API server, which decides what fields a resource can be selected by.',
      examples: ['spec.nodeName=node-1'],
    },
    allowSecrets: {
      type: 'boolean',
      description: 'Must be true if `resources` has Secrets. Their values are redacted all the same.',
      default: false,
    },
    resync: {
      type: 'object',
      description: 'The scheduled reconciliation of each stream: a snapshot. One is also sent at every start.',
      default: {},
      properties: {
        every: {
          type: 'string',
          format: 'duration',
          description: 'Time between two of them, at least `1s`. `0s`: none but the one at the start.',
          default: '1h',
        },
        snapshot: {
          enum: ['full', 'delta', 'markers', 'off'],
          description:
            '`full`: every object. `delta`: only what the sink does not have, so of an idle cluster begin and end. `markers`: begin and end, never an object. `off`: no scheduled snapshot.',
          default: 'delta',
        },
        verify: {
          type: 'boolean',
          description:
            'Before each of them the API server is asked for all objects, page by page, at exactly the position of the stream. What the bridge has missed is counted, logged and told. Where none is scheduled nothing is verified.',
          default: false,
        },
      },
    },
  },
  required: ['resources'],
} as const satisfies JsonSchema

/** One entry of `sources`, with its name filled in. */
export type SourceConfig = Infer<typeof sourceSchema> & { readonly name: string }
