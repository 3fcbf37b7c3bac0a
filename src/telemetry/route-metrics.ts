import { Counter, Histogram, type Registry } from 'prom-client'

/** From where an expression costs nothing to where it costs a core. */
const SECONDS = [0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]

/** The metrics of the routes' expressions. */
export class RouteMetrics {
  readonly #seconds
  readonly #failures

  constructor(registry: Registry) {
    const registers = [registry]
    this.#seconds = new Histogram({
      name: 'deltawire_route_where_duration_seconds',
      help: "Time of the evaluations of a route's where: one for each version of an object that reaches the route.",
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    })
    this.#failures = new Counter({
      name: 'deltawire_route_where_failures_total',
      help: "Evaluations of a route's where that could not tell: the object is no member.",
      labelNames: ['route', 'reason'],
      registers,
    })
  }

  evaluated(route: string, durationMs: number, failure: string | undefined): void {
    this.#seconds.observe({ route }, durationMs / 1000)
    if (failure !== undefined) this.#failures.inc({ route, reason: failure })
  }
}
