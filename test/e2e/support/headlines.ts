/**
 * What other systems lose, each as a case on a real API server: changes and deletions while nobody watched. Judged from
 * etcd's history and what a consumer got, and by an independent program that keeps a copy.
 */
import assert from 'node:assert/strict'
import { eventually } from '../../support/eventually.ts'
import type { TestApiServer } from '../../testbed/api-server.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import {
  assertDifferences,
  assertPrevious,
  atConsumer,
  atServer,
  causeOf,
  countsOf,
  figuresOf,
  type HeadlineFigures,
  ofType,
  type Seconds,
  versionsBefore,
} from './headline-figures.ts'
import { arrived, type Backup, HeadlineScene, type Mark, STREAMS } from './headline-scene.ts'
import { lossesOf } from './losses.ts'
import { assertCopied, stateOf } from './reference-copy.ts'

export type { HeadlineFigures } from './headline-figures.ts'

export interface HeadlineOptions {
  readonly seed: number
  /** Creates, updates and deletes while nobody watches; or objects that are deleted then. */
  readonly operations: number
  /** How long the bridge is away where it is, in ms. */
  readonly awayMs: number
}

const GAP = 'io.deltawire.stream.gap.v1'

/** Rejects if a promise was broken. */
export type Headline = (options: HeadlineOptions) => Promise<HeadlineFigures>

export const headlines: Readonly<Record<string, Headline>> = {
  'bridge-away': bridgeAway,
  'server-restarted': serverRestarted,
  'compacted-away': compactedAway,
  'forced-relist': forcedRelist,
  'emptied-cluster': emptiedCluster,
  'restored-server': restoredServer,
  'restored-while-away': restoredWhileAway,
}

/** The server still knows what was when the bridge was killed: every version arrives, as if it had never been away. */
async function bridgeAway(options: HeadlineOptions): Promise<HeadlineFigures> {
  await using scene = await HeadlineScene.start(options.seed)
  const { mark, seconds } = await whileAway(scene, options, () => scene.write(options.operations))
  await scene.end()
  const result = await scene.arrived()
  assert.deepEqual([result.delivered, result.collapsed, result.gaps], [result.versions, 0, 0])
  assert.ok(result.duplicates <= STREAMS, 'of a quiet stream the last change alone')
  const news = scene.newsSince(mark)
  const history = await scene.history()
  assert.equal(news.length, history.length - mark.history, 'the missed versions, and nothing else')
  assertPrevious(news, versionsBefore(history))
  for (const { data } of ofType(news, 'object.deleted')) {
    assert.equal((data as { readonly finalStateKnown?: unknown }).finalStateKnown, true)
  }
  const figures = await figuresOf(scene, mark, seconds)
  assert.deepEqual(figures.rungs, { replay: STREAMS })
  return figures
}

/**
 * The API server was restarted, and etcd has the history: a watch cannot begin before the restart, but the state at the
 * kill can be listed, so each object's difference to that is told.
 */
async function serverRestarted(options: HeadlineOptions): Promise<HeadlineFigures> {
  await using scene = await HeadlineScene.start(options.seed)
  const { mark, seconds } = await whileAway(scene, options, async () => {
    await scene.write(options.operations)
    await restart(scene.server)
  })
  await scene.end()
  await assertDifferences(scene, mark)
  const before = stateOf((await scene.history()).slice(0, mark.history))
  assertPrevious(scene.newsSince(mark), ({ uid }) => before.get(String(uid)))
  const figures = await figuresOf(scene, mark, seconds)
  assert.deepEqual(figures.rungs, { replay: STREAMS })
  return figures
}

/** Nobody knows the history any more: a gap, and what the ledger says is compared with what is there. */
async function compactedAway(options: HeadlineOptions): Promise<HeadlineFigures> {
  await using scene = await HeadlineScene.start(options.seed)
  const { mark, seconds } = await whileAway(scene, options, async () => {
    await scene.write(options.operations)
    await scene.server.compact()
    await restart(scene.server)
  })
  await scene.end()
  await assertDifferences(scene, mark)
  const figures = await figuresOf(scene, mark, seconds)
  assert.deepEqual(figures.rungs, { compare: STREAMS })
  assert.deepEqual(figures.consumer.gaps, { restart: STREAMS })
  return figures
}

/** The watch is cut, objects are deleted, and their history is compacted away: 410. The bridge runs on. */
async function forcedRelist({ seed, operations }: HeadlineOptions): Promise<HeadlineFigures> {
  const deletes = Math.floor(operations / 2)
  await using scene = await HeadlineScene.start(seed)
  await scene.write(60, { namespace: 'still', what: 'creates' })
  await scene.write(deletes + 100, { what: 'creates' })
  await scene.arrived()
  const mark = await scene.mark()
  const cut = performance.now()
  await scene.server.kill()
  await scene.deleteBehind(deletes)
  await scene.server.compact()
  await scene.server.start()
  const back = performance.now()
  await scene.arrived()
  const seconds = { away: secondsOf(back - cut), caughtUp: secondsSince(back) }
  await scene.end()
  await assertDifferences(scene, mark)
  const figures = await figuresOf(scene, mark, seconds)
  assert.deepEqual([figures.consumer.deleted, figures.server.deleted], [deletes, deletes])
  return figures
}

