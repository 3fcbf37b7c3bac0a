import type { Infer, JsonSchema } from '../lib/json-schema.ts'

/** Section `state`. */
export const stateSchema = {
  type: 'object',
  description: 'What is remembered of each stream: how far each sink has it, and what it may hold.',
  default: {},
  properties: {
    type: {
      enum: ['memory', 'file'],
      description:
        '`memory`: nothing survives a restart, so every start sends a full snapshot, and a deletion meanwhile shows only ' +
        'as an absence from it. `file`: in the folder `path`; a start goes on where the last one ended, and every ' +
        'deletion is told, however long it was away.',
      default: 'memory',
    },
    path: {
      type: 'string',
      minLength: 1,
      description: 'With `file`: folder on a disk, used by one process at a time.',
    },
    fsync: {
      enum: ['always', 'interval', 'none'],
      description:
        'With `file`: `always`: what is noted survives the loss of power. `interval` (1 s), `none`: it survives the end of ' +
        'the process only.',
      default: 'always',
    },
  },
} as const satisfies JsonSchema

export type StateOptions = Infer<typeof stateSchema>
