/** What the tests of this folder share: files on disk and a type of sink with every sort of key. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSink, secretReference } from '../delivery/sink.ts'
import { type LoadOptions, loadConfig, type SinkTypes } from './load.ts'
import { ConfigError } from './problem.ts'

const schema = {
  type: 'object',
  required: ['to'],
  properties: {
    to: { type: 'string', minLength: 1, maxLength: 40 },
    mode: { enum: ['loud', 'quiet'], default: 'loud' },
    region: { type: 'string', pattern: '^[a-z]+-[0-9]$', examples: ['west-1'] },
    peers: { type: 'array', items: { type: 'string', format: 'host-port' } },
    create: {
      oneOf: [
        { const: false },
        { type: 'object', required: ['copies'], properties: { copies: { type: 'integer', minimum: 1 } } },
      ],
    },
    headers: {
      type: 'object',
      default: {},
      additionalProperties: { oneOf: [{ type: 'string' }, ...secretReference.oneOf] },
    },
    token: secretReference,
    auth: {
      oneOf: [
        { type: 'object', required: ['bearer'], properties: { bearer: secretReference } },
        {
          type: 'object',
          required: ['basic'],
          properties: {
            basic: {
              type: 'object',
              required: ['username', 'password'],
              properties: { username: { type: 'string' }, password: secretReference },
            },
          },
        },
      ],
    },
    network: {
      type: 'object',
      default: {},
      properties: { allow: { type: 'array', items: { type: 'string' }, default: [] } },
    },
  },
} as const

/** Refuses what a schema cannot: `to: nowhere`, and networks that are not `10/8`. */
export const echo = defineSink({
  type: 'echo',
  schema,
  limits: ({ to }) => {
    if (to === 'limitless') throw new Error('there are no limits for it')
    return {
      maxEventBytes: 1000,
      maxBatchEvents: 1,
      maxBatchBytes: 1000,
      sizeOf: () => 1,
      sameKeyInBatch: false,
      concurrency: 1,
    }
  },
  create: ({ to, network }) => {
    if (to === 'nowhere') throw new Error('to: nowhere is no place; write it like somewhere')
    if (network.allow.some((text) => text !== '10/8')) throw new Error('network.allow: only 10/8 is known')
    return {
      connect: () => Promise.reject(new Error('a configuration is checked without I/O')),
      deliver: () => Promise.reject(new Error('a configuration is checked without I/O')),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  },
})

const testSinks: SinkTypes = {
  echo: () => Promise.resolve({ sink: echo }),
  kafka: () => Promise.reject(new Error('a type that nobody names is not loaded')),
}

/** A file `c.yaml` with these contents, for as long as `use` runs. */
export async function withFile<T>(content: string | Uint8Array, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-config-'))
  try {
    const file = join(folder, 'c.yaml')
    await writeFile(file, content)
    return await use(file)
  } finally {
    await rm(folder, { recursive: true })
  }
}

export function load(content: string | Uint8Array, options: Partial<LoadOptions> = {}) {
  return withFile(content, (file) => loadConfig({ file, env: {}, ...options }, testSinks))
}

/** The lines that a person would see, with the file called `c.yaml`. None: the configuration is valid. */
export async function problemsOf(
  content: string | Uint8Array,
  options: Partial<LoadOptions> = {},
): Promise<readonly string[]> {
  return await withFile(content, async (file) => {
    try {
      await loadConfig({ file, env: {}, ...options }, testSinks)
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.message.replaceAll(file, 'c.yaml').split('\n')
    }
  })
}

const HEAD = 'apiVersion: deltawire.io/v1\nkind: Bridge\n'
const SOURCES = 'sources: [{ name: all, resources: [pods] }]\n'
const SINKS = 'sinks: [{ name: out, type: echo, to: x }]\n'

/** A valid file in which some sections are replaced; line 3 is the first of `section`. */
export const file = {
  process: (section: string) => `${HEAD}${section}\n${SOURCES}${SINKS}`,
  sources: (section: string) => `${HEAD}sources:\n${section}\n${SINKS}`,
  routes: (section: string) => `${HEAD}routes:\n${section}\n${SOURCES}${SINKS}`,
  sinks: (section: string) => `${HEAD}sinks:\n${section}\n${SOURCES}`,
}
