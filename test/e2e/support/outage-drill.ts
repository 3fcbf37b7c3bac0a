/**
 * Two sinks of one stream, and one of them goes away under load and comes back. Nothing may be lost; what it costs is
 * measured: memory, the time to catch up, and what the other sink notices.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { Workspace } from '../../testbed/workspace.ts'
import { type BridgeProcess, startBridge } from './bridge-process.ts'
import { type ClusterType, NAMESPACE, startDrillCluster } from './drill-cluster.ts'
import { DrillLoad } from './drill-load.ts'
import { type DrillEvent, DrillReceiver, type ReceiverMode } from './drill-receiver.ts'
import { between, type Histogram, latencyOf, type Quantiles, quantilesOf } from './latencies.ts'
import { type Comparison, compare } from './oracle.ts'
import { webhook } from './stand.ts'

export const policies = ['coalesce', 'block', 'spool'] as const
export type Policy = (typeof policies)[number]

export interface DrillOptions {
  /** Of both sinks. */
  readonly policy: Policy
  readonly cluster: ClusterType
  readonly outage: Exclude<ReceiverMode, 'take'>
  readonly seed: number
  readonly objects: number
  /**
   * Writes before and during the outage, at most until the sink is current again, and then. If it is not current by that
   * time, the load pauses until it is.
   */
  readonly writes: {
    readonly before: number
    readonly during: number
    readonly catchingUp: number
    readonly after: number
  }
  /** As many as go if absent. If fewer go, a phase still lasts no longer than it would. */
  readonly perSecond?: number
  /** Further options of both sinks. */
  readonly sink?: object
  readonly queue?: object
}

export interface PhaseFigures {
  readonly perSecond: number
  /** From the write to the receipt at the sink that is well, of what was written in this phase, in ms. */
  readonly writeToReceipt: Quantiles
  /** From the change being read to the acknowledgement of the same sink, by the bridge's histogram, in ms. */
  readonly watchToAck: Quantiles
  readonly mostRssMiB: number
  readonly mostHeapMiB: number
  /** After a collection, about. */
  readonly leastHeapMiB: number
  /** In the queue of the sink that is sick. */
  readonly mostQueued: number
}

export const phases = ['before', 'outage', 'catching up', 'after'] as const
export type PhaseName = (typeof phases)[number]

export interface DrillResult {
  readonly policy: Policy
  readonly cluster: ClusterType
  readonly outage: string
  readonly outageSeconds: number
  readonly well: Comparison
  readonly sick: Comparison
  /** Events that newer ones were sent for. */
  readonly merged: number
  readonly overflows: number
  readonly catchUp: CatchUp
  readonly phases: Readonly<Record<PhaseName, PhaseFigures>>
  readonly deadLetters: number
  readonly exitCode: number | null
}

export interface CatchUp {
  /** From the return of the sink to the first event that it took, and to the last that came more than 2 s late. */
  readonly firstAfterSeconds: number
  readonly currentAfterSeconds: number
  /** Taken by it in that time. */
  readonly events: number
  readonly eventsPerSecond: number
}

const CURRENT_MS = 2_000
const CATCH_UP_MS = 300_000
/** How often figures are taken while it writes: once in so many writes. */
const SLICE = 500

