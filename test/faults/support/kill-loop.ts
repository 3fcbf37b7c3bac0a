/** kill -9 of the bridge again and again, under load: what the log of a consumer shows in the end. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { temporaryFolder } from '../../../src/journal/testing/kit.ts'
import { type BridgeProcess, type LogLine, startBridge } from '../../e2e/support/bridge-process.ts'
import { keep } from '../../e2e/support/oracle-evidence.ts'
import { Follower } from '../../e2e/support/oracle-follower.ts'
import { judge, type Verdict } from '../../e2e/support/oracle-judge.ts'
import { type Arrival, OracleReceiver } from '../../e2e/support/oracle-receiver.ts'
import { SOURCE, Truth } from '../../e2e/support/oracle-truth.ts'
import { operate, prefixes, resources, seeded } from '../../e2e/support/random-operations.ts'
import { assertCopied, sorted, stateOf } from '../../e2e/support/reference-copy.ts'
import { startCluster, webhook } from '../../e2e/support/stand.ts'
import { debtsPaidIn } from '../../e2e/support/state-folder.ts'
import { eventually } from '../../support/eventually.ts'
import { cacheFolder } from '../../testbed/component.ts'
import { Pace } from './pace.ts'

export interface KillLoopOptions {
  readonly seed: number
  /** Whether to kill once more, after so many. */
  readonly goOn: (kills: number) => boolean
}

export interface KillLoopResult extends Omit<Verdict, 'problems'> {
  readonly kills: number
  /** Of those, before the bridge had said that it has started, */
  readonly killsAtStart: number
  /** when it had sent something, but only what had arrived before, */
  readonly killsInRecovery: number
  /** and within a snapshot. */
  readonly killsInSnapshot: number
  /** Lives before all first snapshots were noted as ended. What was written then may be told by these alone. */
  readonly firstLives: number
  /** Of the writes, those that were deletions. */
  readonly deleted: number
  /** How streams started. */
  readonly rungs: Readonly<Record<string, number>>
  /** Starts that found half an entry at the end of their state, and cut it off. */
  readonly torn: number
  readonly seconds: number
}

const namespaces = ['shop', 'pay']
const WRITERS = 2
/** Slow answers, so that there is always something on its way, and snapshots last. */
const ANSWERS = { unavailable: 0, throttled: 0, reset: 0, ackLost: 0, slow: 0.4 }
const SHOWN_PROBLEMS = 20
/** Starting a process is most of what a life costs. */
const env = { NODE_COMPILE_CACHE: join(cacheFolder(), 'compile-cache') }

/**
 * Random operations all the time, and a bridge that remembers on a disk and sends a snapshot of each stream every second:
 * it is killed (SIGKILL) at random points from its first start on, and started again. Rejects if the log of its sink
 * breaks an invariant; if, once the first snapshots are noted as ended, anything but each version itself says what
 * happened; if there was a gap; if a start said anything bad about its state; or if the copy is not what etcd has.
 */
export async function surviveKillLoop({ seed, goOn }: KillLoopOptions): Promise<KillLoopResult> {
  const began = performance.now()
  const random = seeded(seed)
  await using server = await startCluster(namespaces)
  await using receiver = await OracleReceiver.start(seed, ANSWERS)
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const recorder = await server.record()
  const lives = new Lives((run) => {
    const config = {
      state: { type: 'file', path: folder.path },
      sources: [{ name: SOURCE, resources, namespaces, resync: { every: '1s', snapshot: 'full' } }],
      routes: [{ name: 'all', to: ['audit'], payload: { shape: 'metadata' } }],
      sinks: [webhook('audit', receiver.url(run), { queue: { whenFull: 'block' } })],
    }
    return startBridge({ kubeconfig, config, env })
  })
  await using _ = lives
  const streams = resources.length * namespaces.length

  const pace = new Pace(receiver.log)
  const stop = new AbortController()
  const operations = { count: Number.POSITIVE_INFINITY, seed, namespaces, writers: WRITERS }
  const load = operate(pace.writer(server.admin), operations, stop.signal)
  let kills = 0
  let firstLives = Number.POSITIVE_INFINITY
  for (; goOn(kills); kills++) {
    await lives.start()
    await killAtRandom(lives, receiver, random)
    if (pace.failure) throw pace.failure
    const isRemembered = firstLives <= lives.run || (await debtsPaidIn(folder.path)).size === streams
    if (isRemembered) firstLives = Math.min(firstLives, lives.run)
  }
  await lives.start()
  stop.abort()
  await load
  const keys = prefixes.flatMap((prefix) => namespaces.map((namespace) => `${prefix}${namespace}/`))
  const history = await recorder.until(await server.revision(), ...keys)
  const truth = new Truth(history)
  const follower = new Follower(receiver.log)
  await eventually(() => follower.hasAll(truth), { what: 'all has arrived', withinMs: 120_000 }).catch(
    () => undefined, // the judge says what is missing
  )
  assert.equal(await lives.end('SIGTERM'), 0)

  const { log } = receiver
  const verdict = judge(truth, log, 'block')
  const problems = [...lives.problems, ...verdict.problems, ...announcedAfter(log, firstLives)]
  if (problems.length > 0) {
    const { outputs } = lives
    const parts = { plan: { seed, firstLives }, history, logs: [log], outputs, folder: folder.path }
    const evidence = await keep(`kill-loop-${seed}`, parts)
    const shown = problems.slice(0, SHOWN_PROBLEMS).join('\n')
    assert.fail(`${problems.length} problems after ${kills} kills, all that was said is in ${evidence}:\n${shown}`)
  }
  await assertCopied(
    log.map(({ event }) => event),
    sorted(stateOf(history)),
  )
  const { problems: _none, ...counts } = verdict
  return {
    kills,
    ...lives.counts,
    ...cutOff(log, lives.run),
    firstLives: Math.min(firstLives, lives.run),
    ...counts,
    deleted: history.filter(({ type }) => type === 'deleted').length,
    rungs: lives.rungs,
    seconds: Math.round((performance.now() - began) / 100) / 10,
  }
}

