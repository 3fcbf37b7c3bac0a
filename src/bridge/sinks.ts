import type { Logger } from 'pino'
import type { AnySinkDefinition, SinkConfig } from '../config/bridge-config.ts'
import type { SinkTypes } from '../config/load.ts'
import { DeadLetterRing } from '../delivery/dead-letters.ts'
import { workerOptions } from '../delivery/options.ts'
import { SinkWorker } from '../delivery/worker.ts'
import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { type Environment, readSecret } from './secret.ts'
import { newHealth, type SinkHealth, watchHealth } from './sink-health.ts'
import { deliveryObserver, type Telemetry } from './telemetry.ts'

export interface SinkParts {
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly stdout: NodeJS.WritableStream
  readonly env: Environment
  readonly clock: Clock
  readonly random: Random
}

/** A configured sink and the worker that delivers to it. */
export interface RunningSink {
  readonly name: string
  readonly required: boolean
  readonly worker: SinkWorker
  readonly deadLetters: DeadLetterRing
  readonly health: SinkHealth
}

/** Starts a worker for each, in order; they begin to connect. Rejects if a type is unknown or refuses its configuration. */
export async function startSinks(
  sinks: readonly SinkConfig[],
  types: SinkTypes,
  parts: SinkParts,
): Promise<readonly RunningSink[]> {
  const definitions = await Promise.all(sinks.map(({ options }) => load(options.type, types)))
  return sinks.map((sink, index) => start(sink, definitions[index] as AnySinkDefinition, parts))
}

function start({ options, own }: SinkConfig, definition: AnySinkDefinition, parts: SinkParts): RunningSink {
  const { telemetry, stdout, env, clock, random, logger } = parts
  const { name, required } = options
  const limits = definition.limits(own)
  const sink = definition.create(own, {
    name,
    clock,
    logger: logger.child({ sink: name }),
    stdout,
    secret: (reference) => readSecret(reference, env),
  })
  const deadLetters = new DeadLetterRing()
  const health = newHealth()
  const observer = watchHealth(deliveryObserver(name, telemetry), health)
  const worker = new SinkWorker(workerOptions(options, limits), { sink, limits, clock, deadLetters, observer, random })
  // the bridge races it when it runs; until then nobody listens
  worker.failed.catch(() => undefined)
  telemetry.metrics.sink(name).observe(() => worker.stats())
  return { name, required, worker, deadLetters, health }
}

async function load(type: string, types: SinkTypes): Promise<AnySinkDefinition> {
  const known = types[type]
  if (!known) throw new Error(`there is no type of sink ${type}; there are ${Object.keys(types).join(', ')}`)
  return (await known()).sink
}
