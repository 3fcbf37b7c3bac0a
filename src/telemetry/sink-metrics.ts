import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What happens at one sink. Every method is quick and never throws: they are called on the data path. */
export interface SinkMetrics {
  /** An event is settled as delivered, this long after its frame was read. */
  delivered(latencyMs: number): void
  /** One attempt, of a batch of any size, is over. */
  attempt(attempt: { readonly durationMs: number }): void
  /** The fate of one event in one attempt. */
  sent(result: string): void
  retry(reason: string): void
  deadLetter(reason: string): void
  /** These reasons are possible: their series exist from the start, so that an alert on an increase sees the first one. */
  deadLetterReasons(reasons: readonly string[]): void
  /** An event went out with a smaller payload. */
  degraded(): void
  /** So many events were not sent, because newer ones stand for them. */
  merged(events: number): void
  /** The queue was full: what a stream had waiting was dropped, and a snapshot is owed instead. */
  overflowed(): void
  state(state: { readonly type: SinkStateName }): void
  /** From now on gauges come from here. */
  observe(stats: () => SinkStats): void
}

export type SinkStateName = 'connecting' | 'open' | 'paused' | 'probing' | 'closed'

/** A sink's worker at one moment. */
export interface SinkStats {
  readonly queueEvents: number
  readonly queueBytes: number
  readonly oldestAgeMs: number
  readonly inFlight: number
  /** Batches that it may be given. */
  readonly permitted: number
  /** Streams that wait for room in the queue. */
  readonly blockedOffers: number
  /** What waits on disk. */
  readonly spool?: { readonly events: number; readonly bytes: number; readonly limitBytes: number }
}

/** `closed` is the end of a sink that was in order. */
const circuit: Readonly<Record<SinkStateName, number>> = { open: 0, closed: 0, probing: 1, paused: 2, connecting: 3 }

/** The metrics of all sinks. */
export class SinkFamilies {
  readonly #sinks = new Map<string, SinkMetrics>()
  readonly #stats = new Map<string, () => SinkStats>()
  readonly #latency
  readonly #duration
  readonly #sent
  readonly #retries
  readonly #deadLetters
  readonly #merged
  readonly #overflows
  readonly #circuit

  constructor(registry: Registry) {
    const registers = [registry]
    const counter = <L extends string>(name: string, help: string, label: L) =>
      new Counter({ name: `deltawire_${name}`, help, labelNames: ['sink', label] as const, registers })
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name: `deltawire_${name}`, help, labelNames: ['sink'] as const, buckets, registers })

    this.#latency = histogram(
      'delivery_latency_seconds',
      'From the frame of a change being read to its event being acknowledged.',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
    )
    this.#duration = histogram(
      'sink_send_duration_seconds',
      'One attempt to send a batch.',
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
    )
    this.#sent = counter('sink_sent_total', 'Events in attempts, by result.', 'result')
    this.#retries = counter('sink_retries_total', 'Events that were to be sent again, by reason.', 'reason')
    this.#deadLetters = counter('dead_letters_total', 'Events that were given up, by reason.', 'reason')
    const plain = (name: string, help: string) =>
      new Counter({ name: `deltawire_${name}`, help, labelNames: ['sink'] as const, registers })
    this.#merged = plain('sink_merged_events_total', 'Events that newer ones of the same objects were sent for.')
    this.#overflows = plain(
      'sink_overflows_total',
      'Times that the queue was full and what a stream had waiting was dropped for a snapshot.',
    )
    this.#circuit = new Gauge({
      name: 'deltawire_sink_circuit_state',
      help: 'Whether the sink is in order: 0 yes, 1 being probed, 2 paused, 3 not reached yet.',
      labelNames: ['sink'],
      registers,
    })
    this.#sampled(registry, 'sink_queue_events', 'Events accepted and not settled.', ({ queueEvents }) => queueEvents)
    this.#sampled(registry, 'sink_queue_bytes', 'Bytes of those events.', ({ queueBytes }) => queueBytes)
    this.#sampled(
      registry,
      'sink_queue_oldest_age_seconds',
      'Time since the oldest of those events was accepted; 0 if there is none.',
      ({ oldestAgeMs }) => oldestAgeMs / 1000,
    )
    this.#sampled(
      registry,
      'sink_blocked_streams',
      'Streams that wait for room in the queue.',
      (stats) => stats.blockedOffers,
    )
    this.#sampled(registry, 'sink_spool_events', 'Events on disk that are not settled.', ({ spool }) => spool?.events)
    this.#sampled(registry, 'sink_spool_bytes', 'What the folder of the spool takes.', ({ spool }) => spool?.bytes)
    this.#sampled(
      registry,
      'sink_spool_limit_bytes',
      'What it may take: when it is reached, streams wait.',
      ({ spool }) => spool?.limitBytes,
    )
    this.#sampled(registry, 'sink_inflight', 'Batches that the sink has in hand.', ({ inFlight }) => inFlight)
    this.#sampled(
      registry,
      'sink_concurrency',
      'Batches that may be in flight: as configured, fewer after an outage or when throttled, 1 or 0 during one.',
      ({ permitted }) => permitted,
    )
  }

  /** A gauge that is read when somebody asks for it; without a value it does not exist. */
  #sampled(registry: Registry, name: string, help: string, value: (stats: SinkStats) => number | undefined): void {
    const stats = this.#stats
    new Gauge({
      name: `deltawire_${name}`,
      help,
      labelNames: ['sink'],
      registers: [registry],
      collect() {
        for (const [sink, read] of stats) {
          const now = value(read())
          if (now !== undefined) this.set({ sink }, now)
        }
      },
    })
  }

  of(sink: string, degraded: () => void): SinkMetrics {
    const existing = this.#sinks.get(sink)
    if (existing) return existing
    const metrics = this.#create(sink, degraded)
    this.#sinks.set(sink, metrics)
    return metrics
  }

  #create(sink: string, degraded: () => void): SinkMetrics {
    const latency = this.#latency.labels({ sink })
    const duration = this.#duration.labels({ sink })
    const delivered = this.#sent.labels({ sink, result: 'delivered' })
    // A series that exists from the start: an alert on a ratio sees it.
    delivered.inc(0)
    const merged = this.#merged.labels({ sink })
    const overflows = this.#overflows.labels({ sink })
    merged.inc(0)
    overflows.inc(0)
    this.#circuit.set({ sink }, circuit.connecting)
    return {
      delivered: (latencyMs) => latency.observe(latencyMs / 1000),
      attempt: ({ durationMs }) => duration.observe(durationMs / 1000),
      sent: (result) => (result === 'delivered' ? delivered.inc() : this.#sent.inc({ sink, result })),
      retry: (reason) => this.#retries.inc({ sink, reason }),
      deadLetter: (reason) => this.#deadLetters.inc({ sink, reason }),
      deadLetterReasons: (reasons) => {
        for (const reason of reasons) this.#deadLetters.inc({ sink, reason }, 0)
      },
      degraded,
      merged: (events) => merged.inc(events),
      overflowed: () => overflows.inc(),
      state: ({ type }) => this.#circuit.set({ sink }, circuit[type]),
      observe: (stats) => void this.#stats.set(sink, stats),
    }
  }
}
