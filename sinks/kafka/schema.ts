/** The keys of a Kafka sink. */
import { fileReference, secretReference } from '../../src/delivery/sink.ts'
import { topicAttributes } from './topic.ts'

const pem = { oneOf: [fileReference] } as const

export const schema = {
  type: 'object',
  required: ['brokers', 'topic'],
  properties: {
    brokers: {
      type: 'array',
      minItems: 1,
      items: { type: 'string', format: 'host-port' },
      description: 'Where to ask for the cluster first, as `host:port`; the other brokers are learned from these.',
      examples: [['kafka:9092']],
    },
    topic: {
      type: 'string',
      minLength: 1,
      description:
        'Name of the topic. May be made of what all events of a stream have in common: ' +
        `${topicAttributes.map((name) => `\`{${name}}\``).join(' ')}, in which characters that Kafka does not allow ` +
        'become `_`.',
      examples: ['k8s.audit', 'k8s.{resource}'],
    },
    mode: {
      enum: ['binary', 'structured'],
      default: 'binary',
      description:
        'binary: attributes as ce_ headers, data as the value. structured: the whole CloudEvent as JSON in the value.',
    },
    compression: {
      enum: ['zstd', 'gzip', 'none'],
      default: 'zstd',
      description: 'Compression of what is sent together. zstd needs Kafka 2.1 or newer.',
    },
    compacted: {
      type: 'boolean',
      default: false,
      description:
        'For a topic with `cleanup.policy=compact`: a deletion has no value, so that Kafka forgets the object. Needs ' +
        '`mode: binary`. An object is sent whole or goes to the dead letters, never in a smaller form.',
    },
    createTopics: {
      default: false,
      description:
        'Whether topics that do not exist are created, and how; with `cleanup.policy=compact` if `compacted`. A topic ' +
        'that exists is left as it is.',
      oneOf: [
        { const: false },
        {
          type: 'object',
          required: ['partitions', 'replicationFactor'],
          properties: {
            partitions: { type: 'integer', minimum: 1, maximum: 10_000, description: 'Partitions of a new topic.' },
            replicationFactor: { type: 'integer', minimum: 1, maximum: 100, description: 'Copies of each partition.' },
          },
        },
      ],
    },
    tls: {
      type: 'object',
      description:
        'Encrypts connections; `tls: {}` trusts the certificates of the system. PEM files, read again when a connection ' +
        'failed.',
      properties: {
        ca: { ...pem, description: 'Certificates to trust instead of the system ones.' },
        cert: { ...pem, description: 'Client certificate; needs key.' },
        key: { ...pem, description: 'Private key of the client certificate; needs cert.' },
      },
    },
    sasl: {
      type: 'object',
      required: ['mechanism', 'username', 'password'],
      description: 'How Deltawire logs in. Without it: not, or with the client certificate of tls.',
      properties: {
        mechanism: {
          enum: ['plain', 'scram-sha-256', 'scram-sha-512'],
          description: 'plain sends the password as it is: only with tls.',
        },
        username: { type: 'string', minLength: 1, description: 'User name.' },
        password: {
          ...secretReference,
          description: 'Password; a file is read again when it is refused.',
        },
      },
    },
  },
} as const
