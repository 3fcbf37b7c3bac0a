/** kill -9 of the bridge again and again, under load: what the log of a consumer shows in the end. */
import assert from 'node:assert/strict'
import { temporaryFolder } from '../../../src/journal/testing/kit.ts'
import { type BridgeProcess, type LogLine, startBridge } from '../../e2e/support/bridge-process.ts'
import { FaultyReceiver } from '../../e2e/support/faulty-receiver.ts'
import { type Losses, lossesOf } from '../../e2e/support/losses.ts'
import { compare } from '../../e2e/support/oracle.ts'
import { operate, prefixes, resources, seeded } from '../../e2e/support/random-operations.ts'
import { assertCopied, type CopyResult, stateOf } from '../../e2e/support/reference-copy.ts'
import { startCluster, webhook } from '../../e2e/support/stand.ts'
import { debtsPaidIn } from '../../e2e/support/state-folder.ts'
import { eventually } from '../../support/eventually.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'

export interface KillLoopOptions {
  readonly seed: number
  /** Whether to kill once more, after so many. */
  readonly goOn: (kills: number) => boolean
}

export interface KillLoopResult extends Losses {
  readonly kills: number
  /** Of those, before the bridge had said that it has started. */
  readonly killsAtStart: number
  /** Writes that etcd recorded, and those of them that were deletions. */
  readonly versions: number
  readonly deleted: number
  /** Of the versions, those that arrived as themselves. */
  readonly delivered: number
  /** Starts that found half an entry at the end of their state, and cut it off. */
  readonly torn: number
  readonly copy: CopyResult
  readonly seconds: number
}

const namespaces = ['shop', 'pay']
/** Some 150 writes a second. */
const WRITERS = 2

/**
 * Random operations all the time, and a bridge that remembers on a disk: it is killed (SIGKILL) at random points, while it
 * starts too, and started again. Rejects if a version or a deletion did not arrive, if one came out of order, if a start
 * said anything bad about its state, or if a copy is not what etcd has.
 */
export async function surviveKillLoop({ seed, goOn }: KillLoopOptions): Promise<KillLoopResult> {
  const began = performance.now()
  const random = seeded(seed)
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const config = {
    state: { type: 'file', path: folder.path },
    sources: [{ name: 'all', resources, namespaces }],
    routes: [{ name: 'all', to: ['audit'], payload: { shape: 'metadata' } }],
    sinks: [webhook('audit', receiver.url, { queue: { whenFull: 'block' } })],
  }
  const recorder = await server.record()
  const counts = { kills: 0, killsAtStart: 0, torn: 0 }
  const judgeStart = async (bridge: BridgeProcess) => {
    const log = await bridge.log()
    assert.deepEqual(log.filter(isBadState), [], `start ${counts.kills}`)
    if (log.some(({ type }) => type === 'torn')) counts.torn++
    return log
  }

  let bridge = await startBridge({ kubeconfig, config })
  await using _ = { [Symbol.asyncDispose]: () => bridge[Symbol.asyncDispose]() }
  await bridge.ready()
  const isRemembered = async () => (await debtsPaidIn(folder.path)).size === resources.length * namespaces.length
  await eventually(isRemembered, { what: 'that the first snapshot of each stream has ended is on disk' })
  const stop = new AbortController()
  const operations = { count: Number.POSITIVE_INFINITY, seed, namespaces, writers: WRITERS }
  const load = operate(server.admin, operations, stop.signal)
  while (goOn(counts.kills)) {
    await untilMoment(random, receiver)
    await bridge.end('SIGKILL')
    counts.kills++
    const log = await judgeStart(bridge)
    if (!log.some(({ message }) => message === 'started')) counts.killsAtStart++
    await bridge[Symbol.asyncDispose]()
    bridge = await startBridge({ kubeconfig, config })
  }
  stop.abort()
  await load
  await bridge.ready()

  const keys = prefixes.flatMap((prefix) => namespaces.map((namespace) => `${prefix}${namespace}/`))
  const history = await recorder.until(await server.revision(), ...keys)
  await eventually(haveArrived(history, receiver), { what: 'all has arrived', withinMs: 120_000 }).catch(
    () => undefined, // the comparison says what is missing
  )
  const result = compare(history, receiver.events)
  const { problems, versions, delivered, collapsed, gaps } = result
  assert.deepEqual(problems, [])
  assert.deepEqual([delivered, collapsed, gaps], [versions, 0, 0], 'as if it had never been away')
  const copy = await assertCopied(receiver.events, stateOf(history))
  await judgeStart(bridge)
  assert.equal(await bridge.end('SIGTERM'), 0)
  return {
    ...counts,
    versions,
    deleted: history.filter(({ type }) => type === 'deleted').length,
    delivered,
    ...lossesOf(result),
    copy,
    seconds: Math.round((performance.now() - began) / 100) / 10,
  }
}

/** Whether every version and every deletion is there. Each event is looked at once: there may be a million of them. */
function haveArrived(history: readonly RecordedChange[], { events }: FaultyReceiver): () => boolean {
  const missing = new Set(
    history.map(({ type, uid, resourceVersion }) => `${uid}:${type === 'deleted' ? 'deleted' : resourceVersion}`),
  )
  let seen = 0
  return () => {
    for (; seen < events.length; seen++) missing.delete(events[seen]?.id ?? '')
    return missing.size === 0
  }
}

/** Some time after a start, most often while events are on their way; else perhaps before it has done anything. */
async function untilMoment(random: () => number, receiver: FaultyReceiver): Promise<void> {
  if (random() < 0.3) {
    let probes = Math.floor(random() * 100)
    await eventually(() => probes-- <= 0, { what: 'a moment has passed' })
  } else {
    const end = receiver.events.length + Math.floor(random() ** 2 * 500)
    await eventually(() => receiver.events.length > end, { what: 'events arrive', withinMs: 120_000 })
  }
}

/** All that a kill may leave is half of an entry that nobody relied on. */
function isBadState({ level, message, type }: LogLine): boolean {
  return message.includes(' state ') && type !== 'torn' && level !== 'info'
}
