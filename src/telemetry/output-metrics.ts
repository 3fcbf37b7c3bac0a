import { Gauge, type Registry } from 'prom-client'

/** What one sink has of one stream, at one moment. */
export interface OutputStats {
  /** Changes behind the watermark: after a crash they would be read, and sent, again. */
  readonly lagEvents: number
  /** Since the frame of the oldest unsettled one was read; 0 if all are settled. */
  readonly oldestAgeMs: number
}

/** The metrics of each sink of each stream: how far it has it. */
export class OutputFamilies {
  readonly #outputs = new Map<string, { readonly stream: string; readonly sink: string; read(): OutputStats }>()

  constructor(registry: Registry) {
    const gauge = (name: string, help: string, value: (stats: OutputStats) => number) => {
      const outputs = this.#outputs
      new Gauge({
        name: `deltawire_${name}`,
        help,
        labelNames: ['stream', 'sink'],
        registers: [registry],
        collect() {
          for (const { stream, sink, read } of outputs.values()) this.set({ stream, sink }, value(read()))
        },
      })
    }
    gauge(
      'oldest_unacknowledged_seconds',
      'Time since the frame of the oldest change was read that the sink does not have yet; 0 if it has all.',
      ({ oldestAgeMs }) => oldestAgeMs / 1000,
    )
    gauge(
      'watermark_lag_events',
      'Changes behind the watermark: from the oldest that the sink does not have yet to the newest.',
      ({ lagEvents }) => lagEvents,
    )
  }

  /** From now on the gauges of this pair come from here. */
  observe(stream: string, sink: string, read: () => OutputStats): void {
    this.#outputs.set(JSON.stringify([stream, sink]), { stream, sink, read })
  }
}
