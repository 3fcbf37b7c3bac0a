/**
 * The composition root: what a configuration describes, put together and run.
 *
 *   source -> stream (bridge/stream.ts) -> output per sink (bridge/output.ts) -> worker (delivery/) -> sink
 */
import { randomBytes } from 'node:crypto'
import { addAbortListener } from 'node:events'
import type { Logger } from 'pino'
import type { DeadLetterAdmin } from './admin/dead-letters.ts'
import { type Readiness, readinessOf } from './admin/readiness.ts'
import type { SnapshotAdmin } from './admin/snapshots.ts'
import { type DeadLetters, deadLetterAdmin, openDeadLetters, withDeadLetters } from './bridge/dead-letters.ts'
import { Discovery } from './bridge/discovery.ts'
import { Informers, type Selection } from './bridge/informers.ts'
import { objectionTo } from './bridge/objection.ts'
import { Output } from './bridge/output.ts'
import { pastOf } from './bridge/past-of-server.ts'
import { loadRedaction } from './bridge/redaction.ts'
import type { Environment } from './bridge/secret.ts'
import { type RunningSink, startSinks } from './bridge/sinks.ts'
import { snapshotRequests } from './bridge/snapshot-requests.ts'
import { spoolTrouble } from './bridge/spool.ts'
import { openState, tellStart, withState } from './bridge/state-store.ts'
import { BridgeStream } from './bridge/stream.ts'
import {
  informerOptions,
  observeChange,
  observeSnapshot,
  observeVerified,
  streamFailed,
  type Telemetry,
  tellDraining,
  tellQueue,
  tellRepaid,
  whereObserver,
} from './bridge/telemetry.ts'
import type { BridgeConfig } from './config/bridge-config.ts'
import { isKubeEvents, parseResourceName } from './config/resource-name.ts'
import type { Outcome } from './delivery/entry.ts'
import { Replay } from './delivery/replay.ts'
import type { OutboundEvent } from './delivery/sink.ts'
import type { Closed, SinkWorker } from './delivery/worker.ts'
import { streamName } from './events/index.ts'
import type { ApiClient } from './kube/api-client.ts'
import { clusterUid } from './kube/cluster.ts'
import type { Resource } from './kube/object.ts'
import { listWatch } from './kube/resource-list-watch.ts'
import { abortable, sleep } from './lib/abort.ts'
import { ExponentialBackoff, type Random } from './lib/backoff.ts'
import type { Clock } from './lib/clock.ts'
import { parseBytes, parseDuration } from './lib/units.ts'
import type { Snapshot, SnapshotOutcome } from './reconcile/change.ts'
import type { Redact } from './redact/redact.ts'
import { type CompiledRoute, compileRoutes, RoutedView } from './route/routed-view.ts'
import { allOn, onOfKubeEvents } from './route/view.ts'
import type { StateStore } from './state/store.ts'
import { StateLog } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface BridgeParts {
  readonly config: BridgeConfig
  readonly api: ApiClient
  readonly metrics: Metrics
  readonly logger: Logger
  /** For sinks that are about the process's standard output. */
  readonly stdout: NodeJS.WritableStream
  readonly env: Environment
  readonly clock: Clock
  readonly random: Random
  /** Told of every settled event, with the time since its frame was read, in ms. */
  readonly onSettled?: (event: OutboundEvent, outcome: Outcome, latencyMs: number) => void
}

/** The cluster's name is asked for this often until it is known. */
const CLUSTER_BACKOFF = { initialMs: 1_000, maxMs: 15_000 } as const
/** How often the queues are looked at, to say that one is full. */
const QUEUES_TOLD_EVERY_MS = 5_000

