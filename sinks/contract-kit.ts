/** What the suite of contract.ts is written with: sinks and workers to test, events to send, and what must be true. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Ajv } from 'ajv'
import { pino } from 'pino'
import { DeadLetterRing } from '../src/delivery/dead-letters.ts'
import type { Outcome } from '../src/delivery/entry.ts'
import { type DeliveryObserver, noObserver } from '../src/delivery/observer.ts'
import type { WorkerOptions } from '../src/delivery/options.ts'
import {
  type CloudEventAttributes,
  DeliveryError,
  type OutboundEvent,
  type Sink,
  type SinkContext,
  type SinkDefinition,
  type SinkLimits,
} from '../src/delivery/sink.ts'
import { SinkWorker } from '../src/delivery/worker.ts'
import { systemClock } from '../src/lib/clock.ts'
import type { JsonSchema } from '../src/lib/json-schema.ts'
import { type Received, type SinkTarget, untilWoken } from './contract-target.ts'

export const CANARY = 'canary-5f2d9c'

export const options: WorkerOptions = {
  name: 'under-test',
  order: 'key',
  concurrency: 8,
  timeoutMs: 15_000,
  batch: { events: 100, bytes: 1_000_000, lingerMs: 1 },
  queue: { events: 10_000, bytes: 64 * 2 ** 20, whenFull: 'block' },
  retry: { initialMs: 1, maxMs: 10, giveUpAfterMs: 3_600_000 },
  maxEventBytes: 1_000_000,
}

export interface Made {
  readonly sink: Sink
  readonly limits: SinkLimits
}

export function makeSink<S extends JsonSchema>(
  definition: SinkDefinition<S>,
  target: Pick<SinkTarget, 'config' | 'stdout'>,
  context: Partial<SinkContext>,
): Made {
  const config: unknown = { ...structuredClone(target.config) }
  if (!validate(definition.schema, config)) throw new Error('the configuration of the harness is not valid')
  // what the schema has just found valid is of its type
  const typed = config as Parameters<typeof definition.create>[0]
  const sink = definition.create(typed, {
    name: 'under-test',
    clock: systemClock,
    logger: pino({ enabled: false }),
    stdout: target.stdout ?? process.stdout,
    secret: (reference) => Promise.resolve(`${CANARY}-${'env' in reference ? reference.env : reference.file}`),
    ...context,
  })
  return { sink, limits: definition.limits(typed) }
}

export function validate(schema: JsonSchema, value: unknown): boolean {
  const ajv = new Ajv({ useDefaults: true, strict: true, formats: { duration: true, bytes: true, 'host-port': true } })
  return ajv.compile({ ...schema, additionalProperties: false })(value)
}

export interface Run {
  readonly worker: SinkWorker
  readonly outcomes: Map<string, Outcome>
  /** Result of each attempt. */
  readonly results: string[]
  offer(one: OutboundEvent): Promise<void>
  until(condition: () => boolean): Promise<void>
}

/** The sink behind a worker, its failures retried within milliseconds. */
export function through({ sink, limits }: Made, clock: SinkContext['clock']): Run {
  const outcomes = new Map<string, Outcome>()
  const results: string[] = []
  const waiters = new Set<() => void>()
  const wake = () => {
    for (const waiter of waiters) waiter()
  }
  const observer: DeliveryObserver = {
    ...noObserver,
    attempt: ({ result }) => {
      results.push(result)
      wake()
    },
  }
  const batch = { ...options.batch, events: Math.min(options.batch.events, limits.maxBatchEvents) }
  const worker = new SinkWorker(
    { ...options, batch },
    { sink, limits, clock, deadLetters: new DeadLetterRing(), observer },
  )
  const offer = (one: OutboundEvent) =>
    worker.offer(
      one,
      (outcome) => {
        assert.ok(!outcomes.has(one.attributes.id), 'acknowledged twice')
        outcomes.set(one.attributes.id, outcome)
        wake()
      },
      never(),
    )
  return { worker, outcomes, results, offer, until: (condition) => untilWoken(waiters, condition) }
}

/** The error of one event, whether the sink returned it or threw it. */
export async function failureOf(sink: Sink, one: OutboundEvent): Promise<DeliveryError> {
  let thrown: unknown
  try {
    const [failure] = await sink.deliver([one], { signal: never() })
    thrown = failure?.error
  } catch (error) {
    thrown = error
  }
  assert.ok(thrown instanceof DeliveryError, inspect(thrown))
  return thrown
}

/** An event with these attributes; `data` is JSON text. */
export function event({
  data = '{"object":{}}',
  ...given
}: { readonly id: string; readonly data?: string } & Partial<CloudEventAttributes>): OutboundEvent {
  const attributes: CloudEventAttributes = {
    specversion: '1.0',
    source: 'kubernetes://test/api/v1/pods',
    type: 'io.deltawire.object.updated.v1',
    subject: 'shop/web',
    datacontenttype: 'application/json',
    dataschema: 'urn:deltawire:schema:object:v1',
    time: '2026-01-01T00:00:00Z',
    partitionkey: 'test/pods/shop/web',
    ...given,
  }
  return {
    attributes,
    key: String(attributes.partitionkey),
    stream: 'pods',
    kind: 'change',
    data,
    dataBytes: Buffer.byteLength(data),
  }
}

/** Events with the ids 0, 1, 2 … over so many keys. */
export function numbered(count: number, keys = count): readonly OutboundEvent[] {
  return Array.from({ length: count }, (_, n) =>
    event({ id: `${n}`, partitionkey: `key-${n % keys}`, data: `{"object":{"n":${n}}}` }),
  )
}

export function assertReceived(target: SinkTarget, events: readonly OutboundEvent[]): void {
  assert.deepEqual(
    target.received(),
    events.map(({ attributes, data }) => ({ attributes: { ...attributes }, data })),
  )
}

/**
 * P2: ids count up in the order of the offers; per key none arrives after a later one. Where several events of a key are
 * in one batch, a batch whose answer was lost comes again as a whole: then what came before may come again, but nothing
 * new after a later one, and the last to come is the latest.
 */
export function assertOrder(
  received: readonly Received[],
  { sameKeyInBatch }: Pick<SinkLimits, 'sameKeyInBatch'> = { sameKeyInBatch: false },
): void {
  const latest = new Map<unknown, number>()
  const last = new Map<unknown, number>()
  const seen = new Set<number>()
  for (const { attributes } of received) {
    const key = attributes.partitionkey
    const id = Number(attributes.id)
    const isRepetition = sameKeyInBatch && seen.has(id)
    assert.ok(isRepetition || id >= (latest.get(key) ?? -1), `${id} of ${String(key)} came after ${latest.get(key)}`)
    seen.add(id)
    latest.set(key, Math.max(id, latest.get(key) ?? -1))
    last.set(key, id)
  }
  assert.deepEqual(last, latest, 'what came last of each key is the latest of it')
}

export function never(): AbortSignal {
  return new AbortController().signal
}

export function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  if (typeof gc === 'function') gc()
  return process.memoryUsage().heapUsed
}
