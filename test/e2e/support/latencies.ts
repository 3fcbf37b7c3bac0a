/** Quantiles, of numbers and of the histograms of a bridge. */
import type { BridgeProcess } from './bridge-process.ts'

/** In ms; undefined: there was nothing to measure. */
export interface Quantiles {
  readonly p50: number | undefined
  readonly p99: number | undefined
}

export function quantilesOf(values: readonly number[]): Quantiles {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return { p50: at(0.5), p99: at(0.99) }
}

/** Upper bound in seconds -> deliveries up to it, ascending. */
export type Histogram = readonly (readonly [bound: number, count: number])[]

/** From a change being read to the sink's acknowledgement of its event, since the bridge began. */
export async function latencyOf(bridge: BridgeProcess, sink: string): Promise<Histogram> {
  const { body } = await bridge.get('/metrics')
  const buckets = body.matchAll(/^deltawire_delivery_latency_seconds_bucket\{le="([^"]+)",sink="([^"]+)"\} (\d+)$/gm)
  return [...buckets]
    .filter(([, , of]) => of === sink)
    .map(([, le, , count]) => [le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), Number(count)] as const)
}

/** Of what came in between, interpolated within a bucket as Prometheus' `histogram_quantile` does. */
export function between(from: Histogram, to: Histogram): Quantiles {
  const counts = to.map(([bound, count], index) => [bound, count - (from[index]?.[1] ?? 0)] as const)
  const all = counts.at(-1)?.[1] ?? 0
  const at = (share: number) => {
    const rank = all * share
    const index = counts.findIndex(([, count]) => count >= rank)
    const [lower, below] = counts[index - 1] ?? [0, 0]
    const [upper, upTo] = counts[index] ?? [Number.NaN, 0]
    if (all === 0) return undefined
    if (upper === Number.POSITIVE_INFINITY) return lower * 1000
    return Math.round((lower + ((upper - lower) * (rank - below)) / (upTo - below)) * 1000 * 10) / 10
  }
  return { p50: at(0.5), p99: at(0.99) }
}
