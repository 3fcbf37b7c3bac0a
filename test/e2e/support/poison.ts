/**
 * Events that a sink can never take, among many that it takes. Two sinks get the same changes, and only one minds: what
 * the others of its events notice is the difference between the two.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import { Workspace } from '../../testbed/workspace.ts'
import { type BridgeProcess, startBridge } from './bridge-process.ts'
import { dlq, type ListedLetter, listed } from './dlq.ts'
import { type DrillCluster, NAMESPACE, startDrillCluster } from './drill-cluster.ts'
import { DrillLoad } from './drill-load.ts'
import { type DrillEvent, DrillReceiver } from './drill-receiver.ts'
import { type Quantiles, quantilesOf } from './latencies.ts'
import { type Comparison, compare } from './oracle.ts'
import { webhook } from './stand.ts'

export interface PoisonOptions {
  readonly seed: number
  /** That carry writes that the sink takes. */
  readonly objects: number
  readonly writes: number
  /** As many as go if absent. */
  readonly perSecond?: number
  readonly retry: object
}

export interface PoisonResult {
  readonly clean: Comparison
  readonly minds: Comparison
  /** Dead letters by code. */
  readonly deadLetters: Readonly<Record<string, number>>
  /** From the write to the receipt, of what both sinks take, in ms. */
  readonly latency: { readonly clean: Quantiles; readonly minds: Quantiles }
  /** Times that the sink was told to be unavailable. */
  readonly outagesTold: number
}

/** Of an event: less than the smallest form of an object with a long name, more than any form of the others needs. */
const MAX_EVENT_BYTES = '1800B'
const LONG_NAME = `large-${'x'.repeat(247)}`
/** What a ConfigMap may hold, less the rest of the object. */
const LARGE_VALUE = 'x'.repeat(1_040_000)

/** Name of an object -> how its events are given up. */
const poison: Readonly<Record<string, { readonly code: string; readonly reason: RegExp }>> = {
  'reject-1': { code: 'rejected', reason: /answered 400$/ },
  'reject-2': { code: 'rejected', reason: /answered 400$/ },
  'reset-1': { code: 'unavailable', reason: /ECONNRESET$/ },
  [LONG_NAME]: { code: 'too-large', reason: /bytes in its smallest form, the limit is 1800$/ },
}
const PARTS = 10

export async function survivePoison({ seed, objects, writes, perSecond, retry }: PoisonOptions): Promise<PoisonResult> {
  await using cluster = await startDrillCluster('real')
  const load = new DrillLoad(cluster, { objects, seed, ...(perSecond && { perSecond }) })
  await load.create()
  await using clean = await DrillReceiver.start()
  await using minds = await DrillReceiver.start()
  await using workspace = await Workspace.create('poison')
  const start = async (maxEventBytes: string) => {
    const queue = { whenFull: 'block' } // every version is to arrive, and none to wait less because another one is merged
    const bridge = await startBridge({
      kubeconfig: cluster.kubeconfig,
      config: {
        sources: [{ name: 'poison', resources: ['configmaps'], namespaces: [NAMESPACE] }],
        routes: [{ name: 'changes', on: ['added', 'updated', 'deleted'], to: ['clean', 'minds'] }],
        sinks: [
          webhook('clean', clean.url, { queue, maxEventBytes: '4MiB' }),
          webhook('minds', minds.url, { queue, retry, maxEventBytes }),
        ],
        deadLetters: { path: join(workspace.folder, 'letters') },
      },
    })
    await bridge.ready()
    return bridge
  }

  let figures: Pick<PoisonResult, 'deadLetters' | 'latency' | 'outagesTold'>
  let expected: readonly RecordedChange[]
  {
    await using bridge = await start(MAX_EVENT_BYTES)
    await cluster.record()
    await minds.set('choosy')
    await write(cluster, load, writes)
    const history = await cluster.history()
    expected = history.filter(isPoison)
    await eventually(async () => (await bridge.metric('deltawire_dead_letters_kept')) >= expected.length, {
      what: `${expected.length} events are given up`,
      withinMs: 120_000,
    })
    await eventually(async () => (await arrived(history, minds)).problems.length === 0, {
      what: 'the others are there',
    })
    const letters = await listed(bridge)
    checkLetters(letters, expected)
    const codes = Object.entries(Object.groupBy(letters, ({ code }) => code))
    const told = (await bridge.log()).filter(({ key, state }) => key === 'sink minds' && state !== 'healthy')
    figures = {
      deadLetters: Object.fromEntries(codes.map(([code, of = []]) => [code, of.length])),
      latency: { clean: latency(await clean.events(), load), minds: latency(await minds.events(), load) },
      outagesTold: told.length,
    }
    assert.equal(await bridge.end('SIGTERM'), 0)
  }
  for (const { event } of await minds.events()) {
    assert.ok(!Object.hasOwn(poison, String(event.name)), `${event.id} is a dead letter, and was taken`)
    assert.equal(event.degraded, undefined, `${event.id} fits as it is`)
  }

  await minds.set('take')
  await using bridge = await start('4MiB')
  await replayed(bridge, expected.length)
  const history = await cluster.history()
  const result = {
    clean: compare(history, eventsOf(await clean.events())),
    minds: await arrived(history, minds, 'all'),
  }
  for (const { problems, versions, delivered, duplicates } of Object.values(result)) {
    assert.deepEqual(problems, [])
    assert.deepEqual([delivered, duplicates], [versions, 0], 'each exactly once, what was given up too')
  }
  assert.equal(await bridge.end('SIGTERM'), 0)
  return { ...result, ...figures }
}

