/** One seed of the oracle suite: a bridge of many lives, a server that forgets, two sinks that fail, and what was said. */
import { join } from 'node:path'
import { temporaryFolder } from '../../../src/journal/testing/kit.ts'
import { eventually } from '../../support/eventually.ts'
import { type OracleCluster, realCluster, simulatedCluster } from './oracle-cluster.ts'
import { keep } from './oracle-evidence.ts'
import { Follower } from './oracle-follower.ts'
import { itemsOfDeltas, judge, sentAgain, type Verdict } from './oracle-judge.ts'
import { OracleLives } from './oracle-lives.ts'
import { drawPlan, type Happening, type Length, type Plan, type Round } from './oracle-plan.ts'
import { OracleReceiver } from './oracle-receiver.ts'
import { END, SOURCE, Truth, type View, whole } from './oracle-truth.ts'
import { resources } from './random-operations.ts'
import { assertCopied, sorted } from './reference-copy.ts'
import { webhook } from './stand.ts'
import { logIn } from './state-folder.ts'

export type OracleServer = 'real' | 'simulator'

/** What happened, of both sinks together. */
export interface OracleResult extends Verdict {
  readonly seed: number
  readonly server: OracleServer
  readonly sinks: string
  readonly kills: number
  readonly stops: number
  readonly restarts: number
  /** How often the server forgot its history. */
  readonly compactions: number
  readonly outages: number
  /** How streams started. */
  readonly rungs: Readonly<Record<string, number>>
  readonly seconds: number
  /** Where everything that was said is, if there are problems. */
  readonly evidence?: string
}

/** The command that does exactly this again. */
export function commandOf(server: OracleServer, seed: number): string {
  return `npm run prove -- oracle ${server} ${seed} 1`
}

/** Plays the seed and judges it. Rejects only if it could not be played. */
export async function playSeed(server: OracleServer, seed: number, length: Length): Promise<OracleResult> {
  const plan = drawPlan(seed, length)
  const started = performance.now()
  await using folder = await temporaryFolder()
  await using cluster = await (server === 'real'
    ? realCluster(plan.namespaces)
    : simulatedCluster(plan.namespaces, seed))
  await using required = await OracleReceiver.start(seed * 2, plan.sinks[0].faults)
  await using optional = await OracleReceiver.start(seed * 2 + 1, plan.sinks[1].faults)
  await using play = new Play(plan, cluster, [required, optional], folder.path)
  await play.whole()
  const { history, verdicts, problems } = await play.judged()
  const total = (count: (verdict: Verdict) => number) => verdicts.reduce((sum, verdict) => sum + count(verdict), 0)
  const logs = play.receivers.map(({ log }) => log)
  const { outputs, rungs } = play.lives
  const evidence =
    problems.length > 0
      ? await keep(`${server}-${seed}`, { plan, history, logs, outputs, folder: folder.path })
      : undefined
  return {
    seed,
    server,
    sinks: plan.sinks.map(({ whenFull }) => whenFull).join(),
    ...play.counts,
    rungs,
    versions: total(({ versions }) => versions),
    delivered: total(({ delivered }) => delivered),
    collapsed: total(({ collapsed }) => collapsed),
    duplicates: total(({ duplicates }) => duplicates),
    gaps: total(({ gaps }) => gaps),
    snapshots: total(({ snapshots }) => snapshots),
    matching: total(({ matching }) => matching),
    lost: total(({ lost }) => lost),
    outOfOrder: total(({ outOfOrder }) => outOfOrder),
    seconds: Math.round((performance.now() - started) / 100) / 10,
    problems,
    ...(evidence && { evidence }),
  }
}

const names = ['required', 'optional'] as const
/** The same twice: for the bridge, and for the truth. */
const WHERE = "object.metadata.labels.value < '5'"
const fits: View = ({ metadata }) =>
  ((metadata as { readonly labels?: { readonly value?: string } }).labels?.value ?? '9') < '5'
/** A snapshot that was aborted is sent again after one or two minutes. */
const SETTLES_WITHIN_MS = 180_000
/** Twice as long as it takes. */
const NOTED_WITHIN_MS = 2_000
/** A server tells of progress once a minute where nothing is written. */
const GOES_ON_WITHIN_MS = 90_000
/** So many that hardly a stream gets none. */
const WRITES_PER_STREAM = 6
/** Writes after all has settled and the bridge was started anew. */
const AFTER_REST = 6

class Play implements AsyncDisposable {
  readonly receivers: readonly [OracleReceiver, OracleReceiver]
  readonly lives: OracleLives
  readonly counts = { kills: 0, stops: 0, restarts: 0, compactions: 0, outages: 0 }
  readonly #plan: Plan
  readonly #cluster: OracleCluster
  readonly #folder: string
  readonly #problems: string[] = []
  readonly #followers: readonly [Follower, Follower]
  #part = 0

