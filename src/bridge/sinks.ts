import type { Logger } from 'pino'
import type { SinkConfig } from '../config/bridge-config.ts'
import { DeadLetterSink } from '../delivery/dead-letter-sink.ts'
import type { DeadLetterStore } from '../delivery/dead-letters.ts'
import { workerOptions } from '../delivery/options.ts'
import { soundLimits } from '../delivery/sound-limits.ts'
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
  /** For sinks that name no other one. */
  readonly deadLetters: DeadLetterStore
  /** Aborts when no dead letter can be delivered any more. */
  readonly closed: AbortSignal
}

/** A configured sink and the worker that delivers to it. */
export interface RunningSink {
  readonly name: string
  readonly required: boolean
  readonly worker: SinkWorker
  /** Name of the sink that gets its dead letters. */
  readonly deadLetter: string | undefined
  /** See `SinkLimits`. */
  readonly keepsLast: boolean
  readonly health: SinkHealth
}

/** Starts a worker for each, in order; they begin to connect. Throws if a type refuses its configuration. */
export function startSinks(sinks: readonly SinkConfig[], parts: SinkParts): readonly RunningSink[] {
  const started: RunningSink[] = []
  const workerOf = (name: string) => {
    const sink = started.find((one) => one.name === name)
    if (!sink) throw new Error(`there is no sink ${name}`) // the configuration was checked for that
    return sink.worker
  }
  for (const sink of sinks) {
    const { deadLetter } = sink.options
    const { clock, closed: signal } = parts
    const deadLetters =
      deadLetter === undefined
        ? parts.deadLetters
        : new DeadLetterSink({ worker: () => workerOf(deadLetter), clock, signal })
    started.push(start(sink, { ...parts, deadLetters }))
  }
  return started
}

function start({ options, own, definition }: SinkConfig, parts: SinkParts): RunningSink {
  const { telemetry, stdout, env, clock, random, logger, deadLetters } = parts
  const { name, required, deadLetter } = options
  const limits = soundLimits(definition.limits(own), (problem) => {
    const message = 'the sink does not say how large events are: they are counted as JSON'
    telemetry.states.tell({
      key: `sizeOf ${name}`,
      state: problem,
      level: 'error',
      message,
      fields: { sink: name, problem },
    })
  })
  const sink = definition.create(own, {
    name,
    clock,
    logger: logger.child({ sink: name }),
    stdout,
    secret: (reference) => readSecret(reference, env),
  })
  const health = newHealth()
  const observer = watchHealth(deliveryObserver(name, telemetry), health)
  const worker = new SinkWorker(workerOptions(options, limits), { sink, limits, clock, deadLetters, observer, random })
  // the bridge races it when it runs; until then nobody listens
  worker.failed.catch(() => undefined)
  telemetry.metrics.sink(name).observe(() => worker.stats())
  return { name, required, worker, deadLetter, keepsLast: limits.keepsLast ?? false, health }
}