/** Writes that are taken, and between them to the objects that are not. */
async function write(cluster: DrillCluster, load: DrillLoad, writes: number): Promise<void> {
  const names = Object.keys(poison)
  const value = (name: string, n: number) => (name === LONG_NAME ? `${n}${LARGE_VALUE}` : `${n}`)
  for (let part = 0; part < PARTS; part++) {
    const writing = load.write(Math.ceil(writes / PARTS))
    if (part === 1) for (const name of names) await cluster.create(name, value(name, part))
    if (part === 2) for (const name of names) await cluster.update(name, value(name, part))
    if (part > 2) await cluster.update('reject-1', value('reject-1', part))
    await writing
  }
}

function isPoison({ object }: RecordedChange): boolean {
  return Object.hasOwn(poison, object.metadata.name)
}

/** What the sink has of these changes; without `all`, of those that it takes at all. */
async function arrived(history: readonly RecordedChange[], receiver: DrillReceiver, of?: 'all'): Promise<Comparison> {
  const changes = of === 'all' ? history : history.filter((change) => !isPoison(change))
  return compare(changes, eventsOf(await receiver.events()))
}

function eventsOf(taken: readonly DrillEvent[]): readonly ReceivedEvent[] {
  return taken.map(({ event }) => event)
}

/** Each version of the objects that are not taken is there, with the reason, and nothing else is. */
function checkLetters(letters: readonly ListedLetter[], expected: readonly RecordedChange[]): void {
  const ids = letters.map(({ attributes }) => attributes.id).sort()
  assert.deepEqual(ids, expected.map(({ uid, resourceVersion }) => `${uid}:${resourceVersion}`).sort())
  for (const { sink, code, reason, attributes } of letters) {
    const known = poison[attributes.subject.slice(NAMESPACE.length + 1)]
    assert.deepEqual([sink, code], ['minds', known?.code], attributes.subject)
    assert.match(reason, known?.reason ?? /^$/, attributes.subject)
  }
}

async function replayed(bridge: BridgeProcess, count: number): Promise<void> {
  assert.equal((await listed(bridge)).length, count, 'they outlive the restart')
  const { code, out, err } = await dlq(bridge, 'replay', '--all')
  assert.deepEqual([code, err], [0, `${count} delivered\n`], out)
  assert.deepEqual(await listed(bridge), [])
}

function latency(events: readonly DrillEvent[], load: DrillLoad): Quantiles {
  const times = events.flatMap(({ at, event }) => {
    const written = load.writtenAt(String(event.resourceversion))
    return written === undefined ? [] : [at - written]
  })
  return quantilesOf(times)
}
