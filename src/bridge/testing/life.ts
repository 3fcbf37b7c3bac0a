/** For tests: one process of the bridge, with one stream of a `HistoryServer`; what outlives it is its `World`. */
import assert from 'node:assert/strict'
import { DeadLetterRing } from '../../delivery/dead-letters.ts'
import { noObserver } from '../../delivery/observer.ts'
import { defaults } from '../../delivery/scripted-sink.ts'
import { type OutboundEvent, structuredSize } from '../../delivery/sink.ts'
import { SinkWorker } from '../../delivery/worker.ts'
import { Informer } from '../../informer/informer.ts'
import { KubeError } from '../../kube/errors.ts'
import type { Resource } from '../../kube/object.ts'
import { ManualClock } from '../../lib/manual-clock.ts'
import type { StartPlan } from '../../reconcile/ladder.ts'
import { compileRoutes, RoutedView } from '../../route/routed-view.ts'
import { allOn } from '../../route/view.ts'
import { Output } from '../output.ts'
import { pastOf } from '../past-of-server.ts'
import { BridgeStream } from '../stream.ts'
import { ArrayDisk, DurableStore } from './durable-store.ts'
import { HistoryServer } from './history-server.ts'
import type { Lives, SinkSettings } from './lives.ts'
import { Connection, Target } from './target.ts'
import { routesOf, type ViewName } from './views.ts'

export const streamName = 's/pods'
export const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const RESYNC_MS = 300_000
const moved = new KubeError('not-found', 'it is read in another version')

/** As the next life will find it. */
export interface SinkOfWorld {
  readonly name: string
  readonly settings: SinkSettings
  readonly target: Target
  isRequired: boolean
  view: ViewName
  isThere: boolean
}

/** What outlives the processes, and what they have done. */
export class World {
  readonly clock = new ManualClock()
  readonly server = new HistoryServer()
  readonly disk = new ArrayDisk()
  readonly lives: Lives
  readonly sinks: readonly SinkOfWorld[]
  readonly counts: Record<string, number> = {}
  /** Nothing of it may happen. */
  readonly problems: unknown[] = []
  definition = 0
  processes = 0

  constructor(lives: Lives) {
    this.lives = lives
    this.sinks = lives.sinks.map((settings, place) => ({
      name: `s${place}`,
      settings,
      target: new Target(),
      isRequired: settings.isRequired,
      view: settings.view,
      isThere: true,
    }))
  }

  count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1
  }
}

interface RunningSink {
  readonly sink: SinkOfWorld
  readonly worker: SinkWorker
  readonly view: ViewName
}

export class Life {
  readonly stream: BridgeStream
  readonly store: DurableStore
  readonly #world: World
  readonly #stop = new AbortController()
  readonly #drain = new AbortController()
  readonly #sinks: readonly RunningSink[]
  readonly #running: Promise<void>
  readonly #informers: Informer[] = []
  #served = new AbortController()
  /** It is noted how it began. */
  hasStarted = false
  #isDead = false
  readonly #death = Promise.withResolvers<void>()
  #snapshots = 0

