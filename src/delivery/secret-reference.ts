/** How a configuration says where a credential is: never what it is. The schemas are parts for the schemas of sinks. */
import type { Infer } from '../lib/json-schema.ts'

/** `{ env: NAME }` */
export const environmentReference = {
  type: 'object',
  required: ['env'],
  properties: { env: { type: 'string', minLength: 1, description: 'Name of an environment variable.' } },
} as const

/** `{ file: PATH }` */
export const fileReference = {
  type: 'object',
  required: ['file'],
  properties: { file: { type: 'string', minLength: 1, description: 'Path of a file.' } },
} as const

/** Either: what `SinkContext.secret` takes. */
export const secretReference = { oneOf: [environmentReference, fileReference] } as const

export type SecretReference = Infer<typeof secretReference>
