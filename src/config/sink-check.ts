import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { SinkOptions } from '../delivery/options.ts'
import type { Sink, SinkContext, SinkLimits } from '../delivery/sink.ts'
import { systemClock } from '../lib/clock.ts'
import { parseDuration } from '../lib/units.ts'
import type { SinkConfig } from './bridge-config.ts'
import type { ValuePath } from './problem.ts'
import type { Entry } from './references.ts'
import type { SchemaProblem } from './schema-problem.ts'

/**
 * What a schema cannot refuse, of the keys that all sinks share and of the type's own. A sink is made once, which does
 * no I/O, and thrown away. Its context is inert: it logs nowhere, writes nowhere and knows no secret.
 */
export async function checkSink({ index, value }: Entry<SinkConfig>): Promise<readonly SchemaProblem[]> {
  const { options, own, definition } = value
  const path: ValuePath = ['sinks', index]
  const problems = [...checkOptions(options, path)]
  try {
    checkLimits(definition.limits(own))
    const sink = definition.create(own, inertContext(options.name))
    checkMembers(sink)
    await dispose(sink)
  } catch (error) {
    problems.push(refusal(error instanceof Error ? error.message : String(error), own, path))
  }
  return problems
}

async function dispose(sink: Sink): Promise<void> {
  try {
    await sink[Symbol.asyncDispose]()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`what create of the type returns cannot be disposed before it was used: ${reason}`)
  }
}

/** A batch of nothing, or a limit that is no number, would stop the worker or everything behind it. */
function checkLimits(limits: SinkLimits): void {
  if (typeof limits !== 'object' || limits === null) {
    throw new Error(`limits of the type returns ${String(limits)}; it has to return an object`)
  }
  const { maxEventBytes, maxBatchBytes, sizeOf, sameKeyInBatch } = limits
  for (const name of ['maxEventBytes', 'maxBatchEvents', 'maxBatchBytes', 'concurrency'] as const) {
    const value = limits[name]
    if (Number.isSafeInteger(value) && value > 0) continue
    throw new Error(`the type says limits.${name} is ${String(value)}; it has to be an integer above 0`)
  }
  if (maxEventBytes > maxBatchBytes) {
    throw new Error(
      'the type says limits.maxEventBytes is above limits.maxBatchBytes: such an event fits into no batch',
    )
  }
  if (typeof sizeOf !== 'function') throw new Error('the type has no function limits.sizeOf')
  if (typeof sameKeyInBatch !== 'boolean') throw new Error('the type has to say limits.sameKeyInBatch, true or false')
}

function checkMembers(sink: Sink): void {
  if (typeof sink !== 'object' || sink === null || sink instanceof Promise) {
    const what = sink instanceof Promise ? 'a promise' : String(sink)
    throw new Error(`create of the type returns ${what}; it has to return a sink, at once`)
  }
  const members = { connect: sink.connect, deliver: sink.deliver, '[Symbol.asyncDispose]': sink[Symbol.asyncDispose] }
  for (const [name, member] of Object.entries(members)) {
    if (typeof member !== 'function') throw new Error(`create of the type returns a sink without ${name}`)
  }
}

function* checkOptions({ timeout, retry }: SinkOptions, path: ValuePath): Generator<SchemaProblem> {
  if (parseDuration(timeout) === 0) {
    yield { path: [...path, 'timeout'], about: 'value', message: 'an attempt needs some time', expected: 'more than 0' }
  }
  if (parseDuration(retry.initial) > parseDuration(retry.max)) {
    const message = `the first delay is above the longest, which is ${retry.max}`
    yield { path: [...path, 'retry', 'initial'], about: 'value', message, expected: 'at most retry.max' }
  }
}

/** A message may begin with the key that it is about, as in `url: not an absolute URL` or `network.allow: no CIDR`. */
export function refusal(text: string, own: object, path: ValuePath): SchemaProblem {
  const [, key = '', message] = /^([A-Za-z]+(?:\.[A-Za-z]+)*): (.*)$/s.exec(text) ?? []
  const steps = key.split('.')
  if (message === undefined || !((steps[0] ?? '') in own)) return { path, about: 'value', message: text }
  return { path: [...path, ...steps], about: 'value', message }
}

function inertContext(name: string): SinkContext {
  return {
    name,
    clock: systemClock,
    logger: pino({ enabled: false }),
    stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
    secret: () => Promise.reject(new Error('no secret is resolved while a configuration is checked')),
  }
}
