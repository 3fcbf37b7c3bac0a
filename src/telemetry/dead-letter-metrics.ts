import { Counter, Gauge, type Registry } from 'prom-client'

/** The store of dead letters at one moment. */
export interface DeadLetterStoreStats {
  readonly events: number
  readonly bytes: number
  readonly dropped: number
}

/** The metrics of the store of dead letters; how many come in is told by sink. */
export class DeadLetterMetrics {
  #stats: (() => DeadLetterStoreStats) | undefined

  constructor(registry: Registry) {
    const gauge = (name: string, help: string, value: keyof DeadLetterStoreStats) => {
      const read = () => this.#stats?.()[value] ?? 0
      new Gauge({
        name: `deltawire_${name}`,
        help,
        registers: [registry],
        collect() {
          this.set(read())
        },
      })
    }
    gauge('dead_letters_kept', 'Dead letters that can be looked at and replayed.', 'events')
    gauge('dead_letters_kept_bytes', 'What they take, roughly.', 'bytes')
    let told = 0
    const dropped = () => this.#stats?.().dropped ?? 0
    new Counter({
      name: 'deltawire_dead_letters_dropped_total',
      help: 'Dead letters that newer ones have pushed out: they are lost.',
      registers: [registry],
      collect() {
        this.inc(dropped() - told)
        told = dropped()
      },
    })
  }

  /** From now on the values come from here. */
  observe(stats: () => DeadLetterStoreStats): void {
    this.#stats = stats
  }
}
