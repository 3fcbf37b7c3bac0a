import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { type SinkOptions, sinkOptionsSchema, workerOptions } from './options.ts'
import type { SinkLimits } from './sink.ts'

const limits: SinkLimits = {
  maxEventBytes: 1_000_000,
  maxBatchEvents: 10,
  maxBatchBytes: 500_000,
  sizeOf: ({ dataBytes }) => dataBytes,
  sameKeyInBatch: false,
  concurrency: 16,
}

function withDefaults(config: Record<string, unknown>): SinkOptions {
  const validate = new Ajv({
    useDefaults: true,
    strict: true,
    formats: { duration: true, bytes: true },
  }).compile<SinkOptions>(sinkOptionsSchema)
  if (!validate(config)) throw new Error(JSON.stringify(validate.errors))
  return config
}

test('without any key, a worker runs by the documented defaults and by the limits of the type', () => {
  assert.deepEqual(workerOptions(withDefaults({ name: 'audit', type: 'kafka' }), limits), {
    name: 'audit',
    order: 'key',
    concurrency: 16,
    timeoutMs: 15_000,
    batch: { events: 10, bytes: 500_000, lingerMs: 5 },
    queue: { events: 10_000, bytes: 67_108_864, whenFull: 'coalesce' },
    retry: { initialMs: 500, maxMs: 300_000, giveUpAfterMs: 3_600_000 },
    maxEventBytes: 1_000_000,
  })
})

test('what is configured counts, but a batch never exceeds what the type can do', () => {
  const options = withDefaults({
    name: 'audit',
    type: 'kafka',
    concurrency: 3,
    timeout: '2s',
    batch: { events: 50, bytes: '1KiB', linger: '0' },
    queue: { events: 5 },
    retry: { max: '1m' },
    maxEventBytes: '256KiB',
  })
  assert.deepEqual(workerOptions(options, limits), {
    name: 'audit',
    order: 'key',
    concurrency: 3,
    timeoutMs: 2000,
    batch: { events: 10, bytes: 1024, lingerMs: 0 },
    queue: { events: 5, bytes: 67_108_864, whenFull: 'coalesce' },
    retry: { initialMs: 500, maxMs: 60_000, giveUpAfterMs: 3_600_000 },
    maxEventBytes: 262_144,
  })
})

test('every key has a description', () => {
  const walk = (properties: Record<string, { description?: string; properties?: object }>) => {
    for (const [name, property] of Object.entries(properties)) {
      assert.ok(property.description, name)
      if (property.properties) walk({ ...property.properties })
    }
  }
  walk(sinkOptionsSchema.properties)
})