  constructor(
    plan: Plan,
    cluster: OracleCluster,
    receivers: readonly [OracleReceiver, OracleReceiver],
    folder: string,
  ) {
    this.#plan = plan
    this.#cluster = cluster
    this.#folder = folder
    this.receivers = receivers
    this.#followers = [new Follower(receivers[0].log), new Follower(receivers[1].log)]
    this.lives = new OracleLives({ access: cluster.access, folder, config: (run) => this.#config(run) })
    for (const receiver of receivers) receiver.onRequest = (run) => this.lives.requested(run)
  }

  async whole(): Promise<void> {
    await this.#write(this.#plan.before)
    await this.#start()
    if (this.#plan.settlesFirst) await this.#settleFirst()
    for (const round of this.#plan.rounds) await this.#round(round)
    for (const receiver of this.receivers) receiver.heal()
    await this.#settle()
    await this.#ask('ended')
    await this.#settle()
    await this.#stopAtRest()
    if (this.#plan.rests) await this.#rest()
  }

  /** After `whole`. */
  async judged() {
    const history = await this.#cluster.history()
    const truths = names.map((_, index) => new Truth(history, this.#viewOf(index)))
    const verdicts = this.receivers.map(({ log }, index) =>
      judge(truths[index] as Truth, log, this.#plan.sinks[index === 0 ? 0 : 1].whenFull),
    )
    const problems = verdicts.flatMap((verdict, index) => verdict.problems.map((one) => `${names[index]}: ${one}`))
    for (const [index, { log }] of this.receivers.entries()) {
      await assertCopied(
        log.map(({ event }) => event),
        sorted((truths[index] as Truth).stateAt(END)),
      ).catch((error: unknown) => problems.push(`${names[index]}: I1 reference copy: ${String(error)}`))
    }
    return { history, verdicts, problems: [...this.#problems, ...problems] }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lives[Symbol.asyncDispose]()
  }

  async #round({ writes, down, happening, asks }: Round): Promise<void> {
    // nobody waits for it: the bridge may end before it does
    if (asks) void this.#ask('began', asks === 'part' ? ['shop'] : undefined).catch(() => undefined)
    if (down) {
      this.counts.outages++
      this.receivers[down.sink].down = down.how
    }
    const waitsFor = down && this.#plan.sinks[down.sink].required ? 'started' : 'ready'
    await this.#happens(happening, writes, waitsFor)
    if (!down) return
    if (this.#plan.sinks[down.sink].whenFull !== 'block') {
      // a stream that was started anew makes up for nothing until it has passed what was newest then
      if (happening.type === 'bridge ends') await this.#write(WRITES_PER_STREAM * this.#streams)
      await this.#goesOn(down.sink === 0 ? 1 : 0)
    }
    this.receivers[down.sink].down = undefined
  }

  async #happens(happening: Happening, writes: number, waitsFor: 'ready' | 'started'): Promise<void> {
    switch (happening.type) {
      case 'nothing':
        await this.#write(writes)
        return
      case 'server restart': {
        const half = Promise.withResolvers<void>()
        const writing = this.#write(writes, (number) => number >= writes / 2 && half.resolve())
        await half.promise
        this.counts.restarts++
        await this.#cluster.restart()
        await writing
        return
      }
      case 'held':
        process.kill(this.lives.pid, 'SIGSTOP')
        await this.#write(writes)
        this.counts.compactions++
        await this.#cluster.forget()
        process.kill(this.lives.pid, 'SIGCONT')
        return
      case 'bridge ends':
        await this.#ends(happening, writes)
        await this.#write(happening.away)
        if (happening.forgets) {
          this.counts.compactions++
          await this.#cluster.forget()
        }
        await this.#start(waitsFor, happening.again)
    }
  }

  async #ends({ signal, at }: Happening & { readonly type: 'bridge ends' }, writes: number): Promise<void> {
    const now = Promise.withResolvers<void>()
    const { lives } = this
    const { pid } = lives
    const strike = () => {
      process.kill(pid, signal)
      now.resolve()
      lives.onRequest = () => {}
    }
    if (at.type === 'request') lives.onRequest = (requests) => requests >= at.number && strike()
    const writing = this.#write(writes, (number) => at.type === 'write' && number >= at.number && now.resolve())
    await Promise.race([now.promise, writing])
    if (at.type === 'noted') await this.#noted()
    lives.onRequest = () => {}
    if (signal === 'SIGKILL') this.counts.kills++
    else this.counts.stops++
    await lives.end(signal)
    await writing
  }

  /** With `killedAt` it is killed as that request of it arrives, or when it is ready, and started again. */
  async #start(waitsFor: 'ready' | 'started' = 'ready', killedAt?: number): Promise<void> {
    await this.lives.start(waitsFor, killedAt)
    if (killedAt === undefined) return
    this.counts.kills++
    await this.lives.end('SIGKILL')
    await this.lives.start(waitsFor)
  }

  /** Until something of what has happened by now is on disk; if there is nothing new to be noted, for so long. */
  async #noted(): Promise<void> {
    const state = join(this.#folder, 'state')
    const { length } = await logIn(state)
    const isNoted = async () => (await logIn(state)).length !== length
    await eventually(isNoted, { what: 'it is noted', withinMs: NOTED_WITHIN_MS }).catch(() => undefined)
  }

  get #streams(): number {
    return resources.length * this.#plan.namespaces.length
  }

  async #write(count: number, onWrite?: (number: number) => void): Promise<void> {
    const seed = this.#plan.seed * 100 + this.#part++
    await this.#cluster.write({ count, seed, names: this.#plan.names, ...(onWrite && { onWrite }) })
  }

  /** I8: the other sink's copy becomes what the server has, and its watermarks come to the end. */
  async #goesOn(sink: 0 | 1): Promise<void> {
    const truth = await this.#truthFor(sink)
    const isThere = async () => this.#followers[sink].hasAll(truth) && (await this.lives.lag(names[sink])) === 0
    await eventually(isThere, { what: 'the sink that is well has everything', withinMs: GOES_ON_WITHIN_MS }).catch(
      async () => {
        const lag = await this.lives.lag(names[sink])
        const holds = this.#followers[sink].hasAll(truth)
        this.#problems.push(`${names[sink]}: I8 while the other sink was down: lag ${lag}, it has everything: ${holds}`)
        this.lives.outputs.push(await this.lives.metrics())
      },
    )
  }

  /** Until both copies are what the server has, no snapshot is under way, and nothing is owed. */
  async #settle(): Promise<void> {
    const truths = [await this.#truthFor(0), await this.#truthFor(1)] as const
    const isSettled = async () =>
      this.#followers.every((one, sink) => one.hasAll(truths[sink === 0 ? 0 : 1]) && !one.isInSnapshot) &&
      !(await this.lives.readiness()).includes('owe')
    await eventually(isSettled, { what: 'all has settled', withinMs: SETTLES_WITHIN_MS }).catch(async () => {
      const body = await this.lives.readiness()
      const open = this.#followers.filter(({ isInSnapshot }) => isInSnapshot).length
      this.#problems.push(`I1 it did not settle: ${open} sinks in a snapshot, ready: ${body}`)
    })
  }

  async #ask(until: 'began' | 'ended', namespaces?: readonly string[]): Promise<void> {
    await this.lives.ask({ of: SOURCE, until, ...(namespaces && { namespaces }) })
  }

  /** Until the position of each stream is on disk: from then on a start can go on where the last one ended. */
  async #settleFirst(): Promise<void> {
    const places = this.#streams * names.length
    const isKnown = async () => (await positionsIn(join(this.#folder, 'state'))) === places
    await eventually(isKnown, { what: 'the positions are on disk' })
  }

  async #stopAtRest(): Promise<void> {
    this.counts.stops++
    const code = await this.lives.end('SIGTERM')
    if (code !== 0) this.#problems.push(`the bridge ended with ${code}`)
  }

  /** I4, I7: started once more, it sends what is new and nothing else. */
  async #rest(): Promise<void> {
    const before = await this.#cluster.history()
    await this.#start()
    await this.#write(AFTER_REST)
    await this.#settle()
    await this.#stopAtRest()
    for (const [index, { log }] of this.receivers.entries()) {
      const again = sentAgain(new Truth(before, this.#viewOf(index)), log, this.lives.run)
      this.#problems.push(...again.map((id) => `${names[index]}: I4 ${id}: sent again, though all had settled`))
      const items = itemsOfDeltas(log, this.lives.run)
      this.#problems.push(...items.map((id) => `${names[index]}: I7 ${id}: in a delta snapshot, though it had it`))
    }
  }

  #viewOf(sink: number): View {
    return sink === this.#plan.selective ? fits : whole
  }

  async #truthFor(sink: 0 | 1): Promise<Truth> {
    return new Truth(await this.#cluster.history(), this.#viewOf(sink))
  }

  #config(run: number): object {
    const { namespaces, sinks, resync, selective } = this.#plan
    return {
      state: { type: 'file', path: join(this.#folder, 'state') },
      shutdown: { drain: '1s' },
      sources: [{ name: SOURCE, resources, namespaces, resync }],
      routes: names.map((name, index) => ({ name, to: [name], ...(index === selective && { where: WHERE }) })),
      sinks: sinks.map(({ required, whenFull, queueEvents }, index) => {
        const name = names[index] ?? ''
        const spool = { path: join(this.#folder, name), fsync: 'none' }
        return webhook(name, this.receivers[index]?.url(run) ?? '', {
          required,
          retry: { initial: '20ms', max: '200ms' },
          queue: { events: queueEvents, whenFull, ...(whenFull === 'spool' && { spool }) },
        })
      }),
    }
  }
}

/** Of how many streams and sinks a watermark was written. */
async function positionsIn(path: string): Promise<number> {
  const log = await logIn(path)
  return new Set([...log.matchAll(/\["w","([^"]+","[^"]+)"/g)].map(([, place]) => place)).size
}
