/**
 * Throughput against the latency of a receiver. Updates of many objects come as fast as the bridge reads them, and again
 * at half of the rate that it made of them; in between a bare loop sends the same events one at a time.
 */
import type { Report } from './support/report.ts'
import { BareSide, BridgeSide, local } from './support/stand.ts'
import { percentile } from './support/statistics.ts'

export const description = 'A webhook whose receiver takes its time: events/s and latency, against one at a time.'

export interface Size {
  readonly objects: number
  readonly updates: number
  /** How long the receiver thinks. */
  readonly delaysMs: readonly number[]
  /** How long what is paced, or one at a time, may last. */
  readonly seconds: number
  readonly seed: number
}

const size: Size = { objects: 1_000, updates: 10_000, delaysMs: [0, 5, 20, 100], seconds: 5, seed: 1 }

export interface Row {
  readonly delayMs: number
  readonly eventsPerSecond: number
  /** From a frame being sent to its event being answered, at half of that rate. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** The same when all updates come at once: most of it is waiting in line. */
  readonly burstP50Ms: number
  readonly burstP99Ms: number
  /** Events/s, one at a time. */
  readonly oneAtATime: number
  readonly timesOneAtATime: number
}

/** Rejects if an event was lost, came twice, or overtook another one of its object. */
export async function measure(
  { objects, updates, delaysMs, seconds, seed }: Size,
  profile?: string,
): Promise<readonly Row[]> {
  const pods = { objects, seed }
  const target = (url: string) => ({ type: 'webhook', mode: 'structured', url, concurrency: 1 }) as const
  await using bridge = await BridgeSide.start({ pods, profile, sink: (url) => ({ ...local, url }) })
  await using bare = await BareSide.start(pods, target)
  let first = 0
  const next = (count: number, delayMs: number) => {
    const run = { first, updates: count, delayMs, await: 'events' } as const
    first += count
    return run
  }
  await bridge.run(next(updates, 0)) // warms up what is compiled while it runs

  const rows: Row[] = []
  for (const delayMs of delaysMs) {
    const run = next(updates, delayMs)
    const burst = await bridge.run(run)
    const eventsPerSecond = perSecond(updates, burst.durationMs)
    const few = Math.min(updates, Math.ceil((1000 * seconds) / Math.max(delayMs, 1)))
    const events = burst.events.slice().sort((a, b) => versionOf(a.id) - versionOf(b.id))
    const single = await bare.run(
      { ...run, updates: few },
      events.slice(0, few).map(({ body }) => body),
    )
    const half = eventsPerSecond / 2
    const paced = await bridge.run({ ...next(Math.min(updates, Math.ceil(half * seconds)), delayMs), perSecond: half })
    const oneAtATime = perSecond(few, single.bare.durationMs)
    rows.push({
      delayMs,
      eventsPerSecond,
      p50Ms: percentile(paced.latenciesMs, 50),
      p99Ms: percentile(paced.latenciesMs, 99),
      burstP50Ms: percentile(burst.latenciesMs, 50),
      burstP99Ms: percentile(burst.latenciesMs, 99),
      oneAtATime,
      timesOneAtATime: eventsPerSecond / oneAtATime,
    })
  }
  return rows
}

export async function run(profile?: string): Promise<Report> {
  const rows = await measure(size, profile)
  return {
    result: { size, rows },
    columns: ['receiver', 'events/s', 'p50', 'p99', 'burst p50', 'burst p99', 'one at a time', 'times that'],
    rows: rows.map((row) => [
      `${row.delayMs} ms`,
      row.eventsPerSecond.toFixed(0),
      ...[row.p50Ms, row.p99Ms, row.burstP50Ms, row.burstP99Ms].map((ms) => `${ms.toFixed(1)} ms`),
      `${row.oneAtATime.toFixed(0)}/s`,
      row.timesOneAtATime.toFixed(1),
    ]),
  }
}

function perSecond(events: number, durationMs: number): number {
  return (events * 1000) / durationMs
}

/** Of the id `<uid>:<resourceVersion>`: the order of the frames. */
function versionOf(id: string): number {
  return Number(id.split(':')[1])
}