/** Returns what happened, whatever it was: `judge` says whether that is right. */
export async function drillOutage(options: DrillOptions): Promise<DrillResult> {
  const { policy, outage, seed, objects, perSecond, writes } = options
  await using cluster = await startDrillCluster(options.cluster)
  const load = new DrillLoad(cluster, { objects, seed, ...(perSecond && { perSecond }) })
  await load.create()
  await using well = await DrillReceiver.start()
  await using sick = await DrillReceiver.start()
  await using folder = await Workspace.create('drill-spool')
  await using bridge = await startBridge({
    kubeconfig: cluster.kubeconfig,
    config: {
      sources: [{ name: 'drill', resources: ['configmaps'], namespaces: [NAMESPACE] }],
      sinks: [
        webhook('well', well.url, sinkOptions('well', options, folder)),
        webhook('sick', sick.url, sinkOptions('sick', options, folder)),
      ],
    },
  })
  await bridge.ready()
  await eventually(async () => (await hasTaken(well, objects)) && (await hasTaken(sick, objects)), {
    what: 'the first snapshot is at both sinks',
    withinMs: CATCH_UP_MS,
  })
  await settled(bridge)
  await cluster.record()
  const drill = new Drill(bridge, load)

  await drill.run('before', async (slice) => await inSlices(writes.before, perSecond, slice))
  await sick.set(outage)
  const left = Date.now()
  await drill.run('outage', async (slice) => await inSlices(writes.during, perSecond, slice))
  const returned = Date.now()
  await sick.set('take')
  await drill.run('catching up', async (slice) => {
    for (let left = writes.catchingUp; left > 0; left -= SLICE) {
      await slice(Math.min(SLICE, left))
      if (await isCurrent(bridge, sick, load)) return
    }
    await settled(bridge)
  })
  await drill.run('after', async (slice) => await inSlices(writes.after, perSecond, slice))

  const last = await cluster.create('the-last-one', '')
  await eventually(async () => (await hasGot(well, last)) && (await hasGot(sick, last)), {
    what: 'both sinks have the last version',
    withinMs: CATCH_UP_MS,
  })
  await settled(bridge)
  const history = await cluster.history()
  const taken = { well: await well.events(), sick: await sick.events() }
  return {
    policy,
    cluster: options.cluster,
    outage,
    outageSeconds: Math.round((returned - left) / 1000),
    well: compare(history, eventsOf(taken.well)),
    sick: compare(history, eventsOf(taken.sick)),
    merged: await bridge.metric('deltawire_sink_merged_events_total{sink="sick"}'),
    overflows: await bridge.metric('deltawire_sink_overflows_total{sink="sick"}'),
    catchUp: catchUpOf(taken.sick, load, returned),
    phases: drill.figures(taken.well),
    deadLetters: await deadLettersOf(bridge),
    exitCode: await bridge.end('SIGTERM'),
  }
}

function sinkOptions(name: string, { policy, sink, queue }: DrillOptions, { folder }: Workspace): object {
  const spool = policy === 'spool' && { spool: { path: join(folder, name) } }
  return { ...sink, queue: { whenFull: policy, ...spool, ...queue } }
}

/** At most so many writes, and at most as long as they take at this rate. */
async function inSlices(
  writes: number,
  perSecond: number | undefined,
  slice: (count: number) => Promise<void>,
): Promise<void> {
  const end = performance.now() + (perSecond === undefined ? Number.POSITIVE_INFINITY : (writes * 1000) / perSecond)
  for (let left = writes; left > 0 && performance.now() < end; left -= SLICE) await slice(Math.min(SLICE, left))
}

/** What is in its queue is about what was just written, and it has just got something that was. */
async function isCurrent(bridge: BridgeProcess, sick: DrillReceiver, load: DrillLoad): Promise<boolean> {
  const { last } = await sick.state()
  const age = Date.now() - (load.writtenAt(last) ?? 0)
  return age < CURRENT_MS && (await waitingFor(bridge, 'sick')) < SLICE
}

async function hasGot(receiver: DrillReceiver, resourceVersion: string): Promise<boolean> {
  return BigInt((await receiver.state()).newest) >= BigInt(resourceVersion)
}

/** All that was offered to the sinks was acknowledged. */
async function settled(bridge: BridgeProcess): Promise<void> {
  const isEmpty = async (sink: string) => (await waitingFor(bridge, sink)) === 0
  await eventually(async () => (await isEmpty('well')) && (await isEmpty('sick')), {
    what: 'nothing waits for a sink',
    withinMs: CATCH_UP_MS,
  })
}

/** In the queue and on disk. */
async function waitingFor(bridge: BridgeProcess, sink: string): Promise<number> {
  const queued = await bridge.metric(`deltawire_sink_queue_events{sink="${sink}"}`)
  return Math.max(queued, await bridge.metric(`deltawire_sink_spool_events{sink="${sink}"}`))
}

async function hasTaken(receiver: DrillReceiver, count: number): Promise<boolean> {
  return (await receiver.state()).taken >= count
}

