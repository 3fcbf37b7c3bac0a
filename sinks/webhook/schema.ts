/** The keys of a webhook. */
import { fileReference, secretReference } from '../../src/delivery/sink.ts'
import { deniedByDefault } from './network.ts'

const pem = { oneOf: [fileReference] } as const

export const schema = {
  type: 'object',
  required: ['url'],
  properties: {
    url: {
      type: 'string',
      minLength: 1,
      description: 'Where events are sent, one POST each. https, unless insecureHttp is true. Holds no credential.',
      examples: ['https://receiver.example.com/events'],
    },
    mode: {
      enum: ['structured', 'binary'],
      default: 'structured',
      description: 'structured: the whole CloudEvent as JSON body. binary: attributes as ce- headers, data as body.',
    },
    insecureHttp: {
      type: 'boolean',
      default: false,
      description: 'Permits a URL with http: everybody on the way can read it.',
    },
    headers: {
      type: 'object',
      default: {},
      additionalProperties: { oneOf: [{ type: 'string' }, ...secretReference.oneOf] },
      description:
        'Further headers of each request. What is sent under the name of a credential (authorization, cookie, x-api-key, names with token, secret, password …) is never a text, but `{ env: NAME }` or `{ file: PATH }`.',
      examples: [{ 'x-team': 'shop', 'x-api-key': { env: 'RECEIVER_KEY' } }],
    },
    auth: {
      description: 'How requests are authenticated. Without it they are not.',
      oneOf: [
        {
          type: 'object',
          required: ['bearer'],
          properties: { bearer: { ...secretReference, description: 'A bearer token.' } },
        },
        {
          type: 'object',
          required: ['basic'],
          properties: {
            basic: {
              type: 'object',
              required: ['username', 'password'],
              properties: {
                username: { type: 'string', description: 'User name; without a colon.' },
                password: { ...secretReference, description: 'Password.' },
              },
            },
          },
        },
      ],
    },
    tls: {
      type: 'object',
      default: {},
      description: 'PEM files, read again when a connection fails.',
      properties: {
        ca: { ...pem, description: 'Certificates to trust instead of the system ones.' },
        cert: { ...pem, description: 'Client certificate; needs key.' },
        key: { ...pem, description: 'Private key of the client certificate; needs cert.' },
      },
    },
    network: {
      type: 'object',
      default: {},
      description:
        'Which addresses may be dialled. Private ranges may (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7): receivers ' +
        'in the cluster are private. Denied by default are loopback, link-local, multicast and metadata services: ' +
        `${deniedByDefault.join(', ')}. A name is denied if any of its addresses is.`,
      properties: {
        allow: {
          type: 'array',
          items: { type: 'string' },
          default: [],
          description: 'CIDRs or addresses that are permitted although they are denied by default.',
          examples: [['127.0.0.0/8']],
        },
        deny: {
          type: 'array',
          items: { type: 'string' },
          default: [],
          description: 'CIDRs or addresses that are denied as well; goes before allow.',
        },
      },
    },
  },
} as const
