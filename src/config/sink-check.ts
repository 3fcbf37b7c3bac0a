import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { SinkContext } from '../delivery/sink.ts'
import { systemClock } from '../lib/clock.ts'
import type { AnySinkDefinition, SinkConfig } from './bridge-config.ts'
import type { Entry } from './references.ts'
import type { SchemaProblem } from './schema-problem.ts'

/**
 * What a type of sink itself refuses: it is made once, which does no I/O, and thrown away. Its context is inert: it logs
 * nowhere, writes nowhere and knows no secret.
 */
export async function checkSink(
  { index, value: { options, own } }: Entry<SinkConfig>,
  definitions: readonly AnySinkDefinition[],
): Promise<readonly SchemaProblem[]> {
  const definition = definitions.find(({ type }) => type === options.type)
  try {
    definition?.limits(own)
    await using _ = definition?.create(own, inertContext(options.name))
    return []
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [{ path: ['sinks', index], about: 'value', message }]
  }
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