async function deadLettersOf(bridge: BridgeProcess): Promise<number> {
  const { body } = await bridge.get('/metrics')
  const counts = body.matchAll(/^deltawire_dead_letters_total\{.*\} (\d+)$/gm)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

/** Throws if anything is lost, out of order or not marked. */
export function judge({ policy, well, sick, deadLetters, exitCode }: DrillResult): void {
  assert.deepEqual({ well: well.problems.slice(0, 10), sick: sick.problems.slice(0, 10) }, { well: [], sick: [] })
  assert.deepEqual({ deadLetters, exitCode }, { deadLetters: 0, exitCode: 0 })
  if (policy === 'block') {
    const gaps = `${well.gaps} gaps at the one, ${sick.gaps} at the other`
    if (sick.gaps === 0) assert.equal(sick.delivered, sick.versions, 'without a gap it has every version')
    assert.equal(well.gaps, sick.gaps, gaps)
    return
  }
  assert.equal(well.delivered, well.versions, 'the sink that was well has every version')
  assert.deepEqual([well.gaps, sick.gaps], [0, 0])
  assert.equal(sick.delivered + sick.collapsed, sick.versions, 'nothing is missing')
  if (policy === 'coalesce') assert.ok(sick.collapsed > 0, 'what was skipped is marked')
  else assert.equal(sick.collapsed, 0, 'a spool keeps every version')
}

interface Sample {
  readonly rss: number
  readonly heap: number
  readonly queued: number
}

interface Phase {
  readonly name: PhaseName
  readonly from: number
  readonly to: number
  readonly writes: number
  readonly samples: readonly Sample[]
  readonly watchToAck: Quantiles
}

/** Runs the phases and takes the figures of the bridge meanwhile. */
class Drill {
  readonly #bridge: BridgeProcess
  readonly #load: DrillLoad
  readonly #phases: Phase[] = []

  constructor(bridge: BridgeProcess, load: DrillLoad) {
    this.#bridge = bridge
    this.#load = load
  }

  async run(name: PhaseName, work: (slice: (count: number) => Promise<void>) => Promise<void>): Promise<void> {
    const samples: Sample[] = []
    let writes = 0
    const from = Date.now()
    const histogram: Histogram = await latencyOf(this.#bridge, 'well')
    await work(async (count) => {
      await this.#load.write(count)
      samples.push(await this.#sample())
      writes += count
    })
    const watchToAck = between(histogram, await latencyOf(this.#bridge, 'well'))
    this.#phases.push({ name, from, to: Date.now(), writes, samples, watchToAck })
  }

  figures(taken: readonly DrillEvent[]): Readonly<Record<PhaseName, PhaseFigures>> {
    const all = taken.flatMap(({ at, event }) => {
      const writtenAt = this.#load.writtenAt(String(event.resourceversion))
      return writtenAt === undefined ? [] : [{ writtenAt, tookMs: at - writtenAt }]
    })
    const of = (phase: Phase): PhaseFigures => {
      const { from, to, writes, samples, watchToAck } = phase
      const mib = (bytes: number) => Math.round(bytes / 2 ** 20)
      const own = all.filter(({ writtenAt }) => writtenAt >= from && writtenAt < to)
      return {
        perSecond: Math.round((writes * 1000) / (to - from)),
        writeToReceipt: quantilesOf(own.map(({ tookMs }) => tookMs)),
        watchToAck,
        mostRssMiB: mib(Math.max(...samples.map(({ rss }) => rss))),
        mostHeapMiB: mib(Math.max(...samples.map(({ heap }) => heap))),
        leastHeapMiB: mib(Math.min(...samples.map(({ heap }) => heap))),
        mostQueued: Math.max(...samples.map(({ queued }) => queued)),
      }
    }
    return Object.fromEntries(this.#phases.map((phase) => [phase.name, of(phase)])) as Record<PhaseName, PhaseFigures>
  }

  async #sample(): Promise<Sample> {
    const { body } = await this.#bridge.get('/metrics')
    const value = (series: string) =>
      Number(
        body
          .split('\n')
          .find((line) => line.startsWith(series))
          ?.split(' ')[1],
      )
    return {
      rss: value('process_resident_memory_bytes '),
      heap: value('nodejs_heap_size_used_bytes '),
      queued: value('deltawire_sink_queue_events{sink="sick"} '),
    }
  }
}

function catchUpOf(taken: readonly DrillEvent[], load: DrillLoad, returned: number): CatchUp {
  const since = taken.filter(({ at }) => at >= returned)
  const late = since.findLastIndex(({ at, event }) => {
    const writtenAt = load.writtenAt(String(event.resourceversion))
    return writtenAt !== undefined && at - writtenAt > CURRENT_MS
  })
  const seconds = (at: number | undefined) => Math.round(((at ?? returned) - returned) / 100) / 10
  const events = late + 1
  const first = seconds(since[0]?.at)
  const current = seconds(since[late]?.at)
  const eventsPerSecond = current > first ? Math.round(events / (current - first)) : events
  return { firstAfterSeconds: first, currentAfterSeconds: current, events, eventsPerSecond }
}

function eventsOf(taken: readonly DrillEvent[]) {
  return taken.map(({ event }) => event)
}
