/**
 * A stream of very many objects, of which full snapshots are sent while it is written to: how long they take, what live
 * events notice of them, and what memory they need. Every snapshot, and in the end the copy made of all events, must be
 * right.
 */
import assert from 'node:assert/strict'
import { AdminClient } from '../../../src/admin/client.ts'
import { sourceSchema } from '../../../src/config/source.ts'
import { sleep } from '../../../src/lib/abort.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { BigCluster, type Write } from './big-snapshot-cluster.ts'
import {
  differencesOf,
  type LiveFigures,
  liveFigures,
  readLog,
  type Sample,
  type SnapshotFigures,
  sampleOf,
} from './big-snapshot-figures.ts'
import { BigReceiver } from './big-snapshot-receiver.ts'
import { type BridgeProcess, startBridge } from './bridge-process.ts'
import { NAMESPACE } from './drill-cluster.ts'
import { DrillLoad } from './drill-load.ts'
import { webhook } from './stand.ts'

export const origins = ['store', 'pages'] as const

export interface BigSnapshotOptions {
  readonly objects: number
  readonly updatesPerSecond: number
  /** Those that are measured. One more comes at the start, when nothing is written. */
  readonly snapshots: number
  /** How long updates go on alone before each of them. */
  readonly secondsAlone: number
  /** What they are read from. `pages`: the bridge verifies. */
  readonly from: (typeof origins)[number]
  readonly seed: number
  /** Folder for a CPU profile of the bridge. */
  readonly profile?: string | undefined
}

export interface BigSnapshotResult {
  readonly objects: number
  readonly from: BigSnapshotOptions['from']
  readonly startup: SnapshotFigures
  readonly snapshots: readonly SnapshotFigures[]
  readonly without: LiveFigures
  readonly during: LiveFigures
  /** Of the ages, `during` by `without`. */
  readonly p99Ratio: number
  /** Of the bridge after the first snapshot, before anything is written; and after everything. */
  readonly rssMiB: { readonly idle: number; readonly end: number }
  /** Versions, and how many of them came as events of their own: the others as part of a newer one. */
  readonly written: number
  readonly received: number
  /** Where the copy made of all events is not what the API server has. */
  readonly differences: readonly string[]
  readonly exitCode: number | null
}

const SINK = 'receiver'
const SOURCE = 'big'
const WITHIN_MS = 1_200_000
/** Until the memory of the first snapshot has settled. */
const SETTLE_MS = 2_000
const SAMPLE_EVERY_MS = 1_000