/** Everything is deleted while the bridge is away, and the history compacted away: only the ledger knows what there was. */
async function emptiedCluster(options: HeadlineOptions): Promise<HeadlineFigures> {
  await using scene = await HeadlineScene.start(options.seed)
  await scene.write(options.operations, { what: 'creates' })
  const { mark, seconds } = await whileAway(scene, options, async () => {
    await scene.empty()
    await scene.server.compact()
    await restart(scene.server)
  })
  await scene.end()
  await assertDifferences(scene, mark)
  const figures = await figuresOf(scene, mark, seconds)
  assert.equal(figures.copy.objects, 0)
  assert.equal(figures.consumer.deleted, figures.server.deleted)
  return figures
}

async function restoredServer({ seed, operations }: HeadlineOptions): Promise<HeadlineFigures> {
  await using scene = await HeadlineScene.start(seed)
  const backup = await prepareRestore(scene, operations)
  const before = await scene.history()
  const mark = await scene.mark()
  const cut = performance.now()
  const kept = await scene.restore(backup)
  const away = secondsOf(performance.now() - cut)
  return await judgeRestored(scene, { before, kept, mark, away })
}

async function restoredWhileAway({ seed, operations, awayMs }: HeadlineOptions): Promise<HeadlineFigures> {
  await using scene = await HeadlineScene.start(seed)
  const backup = await prepareRestore(scene, operations)
  await scene.killBridge()
  const killed = performance.now()
  const before = await scene.history()
  const mark = await scene.mark()
  const kept = await scene.restore(backup)
  await until(killed + awayMs)
  const away = secondsOf(performance.now() - killed)
  await scene.startBridge()
  return await judgeRestored(scene, { before, kept, mark, away })
}

interface Away {
  /** Where both logs stood when the bridge was killed. */
  readonly mark: Mark
  readonly seconds: Seconds
}

/** The bridge has told everything, is killed, and starts again `awayMs` later, or when `meanwhile` is done. */
async function whileAway(
  scene: HeadlineScene,
  { awayMs }: HeadlineOptions,
  meanwhile: () => Promise<void>,
): Promise<Away> {
  await scene.write(60, { namespace: 'still', what: 'creates' })
  await scene.write(150)
  await scene.arrived()
  await scene.killBridge()
  const killed = performance.now()
  const mark = await scene.mark()
  await meanwhile()
  await until(killed + awayMs)
  const back = performance.now()
  await scene.startBridge()
  await scene.arrived()
  return { mark, seconds: { away: secondsOf(back - killed), caughtUp: secondsSince(back) } }
}

/** A backup, and then as many operations, all of them seen, that will never have been; some in every stream. */
async function prepareRestore(scene: HeadlineScene, operations: number): Promise<Backup> {
  await scene.write(60, { namespace: 'still', what: 'creates' })
  await scene.write(150)
  const backup = await scene.backUp()
  await scene.write(operations)
  await scene.createLast()
  await scene.arrived()
  return backup
}

interface Restored {
  /** What had been written before the restore, and what of it is still so. */
  readonly before: readonly RecordedChange[]
  readonly kept: readonly RecordedChange[]
  readonly mark: Mark
  readonly away: number
}

/** A gap before all else, the end of what is not there any more, a full snapshot; and all that is written from then on. */
async function judgeRestored(scene: HeadlineScene, { before, kept, mark, away }: Restored): Promise<HeadlineFigures> {
  const back = performance.now()
  const since = () => sinceRestored(scene.receiver.events.slice(mark.events))
  await eventually(() => ofType(since(), 'snapshot.end').length === STREAMS, {
    what: 'each stream has a gap and a full snapshot',
    withinMs: 120_000,
  })
  const seconds = { away, caughtUp: secondsSince(back) }
  await scene.write(100)
  const comparison = await arrived(await scene.history(), since)
  await scene.end()

  const first = new Map(
    since()
      .toReversed()
      .map((event) => [event.stream, event]),
  )
  assert.deepEqual(
    [...first.values()].map(({ type }) => type),
    Array.from({ length: STREAMS }, () => GAP),
  )
  assert.equal(since().length, scene.receiver.events.length - mark.events, 'nothing was told before the gap')
  const rest = stateOf(kept)
  const gone = [...stateOf(before).keys()].filter((uid) => !rest.has(uid))
  const ended = new Set(ofType(since(), 'object.deleted').map(({ uid }) => uid))
  assert.deepEqual(
    gone.filter((uid) => !ended.has(uid)),
    [],
    'every object that the restored server does not have was told to be gone',
  )
  const history = [...kept, ...(await scene.history())]
  return {
    server: atServer(await scene.history()),
    consumer: atConsumer(since()),
    ...lossesOf(comparison),
    rungs: countsOf(await scene.rungs()),
    copy: await assertCopied(scene.receiver.events, stateOf(history)),
    seconds,
  }
}

/** Of each stream, what has arrived from its gap `restored` on. */
function sinceRestored(events: readonly ReceivedEvent[]): readonly ReceivedEvent[] {
  const restored = new Set<unknown>()
  return events.filter((event) => {
    if (event.type === GAP && causeOf(event) === 'restored') restored.add(event.stream)
    return restored.has(event.stream)
  })
}

/** As a crash: its watch cache begins anew. */
async function restart(server: TestApiServer): Promise<void> {
  await server.kill()
  await server.start()
}

/** Real time passes: that is what is tried. */
async function until(at: number): Promise<void> {
  const withinMs = Math.max(0, at - performance.now()) + 10_000
  await eventually(() => performance.now() >= at, { what: 'the bridge was away for as long as wanted', withinMs })
}

function secondsSince(start: number): number {
  return secondsOf(performance.now() - start)
}

function secondsOf(ms: number): number {
  return Math.round(ms / 100) / 10
}