  constructor(world: World) {
    const { clock, disk, lives } = world
    this.#world = world
    const id = ++world.processes
    const onDeath = () => {
      this.#isDead = true
      this.#drain.abort(new Error('killed'))
      this.#death.resolve()
    }
    this.store = new DurableStore(lives.keeps, disk, { delay: { clock, ms: lives.writeMs }, onDeath })
    this.#sinks = world.sinks
      .filter(({ isThere }) => isThere)
      .map((sink) => ({ sink, worker: this.#workerOf(sink), view: sink.view }))
    this.stream = this.#streamOf(id)
    this.#running = this.stream.run(this.#stop.signal, this.#drain.signal)
    this.#running.catch(() => undefined) // what fails before a stop is told to `onError`
  }

  /** What the sink sees; undefined: the stream does not lead to it. */
  viewOf(name: string): ViewName | undefined {
    return this.#sinks.find(({ sink }) => sink.name === name)?.view
  }

  /** It was killed by its store; `kill` is still to be called. */
  get isDead(): boolean {
    return this.#isDead
  }

  /** Everything was told and settled. */
  get isQuiet(): boolean {
    const isEven = this.stream.outputs.every(({ isOwed, watermark }) => !isOwed && watermark.lag === 0)
    const isRead = this.stream.position === String(this.#world.server.version)
    return isEven && isRead && this.#sinks.every(({ worker }) => worker.stats().queueEvents === 0)
  }

  /** The version that it reads is not served any more. */
  move(): void {
    this.#world.count('moves')
    const served = this.#served
    this.#served = new AbortController()
    served.abort(moved)
  }

  /** What is under way may still arrive; of what is being written only so many records are. */
  async kill(records: number): Promise<void> {
    this.#isDead = true
    this.store.kill(records)
    const reason = new Error('killed')
    this.#drain.abort(reason)
    this.#stop.abort(reason)
    await this.#untilOver(this.#closed())
  }

  /** SIGTERM: it has a second to deliver what is left. */
  async stop(): Promise<void> {
    this.#world.clock.after(1_000, () => this.#drain.abort(new Error('deadline')))
    this.#stop.abort(new Error('stopped'))
    const over = async () => {
      await this.#running.catch(() => undefined) // cut short by the deadline
      await this.#closed()
      await this.stream.note()
    }
    const died = this.#death.promise.then(() => this.#closed())
    await this.#untilOver(Promise.race([over(), died]))
    this.store.kill()
  }

  async #closed(): Promise<void> {
    await Promise.all(this.#sinks.map(({ worker }) => worker.close(this.#drain.signal)))
    await Promise.all(this.#informers.map((informer) => informer.stopped()))
  }

  async #untilOver(work: Promise<void>): Promise<void> {
    const { clock } = this.#world
    const state = { isOver: false }
    void work.finally(() => {
      state.isOver = true
    })
    for (let turn = 0; turn < 400 && !state.isOver; turn++) await clock.advance(250)
    assert.ok(state.isOver, 'it ends')
  }

  #workerOf({ name, target, settings }: SinkOfWorld): SinkWorker {
    const { clock, problems } = this.#world
    const { queueEvents, policy, latencyMs } = settings
    const worker = new SinkWorker(
      {
        ...defaults,
        name,
        concurrency: 2,
        batch: { events: 3, bytes: 100_000, lingerMs: 0 },
        queue: { events: queueEvents, bytes: 10_000_000, whenFull: policy },
      },
      {
        sink: new Connection(target, { clock, latencyMs, isDead: () => this.#isDead }),
        limits: {
          maxEventBytes: 1_000_000,
          maxBatchEvents: 3,
          maxBatchBytes: 1_000_000,
          sizeOf: ({ attributes, dataBytes }: OutboundEvent) => structuredSize(attributes, dataBytes),
          sameKeyInBatch: false,
          concurrency: 2,
        },
        clock,
        random: () => 0.5,
        deadLetters: new DeadLetterRing(),
        observer: {
          ...noObserver,
          overflowed: () => this.#world.count('overflows'),
          merged: () => this.#world.count('merged'),
          retry: (_, waits) => this.#world.count(`retries of ${waits === 'lane' ? 'a lane' : 'all'}`),
          deadLetter: () => this.#world.count(`dead letters of ${name}`),
        },
      },
    )
    worker.failed.catch((error: unknown) => problems.push(error))
    return worker
  }

  #streamOf(id: number): BridgeStream {
    const { clock, server, lives, definition, problems } = this.#world
    const random = () => 0.5
    return new BridgeStream({
      name: streamName,
      cluster: 'c',
      scope: {},
      resync:
        lives.resync === 'off'
          ? { everyMs: 0, snapshot: 'off', verify: false }
          : { everyMs: RESYNC_MS, snapshot: lives.resync, verify: false },
      required: this.#sinks.filter(({ sink }) => sink.isRequired).map(({ sink }) => sink.name),
      store: this.store,
      definition,
      onStart: (plan) => this.#started(plan),
      outputs: (ended) => this.#sinks.map((running) => outputOf(running, ended)),
      discover: async () => pods,
      past: () => pastOf(server, 3),
      informer: (_, start) => {
        const options = {
          scope: 'whole',
          clock,
          random,
          onError: () => {},
          ...(start && start !== 'anew' && { start }),
        } as const
        const informer = new Informer(server, { ...options, reflector: { pageSize: 3 } })
        informer.start(AbortSignal.any([this.#stop.signal, this.#served.signal]))
        this.#informers.push(informer)
        return informer
      },
      onSkipped: () => {},
      onVerified: () => {},
      onChange: (change) => {
        if (change.type === 'Gap') this.#world.count(`gaps: ${change.cause}`)
        if (change.type === 'SnapshotAborted') this.#world.count('aborted')
      },
      onError: (error) => {
        if (!this.#stop.signal.aborted && error !== moved) problems.push(error)
      },
      snapshotId: () => `l${id}-${++this.#snapshots}`,
      clock,
      random,
    })
  }

  #started({ rung, sinks }: StartPlan): void {
    this.hasStarted = true
    this.#world.count(rung)
    for (const { sink } of this.#sinks) {
      const { watermark, debt } = sinks.get(sink.name) ?? {}
      if (debt) this.#world.count(`debts: ${debt.kind} ${debt.cause}`)
      const floor = rung === 'replay' && !debt ? watermark : undefined
      sink.target.taken.push({ type: 'life', floor })
    }
  }
}

function outputOf(
  { sink, worker }: RunningSink,
  ended: Parameters<ConstructorParameters<typeof BridgeStream>[0]['outputs']>[0],
): Output {
  return new Output({
    routed: routedTo(sink),
    worker,
    onSettled: () => {},
    onRepaid: () => {},
    onSnapshot: (snapshot, outcome) => ended(sink.name, snapshot, outcome),
  })
}

function routedTo({ name, view, settings: { on } }: SinkOfWorld): RoutedView {
  const types = on === 'all' ? allOn : allOn.filter((type) => type !== 'snapshot')
  const routed = RoutedView.of({ source: 's', sink: name }, compileRoutes(routesOf(view, name, types)))
  assert.ok(routed)
  return routed
}