export class Bridge {
  readonly #parts: BridgeParts
  readonly #telemetry: Telemetry
  readonly #redact: Redact
  readonly #sinks: readonly RunningSink[]
  readonly #deadLetters: DeadLetters
  /** Ends what waits for a place among the dead letters. */
  readonly #closed: AbortController
  /** The dead letters, for people. */
  readonly deadLetters: DeadLetterAdmin
  /** Snapshots that people ask for. */
  readonly snapshots: SnapshotAdmin
  readonly #store: StateStore
  readonly #routes: readonly CompiledRoute[]
  #streams: readonly BridgeStream[] = []
  /** Why the cluster's name is not known. */
  #clusterProblem: string | undefined

  private constructor(parts: BridgeParts, made: Made) {
    const { telemetry, redact, sinks, deadLetters, store, closed } = made
    this.#store = store
    this.#parts = parts
    this.#telemetry = telemetry
    this.#redact = redact
    this.#sinks = sinks
    this.#deadLetters = deadLetters
    this.#closed = closed
    this.#routes = compileRoutes(
      parts.config.routes,
      whereObserver(telemetry, () => parts.clock.monotonic()),
    )
    const replay = new Replay({
      store: deadLetters.store,
      worker: (name) => sinks.find((sink) => sink.name === name)?.worker,
      objection: (name, event) => {
        if (!sinks.some((sink) => sink.name === name && sink.keepsLast)) return undefined
        return objectionTo(event, (stream) => this.#streams.find((one) => one.name === stream))
      },
    })
    this.deadLetters = deadLetterAdmin(deadLetters, replay)
    const names = sinks.map(({ name }) => name)
    this.snapshots = snapshotRequests({ streams: () => this.#streams, sinks: names, clock: parts.clock })
  }

  /** Loads the redaction key; its workers begin to connect. Rejects for what cannot be used. */
  static async create(parts: BridgeParts): Promise<Bridge> {
    const { config, metrics, logger, clock } = parts
    const telemetry: Telemetry = { metrics, logger, states: new StateLog(logger, () => clock.monotonic()) }
    const redact = await loadRedaction(config.redaction)
    const deadLetters = openDeadLetters(config.deadLetters, telemetry, clock)
    const store = openState(config.state, telemetry, clock)
    const closed = new AbortController()
    try {
      const sinkParts = { ...parts, telemetry, deadLetters: deadLetters.store, closed: closed.signal }
      const sinks = startSinks(config.sinks, sinkParts)
      return new Bridge(parts, { telemetry, redact, sinks, deadLetters, store, closed })
    } catch (error) {
      await deadLetters[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
      throw error
    }
  }

  /** For `/readyz`. */
  readiness(): Readiness {
    const streams = this.#streams.map(({ name, status }) => {
      const synced = status.type === 'synced' || (status.type === 'degraded' && status.synced)
      const error = status.type === 'degraded' || status.type === 'discovering' ? status.error : undefined
      return { name, synced, degraded: error?.message }
    })
    const sinks = this.#sinks.map(({ name, required, health, worker }) => {
      const { blockedOffers, spool } = worker.stats()
      const full = blockedOffers > 0 ? `its queue is full, ${blockedOffers} streams wait` : undefined
      const owed = this.#streams.filter(({ outputs }) => outputs.some((one) => one.sink === name && one.isOwed))
      const debts = owed.length > 0 ? `${owed.length} streams owe it a snapshot of what it missed` : undefined
      const degraded = [health.degraded, full, spoolTrouble(spool), debts]
        .filter((text) => text !== undefined)
        .join('; ')
      return { name, required, ...health, degraded: degraded || undefined }
    })
    if (this.#streams.length > 0) {
      return withState(withDeadLetters(readinessOf(streams, sinks), this.#deadLetters), this.#store)
    }
    const cluster = {
      name: 'cluster',
      ok: false,
      degraded: true,
      detail: `not asked for its name yet${this.#clusterProblem ? `: ${this.#clusterProblem}` : ''}`,
    }
    return { ok: false, checks: [cluster, ...readinessOf([], sinks).checks] }
  }

  /** The streams and sinks as they are now, for a running summary. */
  summary(): BridgeSummary {
    const stats = this.#sinks.map(({ name, worker }) => ({ name, ...worker.stats() }))
    return {
      streams: this.#streams.map(({ name, status, objects, position }) => ({
        name,
        status: status.type,
        objects,
        position,
      })),
      sinks: stats,
    }
  }

  /**
   * Reads and delivers until `signal` aborts, then stops reading, delivers what was read until the drain deadline, and
   * resolves. Rejects only for a bug in a worker: then nothing of that sink could be trusted any more.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { config, clock, logger } = this.#parts
    const stop = new AbortController()
    const drain = new AbortController()
    using _stop = addAbortListener(signal, () => stop.abort(signal.reason))
    const failed = Promise.race(this.#sinks.map(({ worker }) => worker.failed))
    const deadline: { timer?: Disposable } = {}
    using _deadline = addAbortListener(stop.signal, () => {
      const reason = new DOMException(`not drained within ${config.shutdown.drain}`, 'TimeoutError')
      deadline.timer = clock.after(parseDuration(config.shutdown.drain), () => drain.abort(reason))
    })
    const started = clock.monotonic()
    using _draining = addAbortListener(signal, () => this.#tellDraining())
    using _queues = every(QUEUES_TOLD_EVERY_MS, clock, () => {
      this.#tellQueues()
      this.#telemetry.states.flush()
    })
    try {
      await Promise.race([this.#read(stop.signal, drain.signal), failed])
      await Promise.race([this.#close(drain.signal), failed])
      await this.#note(drain.signal)
      logger.info({ uptimeSeconds: Math.round((clock.monotonic() - started) / 1000) }, 'stopped')
    } catch (error) {
      stop.abort(error)
      drain.abort(error)
      await Promise.allSettled(this.#sinks.map(({ worker }) => worker.close(drain.signal)))
      throw error
    } finally {
      deadline.timer?.[Symbol.dispose]()
      this.#closed.abort(new DOMException('the bridge is closed', 'AbortError'))
      await this.#deadLetters[Symbol.asyncDispose]()
      await this.#store[Symbol.asyncDispose]()
    }
  }

  /** What was settled up to the end. */
  async #note(drain: AbortSignal): Promise<void> {
    try {
      await abortable(Promise.all(this.#streams.map((stream) => stream.note())), drain)
    } catch (error) {
      this.#parts.logger.warn(
        { reason: error instanceof Error ? error.message : String(error) },
        'the last positions could not be written: the next start repeats some events',
      )
    }
  }

  /** Ends after `stop`, when everything that was read has been offered, or `drain` aborted. */
  async #read(stop: AbortSignal, drain: AbortSignal): Promise<void> {
    const cluster = this.#parts.config.cluster ?? (await this.#clusterName(stop))
    if (cluster === undefined) return
    const discovery = new Discovery(this.#parts.api, this.#parts.clock, stop)
    const informers = new Informers({
      listWatch: (resource, selection) => this.#listWatch(resource, selection),
      optionsFor: (name) => ({
        ...informerOptions(name, this.#telemetry, this.#redact),
        reflector: this.#reflectorOptions(),
        clock: this.#parts.clock,
        random: this.#parts.random,
      }),
      discovery,
      signal: stop,
    })
    this.#streams = this.#parts.config.sources.flatMap((source) =>
      source.resources.flatMap((resource) =>
        (source.namespaces ?? [undefined]).map((namespace) =>
          this.#createStream({ source, resource, namespace, cluster, discovery, informers }),
        ),
      ),
    )
    await Promise.all(this.#streams.map((stream) => stream.run(stop, drain)))
    await informers.stopped()
  }

  /** A full queue stops the streams that lead to it, for all their sinks: that is said, and when it is over. */
  #tellQueues(): void {
    for (const { name, worker } of this.#sinks) {
      const { blockedOffers, queueEvents, oldestAgeMs } = worker.stats()
      tellQueue(name, { blockedOffers, queueEvents, oldestSeconds: Math.round(oldestAgeMs / 1000) }, this.#telemetry)
    }
  }

  /** What is on its way when the bridge stops, at once: a queue that is full may take all the time that there is. */
  #tellDraining(): void {
    const deadline = this.#parts.config.shutdown.drain
    for (const { name, worker } of this.#sinks) tellDraining(name, { ...worker.stats(), deadline }, this.#telemetry)
  }

  async #close(drain: AbortSignal): Promise<void> {
    const { logger, clock } = this.#parts
    const started = clock.monotonic()
    this.#tellDraining()
    const closed = await Promise.all(this.#sinks.map((sink) => this.#closeSink(sink, drain)))
    for (const { name, undelivered, spooled, undisposed } of closed) {
      if (undisposed) {
        logger.warn({ sink: name, error: undisposed.message }, 'the sink could not be closed; what was delivered is')
      }
      if (spooled !== undefined) {
        const message = 'events stay in the spool of the sink: the next process sends them first'
        logger.info({ sink: name, events: spooled }, message)
      }
      if (undelivered === 0) continue
      logger.warn(
        { sink: name, events: undelivered, seconds: Math.round((clock.monotonic() - started) / 1000) },
        'events were not acknowledged before the drain deadline; the snapshot of the next start repairs sinks that get it',
      )
    }
  }

  /** One that gets the dead letters of others goes on until those are closed. */
  async #closeSink({ name, worker }: RunningSink, drain: AbortSignal): Promise<ClosedSink> {
    const before = this.#sinks.filter(({ deadLetter }) => deadLetter === name)
    await Promise.all(before.map((sink) => this.#closeSink(sink, drain)))
    return { name, ...(await worker.close(drain)) }
  }

  #createStream({ source, resource, namespace, cluster, discovery, informers }: StreamPlace): BridgeStream {
    const { config, clock, random, onSettled } = this.#parts
    const { labelSelector, fieldSelector, resync } = source
    const name = streamName(source.name, resource, namespace)
    const selectors = { ...(labelSelector && { labelSelector }), ...(fieldSelector && { fieldSelector }) }
    const selection = { ...(namespace && { namespace }), ...selectors }
    // without any route a sink for the dead letters of others gets only those
    const isLive = (sink: string) => config.routes.length > 0 || !this.#sinks.some((one) => one.deadLetter === sink)
    const sinkNames = this.#sinks.map((sink) => sink.name).filter(isLive)
    const usual = isKubeEvents(parseResourceName(resource)) ? onOfKubeEvents : allOn
    const viewOf = (sink: string) => RoutedView.of({ source: source.name, sink, usual }, this.#routes)
    const views = sinkNames.flatMap((sink) => viewOf(sink) ?? [])
    return new BridgeStream({
      name,
      cluster,
      scope: { ...(namespace && { namespaces: [namespace] }), ...selectors },
      resync: { everyMs: parseDuration(resync.every), snapshot: resync.snapshot, verify: resync.verify },
      outputs: (ended) =>
        views.flatMap((routed) => {
          const sink = this.#sinks.find((one) => one.name === routed.sink)
          if (!sink) return []
          const counts = this.#telemetry.metrics.sink(sink.name)
          const settled = (event: OutboundEvent, outcome: Outcome, observedAt: string) => {
            const latencyMs = clock.now().getTime() - Date.parse(observedAt)
            const sent = outcome.type === 'delivered' || outcome.type === 'aborted'
            if (sent) counts.delivered(latencyMs)
            onSettled?.(event, outcome, latencyMs)
          }
          const onSnapshot = (snapshot: Snapshot, snapshotOutcome: SnapshotOutcome) => {
            observeSnapshot(name, sink.name, snapshot, snapshotOutcome, this.#telemetry)
            ended(sink.name, snapshot, snapshotOutcome)
          }
          const onRepaid = () => tellRepaid(name, sink.name, this.#telemetry)
          const output = new Output({ routed, worker: sink.worker, onSettled: settled, onSnapshot, onRepaid })
          this.#telemetry.metrics.observeOutput(name, sink.name, () => {
            const { slots: lagEvents, since } = output.watermark.behind
            const oldestAgeMs = since === undefined ? 0 : Math.max(0, clock.now().getTime() - Date.parse(since))
            return { lagEvents, oldestAgeMs }
          })
          return [output]
        }),
      discover: () => discovery.find(resource),
      required: this.#sinks.filter((sink) => sink.required).map((sink) => sink.name),
      store: this.#store,
      past: (found) => pastOf(this.#listWatch(found, selection), config.apiServer.pageSize),
      definition: [cluster, selection, config.redaction],
      informer: (found, start) => informers.get(name, { named: resource, resource: found, ...selection }, start),
      onStart: (plan) => tellStart(name, plan, this.#telemetry),
      onChange: (change, sink) => observeChange(name, change, this.#telemetry, sink),
      onVerified: (verified) => observeVerified(name, verified, this.#telemetry),
      onSkipped: () => this.#telemetry.metrics.stream(name).snapshotSkipped(),
      onError: (error) => streamFailed(name, error, this.#telemetry.states),
      snapshotId: () => randomBytes(9).toString('base64url'),
      clock,
      random,
    })
  }

  #listWatch(resource: Resource, selection: Selection) {
    const { api, config } = this.#parts
    const { frameBytes, depth } = config.limits
    return listWatch(api, resource, { ...selection, limits: { frameBytes: parseBytes(frameBytes), depth } })
  }

  #reflectorOptions() {
    const { pageSize, timeoutSeconds } = this.#parts.config.apiServer
    return { pageSize, minWatchTimeoutMs: timeoutSeconds * 1000 }
  }

  /** The uid of kube-system names a cluster that is not named. Undefined if stopped before it is known. */
  async #clusterName(stop: AbortSignal): Promise<string | undefined> {
    const { api, clock, random } = this.#parts
    const backoff = new ExponentialBackoff(CLUSTER_BACKOFF, random)
    while (!stop.aborted) {
      try {
        return await clusterUid(api, stop)
      } catch (error) {
        if (stop.aborted) return undefined
        const reason = error instanceof Error ? error.message : String(error)
        const message = 'the cluster cannot be asked for its name: it is tried again, or set `cluster`'
        this.#clusterProblem = reason
        this.#telemetry.states.tell({
          key: 'cluster',
          state: reason,
          level: 'error',
          message,
          fields: { error: reason },
        })
        await sleep(backoff.next(), clock, stop).catch(() => undefined) // aborted: the loop ends
      }
    }
    return undefined
  }
}

/** Calls `work` again and again until it is disposed. */
function every(ms: number, clock: Clock, work: () => void): Disposable {
  let timer = clock.after(ms, function again() {
    work()
    timer = clock.after(ms, again)
  })
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() }
}

interface ClosedSink extends Closed {
  readonly name: string
}

interface Made {
  readonly telemetry: Telemetry
  readonly redact: Redact
  readonly sinks: readonly RunningSink[]
  readonly deadLetters: DeadLetters
  readonly store: StateStore
  readonly closed: AbortController
}

interface StreamPlace {
  readonly source: BridgeConfig['sources'][number]
  readonly resource: string
  readonly namespace: string | undefined
  readonly cluster: string
  readonly discovery: Discovery
  readonly informers: Informers
}

/** What runs, in numbers. */
export interface BridgeSummary {
  readonly streams: readonly {
    readonly name: string
    readonly status: BridgeStream['status']['type']
    readonly objects: number
    readonly position: string | undefined
  }[]
  readonly sinks: readonly ({ readonly name: string } & ReturnType<SinkWorker['stats']>)[]
}
