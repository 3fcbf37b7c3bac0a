/**
 * The process section: everything in a configuration but its lists of sources, routes and sinks.
 * Each key can also be set in the environment and, where it is one value, by an argument (layers.ts).
 */
import { adminSchema, httpSchema } from '../admin/options.ts'
import { deadLettersSchema } from '../delivery/dead-letter-options.ts'
import type { Infer, JsonSchema } from '../lib/json-schema.ts'
import { stateSchema } from '../state/options.ts'
import { logSchema } from '../telemetry/options.ts'

const redactionSchema = {
  type: 'object',
  description:
    'What never leaves besides Secret values, managedFields and last-applied-configuration, which are always taken out.',
  default: {},
  properties: {
    key: {
      oneOf: [
        { const: 'none' },
        {
          type: 'object',
          properties: {
            file: { type: 'string', minLength: 1, description: 'Path of the file that holds the key.' },
          },
          required: ['file'],
        },
      ],
      description:
        '`none`: a redacted value becomes `redacted`. `{ file: PATH }`: it becomes an HMAC under the key in that file, ' +
        'so that a change of it stays visible. The key must be the same on all replicas.',
      default: 'none',
      examples: ['none', { file: '/etc/deltawire/redaction-key' }],
    },
    paths: {
      type: 'array',
      items: { type: 'string', format: 'object-path' },
      description: 'Further places in objects, for example `spec.users[*].password`.',
      default: [],
    },
    env: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      description:
        'Values of container environment variables whose name contains one of these words (case is ignored).',
      default: ['PASSWORD', 'PASSWD', 'PASSPHRASE', 'PWD', 'SECRET', 'TOKEN', 'KEY', 'CREDENTIAL'],
    },
  },
} as const satisfies JsonSchema

const limitsSchema = {
  type: 'object',
  description: 'Objects beyond a limit go out as a reference, marked `degraded`; their stream goes on.',
  default: {},
  properties: {
    frameBytes: {
      type: 'string',
      format: 'bytes',
      description: 'Size of one object as the API server sends it.',
      default: '4MiB',
    },
    depth: {
      type: 'integer',
      minimum: 16,
      maximum: 4096,
      description: 'Levels of nesting in one object.',
      default: 512,
    },
  },
} as const satisfies JsonSchema

const apiServerSchema = {
  type: 'object',
  description: 'How the API server is asked.',
  default: {},
  properties: {
    pageSize: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000,
      description: 'Objects per page of a list.',
      default: 500,
    },
    timeoutSeconds: {
      type: 'integer',
      minimum: 300,
      maximum: 3600,
      description:
        'Seconds that a watch stays open at least; each asks for a random time between this and twice of it.',
      default: 300,
    },
  },
} as const satisfies JsonSchema

export const processSchema = {
  type: 'object',
  properties: {
    cluster: {
      type: 'string',
      format: 'cluster',
      description:
        'Name of the cluster: the authority of `source` and the prefix of `partitionkey` in every event. ' +
        'Without it: the uid of namespace kube-system.',
      examples: ['prod-eu'],
    },
    http: httpSchema,
    admin: adminSchema,
    log: logSchema,
    state: stateSchema,
    deadLetters: deadLettersSchema,
    shutdown: {
      type: 'object',
      description: 'What happens after SIGTERM.',
      default: {},
      properties: {
        drain: {
          type: 'string',
          format: 'duration',
          description: 'How long events in flight may take to be settled.',
          default: '20s',
        },
      },
    },
    redaction: redactionSchema,
    limits: limitsSchema,
    apiServer: apiServerSchema,
  },
} as const satisfies JsonSchema

export type ProcessConfig = Infer<typeof processSchema>
