import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { SinkOptions } from '../delivery/options.ts'
import type { SinkContext } from '../delivery/sink.ts'
import { systemClock } from '../lib/clock.ts'
import { parseDuration } from '../lib/units.ts'
import type { AnySinkDefinition, SinkConfig } from './bridge-config.ts'
import type { ValuePath } from './problem.ts'
import type { Entry } from './references.ts'
import type { SchemaProblem } from './schema-problem.ts'

/**
 * What a schema cannot refuse, of the keys that all sinks share and of the type's own. A sink is made once, which does
 * no I/O, and thrown away. Its context is inert: it logs nowhere, writes nowhere and knows no secret.
 */
export async function checkSink(
  { index, value: { options, own } }: Entry<SinkConfig>,
  definitions: readonly AnySinkDefinition[],
): Promise<readonly SchemaProblem[]> {
  const definition = definitions.find(({ type }) => type === options.type)
  const path: ValuePath = ['sinks', index]
  const problems = [...checkOptions(options, path)]
  try {
    definition?.limits(own)
    await using _ = definition?.create(own, inertContext(options.name))
  } catch (error) {
    problems.push(refusal(error instanceof Error ? error.message : String(error), own, path))
  }
  return problems
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
