/** One seed of the oracle suite: a bridge of many lives, a server that forgets, two sinks that fail, and what was said. */
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Copy, decodeStructured } from '../../../src/events/index.ts'
import { temporaryFolder } from '../../../src/journal/testing/kit.ts'
import { eventually } from '../../support/eventually.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import { type BridgeProcess, startBridge } from './bridge-process.ts'
import { type OracleCluster, realCluster, simulatedCluster } from './oracle-cluster.ts'
import { itemsOfDeltas, judge, newestOf, sentAgain, type Verdict } from './oracle-judge.ts'
import { drawPlan, type Happening, type Length, type Plan, type Round } from './oracle-plan.ts'
import { type Arrival, OracleReceiver } from './oracle-receiver.ts'
import { END, SOURCE, Truth, type View, whole } from './oracle-truth.ts'
import { resources } from './random-operations.ts'
import { assertCopied, sorted } from './reference-copy.ts'
import { webhook } from './stand.ts'

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
  const evidence = problems.length > 0 ? await keep(server, plan, play, history) : undefined
  return {
    seed,
    server,
    sinks: plan.sinks.map(({ whenFull }) => whenFull).join(),
    ...play.counts,
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

async function keep(server: OracleServer, plan: Plan, play: Play, history: readonly RecordedChange[]): Promise<string> {
  const folder = join(tmpdir(), `deltawire-oracle-${server}-${plan.seed}`)
  await copyFolder(play.folder, folder)
  const lines = (values: readonly unknown[]) => `${values.map((value) => JSON.stringify(value)).join('\n')}\n`
  await writeFile(join(folder, 'plan.json'), JSON.stringify(plan, null, 2))
  await writeFile(join(folder, 'server.ndjson'), lines(history))
  for (const [index, { log }] of play.receivers.entries())
    await writeFile(join(folder, `sink-${index}.ndjson`), lines(log))
  for (const [index, output] of play.outputs.entries()) await writeFile(join(folder, `run-${index + 1}.log`), output)
  return folder
}

/** All but sockets. */
async function copyFolder(from: string, to: string): Promise<void> {
  const filter = async (file: string) => !(await stat(file)).isSocket()
  await cp(from, to, { recursive: true, filter, force: true })
}

const names = ['required', 'optional'] as const
/** A snapshot that was aborted is sent again after one or two minutes. */
/** The same twice: for the bridge, and for the truth. */
const WHERE = "object.metadata.labels.value < '5'"
const fits: View = ({ metadata }) =>
  ((metadata as { readonly labels?: { readonly value?: string } }).labels?.value ?? '9') < '5'
const SETTLES_WITHIN_MS = 180_000
/** A server tells of progress once a minute where nothing is written. */
const GOES_ON_WITHIN_MS = 90_000
/** So many that hardly a stream gets none. */
const WRITES_PER_STREAM = 6
/** Writes after all has settled and the bridge was started anew. */
const AFTER_REST = 6

class Play implements AsyncDisposable {
  readonly receivers: readonly [OracleReceiver, OracleReceiver]
  /** What each run printed. */
  readonly outputs: string[] = []
  readonly counts = {
    kills: 0,
    stops: 0,
    restarts: 0,
    compactions: 0,
    outages: 0,
    rungs: {} as Record<string, number>,
  }
  readonly #plan: Plan
  readonly #cluster: OracleCluster
  readonly folder: string
  readonly #problems: string[] = []
  readonly #followers: readonly [Follower, Follower]
  #bridge: BridgeProcess | undefined
  #run = 0
  #part = 0
  /** Of this run, at both sinks. */
  #requests = 0
  #onRequest: (requests: number) => void = () => {}

  constructor(
    plan: Plan,
    cluster: OracleCluster,
    receivers: readonly [OracleReceiver, OracleReceiver],
    folder: string,
  ) {
    this.#plan = plan
    this.#cluster = cluster
    this.folder = folder
    this.receivers = receivers
    this.#followers = [new Follower(receivers[0].log), new Follower(receivers[1].log)]
    for (const receiver of receivers) {
      receiver.onRequest = (run) => {
        if (run === this.#run) this.#onRequest(++this.#requests)
      }
    }
  }

  async whole(): Promise<void> {
    await this.#write(this.#plan.before)
    await this.#start()
    if (this.#plan.settlesFirst) await this.#settleFirst()
    for (const round of this.#plan.rounds) await this.#round(round)
    for (const receiver of this.receivers) receiver.heal()
    await this.#settle()
    await this.#ask({}, 'ended')
    await this.#settle()
    await this.#stopAtRest()
    if (this.#plan.rests) await this.#rest()
  }

  /** After `whole`. */
  async judged() {
    const history = await this.#cluster.history()
    const truths = names.map((_, index) => new Truth(history, this.#viewOf(index)))
    const verdicts = this.receivers.map(({ log }, index) => judge(truths[index] as Truth, log))
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
    await this.#bridge?.[Symbol.asyncDispose]()
  }

  async #round({ writes, down, happening, asks }: Round): Promise<void> {
    // nobody waits for it: the bridge may end before it does
    if (asks) void this.#ask(asks === 'part' ? { namespaces: ['shop'] } : {}, 'began').catch(() => undefined)
    if (down) {
      this.counts.outages++
      this.receivers[down.sink].down = down.how
    }
    const canBeReady = !down || !this.#plan.sinks[down.sink].required
    await this.#happens(happening, writes, canBeReady)
    if (!down) return
    if (this.#plan.sinks[down.sink].whenFull !== 'block') {
      // a stream that was started anew makes up for nothing until it has passed what was newest then
      if (happening.type === 'bridge ends') await this.#write(WRITES_PER_STREAM * this.#streams)
      await this.#goesOn(down.sink === 0 ? 1 : 0)
    }
    this.receivers[down.sink].down = undefined
  }

  async #happens(happening: Happening, writes: number, canBeReady: boolean): Promise<void> {
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
        process.kill(this.#running.pid, 'SIGSTOP')
        await this.#write(writes)
        this.counts.compactions++
        await this.#cluster.forget()
        process.kill(this.#running.pid, 'SIGCONT')
        return
      case 'bridge ends':
        await this.#ends(happening, writes)
        await this.#write(happening.away)
        if (happening.forgets) {
          this.counts.compactions++
          await this.#cluster.forget()
        }
        await this.#start(canBeReady, happening.again)
    }
  }

  async #ends({ signal, at }: Happening & { readonly type: 'bridge ends' }, writes: number): Promise<void> {
    const now = Promise.withResolvers<void>()
    const { pid } = this.#running
    const strike = () => {
      process.kill(pid, signal)
      now.resolve()
      this.#onRequest = () => {}
    }
    if (at.type === 'request') this.#onRequest = (requests) => requests >= at.number && strike()
    const writing = this.#write(writes, (number) => at.type === 'write' && number >= at.number && now.resolve())
    await Promise.race([now.promise, writing])
    this.#onRequest = () => {}
    if (signal === 'SIGKILL') this.counts.kills++
    else this.counts.stops++
    await this.#end(signal)
    await writing
  }

  /** With `killedAt` it is killed as that request of it arrives, or when it is ready, and started again. */
  async #start(canBeReady = true, killedAt?: number): Promise<void> {
    this.#run++
    this.#requests = 0
    const bridge = await startBridge({
      ...this.#cluster.access,
      config: this.#config(),
      env: { NODE_COMPILE_CACHE: compileCache },
    })
    this.#bridge = bridge
    const struck = Promise.withResolvers<void>()
    if (killedAt !== undefined) {
      this.#onRequest = (requests) => {
        if (requests < killedAt) return
        this.#onRequest = () => {}
        process.kill(bridge.pid, 'SIGKILL')
        struck.resolve()
      }
    }
    const isUp = canBeReady ? bridge.ready() : bridge.logged('it has started', ({ message }) => message === 'started')
    await Promise.race([
      isUp.catch((error) =>
        struck.promise.then(
          () => {},
          () => Promise.reject(error),
        ),
      ),
      struck.promise,
    ])
    this.#onRequest = () => {}
    if (killedAt === undefined) return
    this.counts.kills++
    await this.#end('SIGKILL')
    await this.#start(canBeReady)
  }

  get #streams(): number {
    return resources.length * this.#plan.namespaces.length
  }

  get #running(): BridgeProcess {
    if (!this.#bridge) throw new Error('no bridge runs')
    return this.#bridge
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const bridge = this.#running
    const code = await bridge.end(signal)
    this.outputs.push(await bridge.output())
    for (const { rung } of await bridge.log()) {
      if (typeof rung === 'string') this.counts.rungs[rung] = (this.counts.rungs[rung] ?? 0) + 1
    }
    await bridge[Symbol.asyncDispose]()
    this.#bridge = undefined
    await copyFolder(join(this.folder, 'state'), join(this.folder, `state-after-run-${this.#run}`))
    return code
  }

  async #write(count: number, onWrite?: (number: number) => void): Promise<void> {
    const seed = this.#plan.seed * 100 + this.#part++
    await this.#cluster.write({ count, seed, names: this.#plan.names, ...(onWrite && { onWrite }) })
  }

  /** I8: the other sink's copy becomes what the server has, and its watermarks come to the end. */
  async #goesOn(sink: 0 | 1): Promise<void> {
    const truth = await this.#truthFor(sink)
    const isThere = async () => this.#followers[sink].hasAll(truth) && (await this.#lag(sink)) === 0
    await eventually(isThere, { what: 'the sink that is well has everything', withinMs: GOES_ON_WITHIN_MS }).catch(
      async () => {
        const lag = await this.#lag(sink)
        const holds = this.#followers[sink].hasAll(truth)
        this.#problems.push(`${names[sink]}: I8 while the other sink was down: lag ${lag}, it has everything: ${holds}`)
        this.outputs.push((await this.#running.get('/metrics')).body)
      },
    )
  }

  async #lag(sink: 0 | 1): Promise<number> {
    const { body } = await this.#running.get('/metrics')
    const lags = body.matchAll(/^deltawire_watermark_lag_events\{([^}]*)\} (\d+)$/gm)
    return [...lags].reduce((sum, [, labels, lag]) => sum + (labels?.includes(`"${names[sink]}"`) ? Number(lag) : 0), 0)
  }

  /** Until both copies are what the server has, no snapshot is under way, and nothing is owed. */
  async #settle(): Promise<void> {
    const truths = [await this.#truthFor(0), await this.#truthFor(1)] as const
    const isSettled = async () =>
      this.#followers.every((one, sink) => one.hasAll(truths[sink === 0 ? 0 : 1]) && !one.isInSnapshot) &&
      !(await this.#running.get('/readyz')).body.includes('owe')
    await eventually(isSettled, { what: 'all has settled', withinMs: SETTLES_WITHIN_MS }).catch(async () => {
      const { body } = await this.#running.get('/readyz')
      const open = this.#followers.filter(({ isInSnapshot }) => isInSnapshot).length
      this.#problems.push(`I1 it did not settle: ${open} sinks in a snapshot, ready: ${body}`)
    })
  }

  /** Asks for a snapshot of every stream, for both sinks; resolves when all have begun, or ended. */
  async #ask(scope: { readonly namespaces?: readonly string[] }, until: 'began' | 'ended'): Promise<void> {
    const response = await fetch(`${await this.#running.adminUrl()}/api/v1/snapshots`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ of: SOURCE, until, ...scope }),
    })
    const answer = await response.text()
    if (!response.ok) throw new Error(`no snapshot: ${response.status} ${answer}`)
  }

  /** Until the position of each stream is on disk: from then on a start can go on where the last one ended. */
  async #settleFirst(): Promise<void> {
    const places = this.#streams * names.length
    const isKnown = async () => (await positionsIn(join(this.folder, 'state'))) === places
    await eventually(isKnown, { what: 'the positions are on disk' })
  }

  async #stopAtRest(): Promise<void> {
    this.counts.stops++
    const code = await this.#end('SIGTERM')
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
      const again = sentAgain(new Truth(before, this.#viewOf(index)), log, this.#run)
      this.#problems.push(...again.map((id) => `${names[index]}: I4 ${id}: sent again, though all had settled`))
      const items = itemsOfDeltas(log, this.#run)
      this.#problems.push(...items.map((id) => `${names[index]}: I7 ${id}: in a delta snapshot, though it had it`))
    }
  }

  #viewOf(sink: number): View {
    return sink === this.#plan.selective ? fits : whole
  }

  async #truthFor(sink: 0 | 1): Promise<Truth> {
    return new Truth(await this.#cluster.history(), this.#viewOf(sink))
  }

  #config(): object {
    const { namespaces, sinks, resync, selective } = this.#plan
    return {
      state: { type: 'file', path: join(this.folder, 'state') },
      shutdown: { drain: '1s' },
      sources: [{ name: SOURCE, resources, namespaces, resync }],
      routes: names.map((name, index) => ({ name, to: [name], ...(index === selective && { where: WHERE }) })),
      sinks: sinks.map(({ required, whenFull, queueEvents }, index) => {
        const name = names[index] ?? ''
        const spool = { path: join(this.folder, name), fsync: 'none' }
        return webhook(name, this.receivers[index]?.url(this.#run) ?? '', {
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
  const logs = (await readdir(path)).filter((name) => name.endsWith('.log'))
  const texts = await Promise.all(logs.map((name) => readFile(join(path, name), 'latin1')))
  return new Set([...texts.join('').matchAll(/\["w","([^"]+","[^"]+)"/g)].map(([, place]) => place)).size
}

/** Starting the bridge is most of what a seed costs. */
const compileCache = join(tmpdir(), 'deltawire-oracle-compile-cache')

/** A consumer that reads along. */
class Follower {
  readonly #log: readonly Arrival[]
  readonly #copy = new Copy()
  readonly #open = new Set<string>()
  readonly #toldTo = new Map<string, string>()
  #read = 0
  #run = 0

  constructor(log: readonly Arrival[]) {
    this.#log = log
  }

  /** Whether a snapshot has begun, and neither ended nor been aborted by anything. */
  get isInSnapshot(): boolean {
    return this.#open.size > 0
  }

  /** Whether the copy is what the view shows in the end, and of each stream what came last was told. */
  hasAll(truth: Truth): boolean {
    for (; this.#read < this.#log.length; this.#read++) this.#follow(this.#log[this.#read] as Arrival)
    const state = truth.stateAt(END)
    const held = new Map([...this.#copy.objects()].map(({ uid, resourceVersion }) => [uid, resourceVersion]))
    if (held.size !== state.size || [...state].some(([uid, version]) => held.get(uid) !== version)) return false
    return [...newestOf(truth)].every(([stream, position]) => (this.#toldTo.get(stream) ?? '') >= position)
  }

  #follow({ event, run }: Arrival): void {
    if (run > this.#run) this.#open.clear() // nobody can say so of those of a run that was killed
    this.#run = run
    this.#copy.apply(decodeStructured(JSON.stringify(event)))
    const [stream, sequence] = [String(event.stream), String(event.sequence)]
    if (sequence > (this.#toldTo.get(stream) ?? '')) this.#toldTo.set(stream, sequence)
    if (event.type.includes('snapshot.begin')) this.#open.add(stream)
    if (event.type.includes('snapshot.end') || event.type.includes('snapshot.aborted')) this.#open.delete(stream)
  }
}
