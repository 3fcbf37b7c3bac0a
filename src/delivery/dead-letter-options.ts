import type { Infer, JsonSchema } from '../lib/json-schema.ts'

/** Section `deadLetters`. */
export const deadLettersSchema = {
  type: 'object',
  description: 'Where events are kept that sinks could not be given.',
  default: {},
  properties: {
    path: {
      type: 'string',
      minLength: 1,
      description:
        'Folder on a disk for dead letters, used by one process at a time; they survive a restart there. Without it the ' +
        'newest 10,000, at most 32 MiB, are kept in memory.',
    },
    bytes: {
      type: 'string',
      format: 'bytes',
      description: 'Size of that folder. Beyond it the oldest dead letters are dropped, and counted.',
      default: '256MiB',
    },
  },
} as const satisfies JsonSchema

export type DeadLettersOptions = Infer<typeof deadLettersSchema>
