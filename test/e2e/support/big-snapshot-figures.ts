/** What the receiver and the bridge were like while snapshots were sent, and while not. */
import { Copy, eventTypes } from '../../../src/events/index.ts'
import type { Write } from './big-snapshot-cluster.ts'
import type { Arrival } from './big-snapshot-receiver.ts'
import type { BridgeProcess } from './bridge-process.ts'
import { type Quantiles, quantilesOf } from './latencies.ts'

/** From its begin at the receiver to its end. */
export interface SnapshotFigures {
  readonly items: number
  readonly seconds: number
  readonly itemsPerSecond: number
  /** Events of updates in between. */
  readonly live: number
  /** Whether a copy was then what its end says. */
  readonly digests: string
}

/** Of the events of updates. */
export interface LiveFigures {
  readonly events: number
  readonly seconds: number
  /** From the beginning of the write at the API server to the receipt, in ms. */
  readonly age: Quantiles
  /** The same from the API server's answer to the write. */
  readonly ageSinceAnswer: Quantiles
  /** The write alone: what a slower API server adds to the age. */
  readonly write: Quantiles
  readonly bridge: BridgeFigures
}

export interface BridgeFigures {
  readonly cpuPercent: number
  readonly mostRssMiB: number
  readonly mostHeapMiB: number
  /** Longest time in which nothing else could run, in ms. */
  readonly longestBlockMs: number
}

/** Of the process at one moment. */
export interface Sample {
  /** In ms since 1970. */
  readonly at: number
  readonly rssMiB: number
  readonly heapMiB: number
  readonly cpuSeconds: number
  /** Since the sample before. */
  readonly longestBlockMs: number
}

/** In ms since 1970. */
interface Span {
  readonly from: number
  readonly to: number
}

interface SentSnapshot extends SnapshotFigures {
  readonly span: Span
}

interface LiveEvent {
  readonly at: number
  readonly write: Write
}

/** What the receiver got. */
export interface Log {
  readonly snapshots: readonly SentSnapshot[]
  readonly live: readonly LiveEvent[]
  /** As a consumer makes it of all events. */
  readonly copy: Copy
}

export async function sampleOf(bridge: BridgeProcess): Promise<Sample> {
  const { body } = await bridge.get('/metrics')
  const values = new Map(body.split('\n').map((line) => line.split(' ') as [string, string]))
  const value = (series: string) => Number(values.get(series))
  return {
    at: Date.now(),
    rssMiB: mib(value('process_resident_memory_bytes')),
    heapMiB: mib(value('nodejs_heap_size_used_bytes')),
    cpuSeconds: value('process_cpu_seconds_total'),
    longestBlockMs: Math.round(value('nodejs_eventloop_lag_max_seconds') * 1000),
  }
}

/** `writes`: by resourceVersion. */
export async function readLog(arrivals: AsyncIterable<Arrival>, writes: ReadonlyMap<string, Write>): Promise<Log> {
  const copy = new Copy()
  const live: LiveEvent[] = []
  const snapshots: SentSnapshot[] = []
  let running = { from: 0, items: 0, live: 0 }
  for await (const arrival of arrivals) {
    const { at, attributes } = arrival
    const { completed } = copy.apply(arrival)
    if (attributes.type === eventTypes.snapshotBegin) running = { from: at, items: 0, live: 0 }
    if (attributes.type === eventTypes.snapshotItem) running.items++
    else {
      const write = writes.get(String(attributes.resourceversion))
      if (write) live.push({ at, write })
      if (write) running.live++
    }
    if (completed) snapshots.push(snapshotOf({ ...running, to: at, digests: completed.digests }))
  }
  return { snapshots, live, copy }
}

/**
 * Of the updates that met a snapshot, and of the others, written from `from` on. Samples are the bridge's; one is of the
 * time since the one before.
 */
export function liveFigures({ snapshots, live }: Log, samples: readonly Sample[], from: number) {
  const spans = snapshots.map(({ span }) => span)
  const meets = (span: Span) => spans.some((one) => span.from <= one.to && span.to >= one.from)
  const counted = live.filter(({ write }) => write.begunAt >= from)
  const events = Object.groupBy(counted, ({ at, write }) =>
    meets({ from: write.begunAt, to: at }) ? 'during' : 'without',
  )
  const taken = samples.flatMap((sample, index) => {
    const before = samples[index - 1]
    return before && before.at >= from ? [{ sample, before }] : []
  })
  const slices = Object.groupBy(taken, ({ sample, before }) =>
    meets({ from: before.at, to: sample.at }) ? 'during' : 'without',
  )
  return {
    without: figuresOf(events.without ?? [], slices.without ?? []),
    during: figuresOf(events.during ?? [], slices.during ?? []),
  }
}

/** Where the copy is not what the server has, in words; the first ten. `versions`: uid -> resourceVersion. */
export function differencesOf(copy: Copy, versions: ReadonlyMap<string, string>): readonly string[] {
  const copied = new Map([...copy.objects()].map(({ uid, resourceVersion }) => [uid, resourceVersion]))
  const wrong = [...versions].filter(([uid, version]) => copied.get(uid) !== version)
  const tooMany = [...copied].filter(([uid]) => !versions.has(uid))
  return [
    ...wrong.map(([uid, version]) => `${uid}: ${copied.get(uid)} instead of ${version}`),
    ...tooMany.map(([uid]) => `${uid} is not there any more`),
  ].slice(0, 10)
}

interface Slice {
  readonly before: Sample
  readonly sample: Sample
}

function figuresOf(events: readonly LiveEvent[], slices: readonly Slice[]): LiveFigures {
  const sum = (of: (slice: Slice) => number) => slices.reduce((all, slice) => all + of(slice), 0)
  const most = (of: (sample: Sample) => number) => slices.reduce((all, { sample }) => Math.max(all, of(sample)), 0)
  const seconds = sum(({ before, sample }) => sample.at - before.at) / 1000
  const cpuSeconds = sum(({ before, sample }) => sample.cpuSeconds - before.cpuSeconds)
  return {
    events: events.length,
    seconds: rounded(seconds),
    age: quantilesOf(events.map(({ at, write }) => at - write.begunAt)),
    // the answer may be read later than the event is received
    ageSinceAnswer: quantilesOf(events.map(({ at, write }) => Math.max(0, at - write.answeredAt))),
    write: quantilesOf(events.map(({ write }) => write.answeredAt - write.begunAt)),
    bridge: {
      cpuPercent: Math.round((100 * cpuSeconds) / seconds),
      mostRssMiB: most(({ rssMiB }) => rssMiB),
      mostHeapMiB: most(({ heapMiB }) => heapMiB),
      longestBlockMs: most(({ longestBlockMs }) => longestBlockMs),
    },
  }
}

function snapshotOf({
  from,
  to,
  items,
  live,
  digests,
}: Span & Pick<SnapshotFigures, 'items' | 'live' | 'digests'>): SentSnapshot {
  const seconds = (to - from) / 1000
  const itemsPerSecond = Math.round(items / Math.max(seconds, 0.001))
  return { span: { from, to }, items, live, digests, seconds: rounded(seconds), itemsPerSecond }
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10
}

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
