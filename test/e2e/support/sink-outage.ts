import assert from 'node:assert/strict'
import { Copy, decodeStructured } from '../../../src/events/index.ts'
import { eventually } from '../../support/eventually.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import { type BridgeProcess, startBridge } from './bridge-process.ts'
import { FaultyReceiver } from './faulty-receiver.ts'
import { compare } from './oracle.ts'
import { operate, prefixes, resources } from './random-operations.ts'
import { assertCopied, sorted, stateOf } from './reference-copy.ts'
import { startCluster, webhook } from './stand.ts'

export interface SinkOutageOptions {
  readonly seed: number
  /** Operations before, during and after the outage. */
  readonly operations: { readonly before: number; readonly during: number; readonly after: number }
  /** Names per writer, resource and namespace. */
  readonly names: number
}

const namespaces = ['shop']
/** `merges` has room for every object, `overflows` has not. */
const LIMITS = { merges: 5_000, overflows: 100 } as const

/**
 * One stream per resource, three sinks. Two go away in the middle of random operations and come back. What is lost, what
 * is marked, and what the third sink notices.
 */
export async function surviveSinkOutage({ seed, operations, names }: SinkOutageOptions): Promise<object> {
  await using server = await startCluster(namespaces)
  await using well = await FaultyReceiver.start()
  await using merges = await FaultyReceiver.start()
  await using overflows = await FaultyReceiver.start()
  const retry = { initial: '50ms', max: '500ms' }
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: [
        webhook('well', well.url),
        webhook('merges', merges.url, { queue: { events: LIMITS.merges }, retry }),
        webhook('overflows', overflows.url, { queue: { events: LIMITS.overflows }, retry }),
      ],
    },
  })
  await bridge.ready()
  const recorder = await server.record()
  const most = { merges: 0, overflows: 0, rss: 0 }
  const measure = async () => {
    for (const sink of ['merges', 'overflows'] as const) {
      most[sink] = Math.max(most[sink], await bridge.metric(`deltawire_sink_queue_events{sink="${sink}"}`))
    }
    most.rss = Math.max(most.rss, await bridge.metric('process_resident_memory_bytes'))
  }
  const write = async (count: number, phase: number) => {
    const started = performance.now()
    const part = Math.ceil(count / 10)
    for (let n = 0; n < 10; n++) {
      await operate(server.admin, { count: part, seed: seed + phase * 10 + n, namespaces, names })
      await measure()
    }
    return Math.round((part * 10 * 1000) / (performance.now() - started))
  }

  const before = await latencies(bridge)
  await write(operations.before, 0)
  const start = await latencies(bridge)
  merges.answer = overflows.answer = () => ({ type: 'refuse', status: 503 })
  const perSecond = await write(operations.during, 1)
  const end = await latencies(bridge)
  const owed = (await bridge.get('/readyz')).body
  merges.answer = overflows.answer = () => ({ type: 'take' })
  const returned = performance.now()
  await write(operations.after, 2)

  const history = await recorder.until(await server.revision(), ...prefixes)
  const truth = stateOf(history)
  await eventually(
    () =>
      compare(history, well.events).problems.length === 0 &&
      compare(history, merges.events).problems.length === 0 &&
      isSame(truth, copyOf(overflows)),
    { what: 'all has arrived', withinMs: 90_000 },
  ).catch(() => undefined) // the comparisons below say what is missing
  const caughtUpMs = Math.round(performance.now() - returned)

  const ofWell = compare(history, well.events)
  assert.deepEqual(ofWell.problems, [])
  assert.equal(ofWell.delivered, ofWell.versions, 'the sink that was well has every version')
  const ofMerges = compare(history, merges.events)
  assert.deepEqual(ofMerges.problems, [])
  assert.ok(ofMerges.collapsed > 0, 'what was skipped is marked')
  assert.equal(ofMerges.delivered + ofMerges.collapsed, ofMerges.versions, 'nothing is missing')
  assert.equal(ofMerges.gaps, 0)
  assert.deepEqual(copyOf(overflows), truth)
  for (const receiver of [well, merges]) await assertCopied(receiver.events, truth)
  const reference = await assertCopied(overflows.events, truth)
  assert.ok(reference.matching > 0, 'the digest of a snapshot for what was dropped was compared')
  const missed = deletesMissed(history, overflows.events)
  assert.deepEqual(missed, [], 'every object that it was told of and that is gone was deleted')

  assert.match(owed, /sink overflows.*[123] streams owe it a snapshot of what it missed/)
  assert.ok(most.overflows <= LIMITS.overflows && most.merges <= LIMITS.merges, JSON.stringify(most))
  const count = async (name: string, sink: string) => await bridge.metric(`deltawire_${name}{sink="${sink}"}`)
  assert.equal(await count('sink_overflows_total', 'merges'), 0)
  const gaps = overflows.events.filter(({ type }) => type === 'io.deltawire.stream.gap.v1')
  const overflowed = await count('sink_overflows_total', 'overflows')
  assert.ok(gaps.length > 0 && gaps.length <= overflowed, `${gaps.length} gaps for ${overflowed} overflows`)
  await eventually(async () => !(await bridge.get('/readyz')).body.includes('owe'), { what: 'nothing is owed' })
  const merged = await count('sink_merged_events_total', 'merges')
  assert.equal(await bridge.end('SIGTERM'), 0)
  return {
    perSecond,
    merges: { ...ofMerges, merged, mostQueued: most.merges },
    overflows: { overflowed, gaps: gaps.length, events: overflows.events.length, mostQueued: most.overflows },
    well: { p99Before: p99(before, start), p99During: p99(start, end), versions: ofWell.versions },
    objects: truth.size,
    snapshots: reference.snapshots,
    matching: reference.matching,
    caughtUpMs,
    mostRssMiB: Math.round(most.rss / 2 ** 20),
  }
}