/** Returns what happened, whatever it was: `judge` says whether that is right. */
export async function measureBigSnapshot(options: BigSnapshotOptions): Promise<BigSnapshotResult> {
  const { objects, updatesPerSecond, seed, profile } = options
  const resync = resyncOf(options)
  await using cluster = await BigCluster.start(objects)
  await using receiver = await BigReceiver.start()
  await using bridge = await startBridge({
    kubeconfig: cluster.kubeconfig,
    config: {
      sources: [{ name: SOURCE, resources: ['configmaps'], namespaces: [NAMESPACE], resync }],
      sinks: [webhook(SINK, receiver.url)],
    },
    ...(profile !== undefined && { env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` } }),
  })
  await haveEnded(receiver, 1)
  const idle = await sampleOf(bridge)

  const load = new DrillLoad(cluster, { objects, seed, perSecond: updatesPerSecond })
  const samples: Sample[] = []
  const begun = Date.now()
  const over = new AbortController()
  const parts = [
    writeUntil(load, updatesPerSecond, over.signal),
    watchUntil(bridge, samples, over.signal),
    askForSnapshots(options, { bridge, receiver }, over.signal).finally(() => over.abort()),
  ]
  try {
    await Promise.all(parts)
  } finally {
    over.abort()
    await Promise.allSettled(parts)
  }

  await caughtUp(receiver, bridge, cluster.writes)
  const end = await sampleOf(bridge)
  const versions = await cluster.versions()
  const exitCode = await bridge.end('SIGTERM')
  const log = await readLog(receiver.arrivals(), cluster.writes)
  const [startup, ...snapshots] = log.snapshots.map(({ span: _, ...figures }) => figures)
  assert.ok(startup, 'a snapshot has come')
  const { without, during } = liveFigures(log, samples, begun + SETTLE_MS)
  return {
    objects,
    from: options.from,
    startup,
    snapshots,
    without,
    during,
    p99Ratio: Math.round((100 * (during.age.p99 ?? Number.NaN)) / (without.age.p99 ?? Number.NaN)) / 100,
    rssMiB: { idle: idle.rssMiB, end: end.rssMiB },
    written: cluster.writes.size,
    received: new Set(log.live.map(({ write }) => write)).size,
    differences: differencesOf(log.copy, versions),
    exitCode,
  }
}

/** Throws if anything is missing or wrong. */
export function judge(result: BigSnapshotResult): void {
  const { objects, startup, snapshots, written, received, differences, exitCode } = result
  assert.deepEqual({ differences, exitCode }, { differences: [], exitCode: 0 })
  assert.deepEqual([startup.items, startup.live], [objects, 0])
  // and whole: a copy knows of the end only when it has every item
  for (const { digests } of [startup, ...snapshots]) assert.equal(digests, 'match')
  assert.ok(snapshots.length > 0)
  for (const { live } of snapshots) assert.ok(live > 0, 'no live event came while a snapshot was sent')
  assert.ok(received > 0 && received <= written, `${received} of ${written} versions came`)
}

/** None is scheduled. Throws where the bridge cannot read them from there. */
function resyncOf({ from }: BigSnapshotOptions): object {
  if (from === 'store') return { every: '0s' }
  if (!('verify' in sourceSchema.properties.resync.properties)) throw new Error('resync has no key `verify`')
  return { every: '0s', verify: true }
}

/** One after the other. */
async function askForSnapshots(
  { snapshots, secondsAlone }: BigSnapshotOptions,
  { bridge, receiver }: { readonly bridge: BridgeProcess; readonly receiver: BigReceiver },
  signal: AbortSignal,
): Promise<void> {
  const client = new AdminClient(new URL(await bridge.adminUrl()), signal)
  await sleep(SETTLE_MS, systemClock, signal)
  for (let count = 1; count <= snapshots; count++) {
    await sleep(secondsAlone * 1000, systemClock, signal)
    for await (const { type } of client.snapshot({ of: SOURCE, until: 'began' })) assert.notEqual(type, 'aborted')
    await haveEnded(receiver, 1 + count, signal)
  }
}

async function haveEnded(receiver: BigReceiver, count: number, signal?: AbortSignal): Promise<void> {
  const isSo = async () => signal?.aborted || (await receiver.tally()).ends >= count
  await eventually(isSo, { what: `${count} snapshots have ended`, withinMs: WITHIN_MS })
}

/** A second's writes at a time. */
async function writeUntil(load: DrillLoad, perSecond: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await load.write(perSecond)
}

async function watchUntil(bridge: BridgeProcess, samples: Sample[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    samples.push(await sampleOf(bridge))
    await sleep(SAMPLE_EVERY_MS, systemClock, signal).catch(() => undefined) // over: the loop ends
  }
}

async function caughtUp(receiver: BigReceiver, bridge: BridgeProcess, writes: ReadonlyMap<string, Write>) {
  let newest = 0n
  for (const version of writes.keys()) if (BigInt(version) > newest) newest = BigInt(version)
  const isSo = async () => {
    const { newest: received, begins, ends } = await receiver.tally()
    const queued = await bridge.metric(`deltawire_sink_queue_events{sink="${SINK}"}`)
    return BigInt(received) >= newest && begins === ends && queued === 0
  }
  await eventually(isSo, { what: 'the receiver has all that was written', withinMs: WITHIN_MS })
}