/** One process at a time, and what each has said of itself. */
class Lives implements AsyncDisposable {
  readonly counts = { killsAtStart: 0, torn: 0 }
  readonly rungs: Record<string, number> = {}
  readonly outputs: string[] = []
  readonly problems: string[] = []
  run = 0
  readonly #begin: (run: number) => Promise<BridgeProcess>
  #bridge: BridgeProcess | undefined

  constructor(begin: (run: number) => Promise<BridgeProcess>) {
    this.#begin = begin
  }

  async start(): Promise<void> {
    this.#bridge = await this.#begin(++this.run)
  }

  /** At once, while something else waits for `end`. */
  strike(): void {
    if (this.#bridge) process.kill(this.#bridge.pid, 'SIGKILL')
  }

  /** Resolves with the exit code, null after SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const bridge = this.#bridge
    if (!bridge) throw new Error('no bridge runs')
    const code = await bridge.end(signal)
    this.#judge(await bridge.log())
    this.outputs.push(await bridge.output())
    await this[Symbol.asyncDispose]()
    return code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.[Symbol.asyncDispose]()
    this.#bridge = undefined
  }

  #judge(log: readonly LogLine[]): void {
    if (!log.some(({ message }) => message === 'started')) this.counts.killsAtStart++
    if (log.some(({ type }) => type === 'torn')) this.counts.torn++
    this.problems.push(...log.filter(isBadState).map((line) => `F32 ${JSON.stringify(line)}, in run ${this.run}`))
    for (const { rung } of log) if (typeof rung === 'string') this.rungs[rung] = (this.rungs[rung] ?? 0) + 1
  }
}

/** All that a kill may leave is half of an entry that nobody relied on. */
function isBadState({ level, message, type }: LogLine): boolean {
  return message.includes(' state ') && type !== 'torn' && level !== 'info'
}

/** Some time after its start, perhaps before it has done anything; else as a request of it arrives, before that is answered. */
async function killAtRandom(lives: Lives, receiver: OracleReceiver, random: () => number): Promise<void> {
  if (random() < 0.3) {
    let probes = Math.floor(random() * 100)
    await eventually(() => probes-- <= 0, { what: 'a moment has passed' })
  } else {
    const now = Promise.withResolvers<void>()
    const last = Math.floor(random() ** 2 * 400)
    let struck = false
    receiver.onRequest = (run, requests) => {
      if (run !== lives.run || requests <= last || struck) return
      struck = true
      lives.strike()
      now.resolve()
    }
    await now.promise
    receiver.onRequest = () => {}
  }
  await lives.end('SIGKILL')
}

/** P1: once what a sink has is remembered, a life goes on where the last one ended, as if it had never been away. */
function announcedAfter(log: readonly Arrival[], run: number): readonly string[] {
  return log.flatMap(({ event: { id, type, data }, ...arrival }) => {
    if (type.endsWith('stream.gap.v1')) return [`P1 ${id}: a gap, in run ${arrival.run}`]
    if (arrival.run <= run || !type.endsWith('snapshot.begin.v1')) return []
    const { reason } = (data as { readonly snapshot: { readonly reason: string } }).snapshot
    return reason === 'periodic' ? [] : [`P1 ${id}: reason ${reason}, in run ${arrival.run}`]
  })
}

/** What the lives before the last one were doing when they were killed. */
function cutOff(log: readonly Arrival[], last: number): Pick<KillLoopResult, 'killsInRecovery' | 'killsInSnapshot'> {
  const known = new Set<string>()
  /** run -> streams whose snapshot has not ended, and whether anything was new. */
  const runs = new Map<number, { readonly open: Set<unknown>; hasNew: boolean }>()
  for (const { event, run } of log) {
    const state = runs.get(run) ?? { open: new Set(), hasNew: false }
    runs.set(run, state)
    if (event.type.endsWith('snapshot.begin.v1')) state.open.add(event.stream)
    else if (event.type.includes('.snapshot.')) state.open.delete(event.stream)
    if (event.snapshotid !== undefined) continue
    state.hasNew ||= !known.has(event.id)
    known.add(event.id)
  }
  runs.delete(last)
  const cut = [...runs.values()]
  return {
    killsInRecovery: cut.filter(({ hasNew }) => !hasNew).length,
    killsInSnapshot: cut.filter(({ open }) => open.size > 0).length,
  }
}