/** Upper bound of a bucket -> deliveries to the sink that is well, up to it. */
async function latencies(bridge: BridgeProcess): Promise<ReadonlyMap<number, number>> {
  const { body } = await bridge.get('/metrics')
  const buckets = body.matchAll(/^deltawire_delivery_latency_seconds_bucket\{le="([^"]+)",sink="well"\} (\d+)$/gm)
  return new Map([...buckets].map(([, le, count]) => [le === '+Inf' ? Infinity : Number(le), Number(count)]))
}

/** Of what came in between: the bound of the bucket that the slowest of a hundred is in, in seconds. */
function p99(from: ReadonlyMap<number, number>, to: ReadonlyMap<number, number>): number | undefined {
  const counts = [...to].map(([le, count]) => [le, count - (from.get(le) ?? 0)] as const)
  const all = counts.at(-1)?.[1] ?? 0
  return counts.find(([, count]) => count >= all * 0.99)?.[0]
}

function copyOf({ bodies }: FaultyReceiver): ReadonlyMap<string, string> {
  const copy = new Copy()
  for (const body of bodies) {
    const { completed } = copy.apply(decodeStructured(body))
    assert.notEqual(completed?.digests, 'differ')
  }
  return sorted([...copy.objects()].map(({ uid, resourceVersion }) => [uid, resourceVersion ?? '']))
}

/** P3: what a sink was told of has a deletion of its own, whatever a snapshot says. */
function deletesMissed(history: readonly RecordedChange[], events: readonly ReceivedEvent[]): readonly string[] {
  const told = new Set(events.filter(({ type }) => !type.includes('deleted')).map(({ uid }) => uid))
  const deleted = new Set(events.filter(({ type }) => type.includes('deleted')).map(({ uid }) => uid))
  const gone = history.filter(({ type }) => type === 'deleted').map(({ uid }) => uid)
  return gone.filter((uid) => told.has(uid) && !deleted.has(uid))
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([uid, version]) => b.get(uid) === version)
}
