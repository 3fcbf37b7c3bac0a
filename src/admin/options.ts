import type { Infer, JsonSchema } from '../lib/json-schema.ts'

/** Section `http`. */
export const httpSchema = {
  type: 'object',
  description: 'The HTTP server for `/livez`, `/readyz` and `/metrics`.',
  default: {},
  properties: {
    listen: {
      type: 'string',
      format: 'listen-address',
      description: 'Where it listens: `:8080` is all addresses (IPv4 and IPv6), `127.0.0.1:0` a free port on loopback.',
      default: ':8080',
    },
  },
} as const satisfies JsonSchema

export type HttpOptions = Infer<typeof httpSchema>

/** Section `admin`. */
export const adminSchema = {
  type: 'object',
  description: 'The API that `deltawire dlq` talks to.',
  default: {},
  properties: {
    listen: {
      type: 'string',
      format: 'admin-address',
      description:
        'Where the API for `deltawire dlq` listens: a loopback address, because it shows events and has no login. ' +
        '`"off"`: nowhere.',
      default: '127.0.0.1:8090',
    },
  },
} as const satisfies JsonSchema

export type AdminOptions = Infer<typeof adminSchema>
