/**
 * What the bridge tells Prometheus. One registry per instance; names begin with `deltawire_` (those of the process are
 * the usual ones). Labels are stream, sink, reason and the like, never a namespace, name or uid: their number is bounded
 * by the configuration.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Clock } from '../lib/clock.ts'
import { DeadLetterMetrics } from './dead-letter-metrics.ts'
import { OutputFamilies, type OutputStats } from './output-metrics.ts'
import { RouteMetrics } from './route-metrics.ts'
import { SinkFamilies, type SinkMetrics } from './sink-metrics.ts'
import { StreamFamilies, type StreamMetrics } from './stream-metrics.ts'

export interface MetricsOptions {
  readonly clock: Clock
  /** Label of `deltawire_build_info`. */
  readonly version: string
  /** `process`: also memory, CPU, event loop and garbage collection of the process, which should be asked for once. */
  readonly include?: 'process'
}

/** Where an object or event was when something went wrong that is not its sink's fault. */
export type Stage = 'decode' | 'transform' | 'translate' | 'deliver'
export type DegradedReason = 'frame-bytes' | 'depth' | 'transform' | 'sink-limit'

/** As a scrape has it. */
export interface MetricDefinition {
  readonly name: string
  readonly help: string
  /** `counter`, `gauge` or `histogram`. */
  readonly type: string
  readonly labels: readonly string[]
}

export class Metrics {
  /** Of the store of dead letters; how many come in is among the sinks' metrics. */
  readonly deadLetters: DeadLetterMetrics
  readonly routes: RouteMetrics
  readonly #registry = new Registry()
  readonly #outputs: OutputFamilies
  readonly #streams: StreamFamilies
  readonly #sinks: SinkFamilies
  readonly #pipelineErrors: Counter<'stage'>
  readonly #degraded: Counter<'reason'>
  readonly #redacted: Counter

  constructor({ clock, version, include }: MetricsOptions) {
    const registers = [this.#registry]
    this.#outputs = new OutputFamilies(this.#registry)
    this.#streams = new StreamFamilies(this.#registry, clock)
    this.#sinks = new SinkFamilies(this.#registry)
    this.deadLetters = new DeadLetterMetrics(this.#registry)
    this.routes = new RouteMetrics(this.#registry)
    this.#pipelineErrors = new Counter({
      name: 'deltawire_pipeline_errors_total',
      help: 'Objects or events that a stage of the pipeline could not process as they are.',
      labelNames: ['stage'],
      registers,
    })
    this.#degraded = new Counter({
      name: 'deltawire_degraded_events_total',
      help: 'Events sent with a smaller payload than configured.',
      labelNames: ['reason'],
      registers,
    })
    this.#redacted = new Counter({
      name: 'deltawire_redacted_fields_total',
      help: 'Values that were redacted before anything kept or sent them.',
      registers,
    })
    new Gauge({
      name: 'deltawire_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1)
    if (include === 'process') collectDefaultMetrics({ register: this.#registry })
  }

  /** Of one stream; asked for again, the same. */
  stream(name: string): StreamMetrics {
    return this.#streams.of(name)
  }

  /** Of one sink; asked for again, the same. */
  sink(name: string): SinkMetrics {
    return this.#sinks.of(name, () => this.degraded('sink-limit'))
  }

  /** From now on how far the sink has the stream is read from here. */
  observeOutput(stream: string, sink: string, read: () => OutputStats): void {
    this.#outputs.observe(stream, sink, read)
  }

  pipelineError(stage: Stage): void {
    this.#pipelineErrors.inc({ stage })
  }

  degraded(reason: DegradedReason): void {
    this.#degraded.inc({ reason })
  }

  redacted(fields: number): void {
    this.#redacted.inc(fields)
  }

  /** Every metric of Deltawire itself, in the order in which it was defined: what docs/metrics.md is made of. */
  definitions(): readonly MetricDefinition[] {
    return this.#registry.getMetricsAsArray().flatMap((metric) => {
      const { name, help, type } = metric
      if (!name.startsWith('deltawire_')) return []
      const labels = 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames.map(String) : []
      return [{ name, help, type: String(type), labels }]
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The exposition of all metrics at this moment. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
