import type { Infer, JsonSchema } from '../lib/json-schema.ts'

/** Section `log`. */
export const logSchema = {
  type: 'object',
  description: 'The log on standard error.',
  default: {},
  properties: {
    level: {
      enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
      description: 'The least severe level that is written.',
      default: 'info',
    },
    format: {
      enum: ['json', 'pretty'],
      description:
        '`json`: one object per line. `pretty`: for people. Without it: `pretty` on a terminal, else `json`.',
    },
  },
} as const satisfies JsonSchema

export type LogOptions = Infer<typeof logSchema>
