/** A sink that is never there, under a load that never ends, on a clock that is moved: what grows? */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { DeadLetterRing } from '../../delivery/dead-letters.ts'
import { noObserver } from '../../delivery/observer.ts'
import type { QueueOptions } from '../../delivery/options.ts'
import { defaults } from '../../delivery/scripted-sink.ts'
import { DeliveryError, structuredSize } from '../../delivery/sink.ts'
import { SinkWorker } from '../../delivery/worker.ts'
import type { KubeObject, Resource, ResourceVersion, Timestamp, Uid } from '../../kube/object.ts'
import { ManualClock } from '../../lib/manual-clock.ts'
import type { Notable } from '../../reconcile/change.ts'
import { RoutedView } from '../../route/routed-view.ts'
import { createTranslator } from '../../translate/translate.ts'
import { Output } from '../output.ts'
import { offerTo, startOutput } from './output-kit.ts'

export interface DeadSinkOptions {
  readonly queue: QueueOptions
  readonly seconds: number
  readonly changesPerSecond: number
  /** That are there at a time, about. */
  readonly objects: number
  /** Of so many changes of an object one deletes it; the next of its name creates another one. Infinity: none ends. */
  readonly deleteEvery: number
  /** In [0, 1). */
  readonly random: () => number
  /** Figures are taken this often. */
  readonly everySeconds: number
}

/** At one moment. */
export interface Footprint {
  readonly seconds: number
  /** Changes that the stream has read. Those of a stream that waits stay at the server. */
  readonly offered: number
  /** In use after a collection, in MiB. */
  readonly heapMiB: number
  readonly queueEvents: number
  readonly queueMiB: number
  /** On disk. */
  readonly spoolMiB: number
  readonly blockedOffers: number
  readonly lanesInBackOff: number
  /** Slots of the watermark that are kept. */
  readonly slots: number
  /** Objects that are gone and that the sink is to be told of. */
  readonly held: number
  readonly overflows: number
  readonly merged: number
  readonly timers: number
}

const STEP_MS = 100
const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }

/** Calls `onFootprint` at the times asked for, the first time before anything is offered. */
export async function enduresDeadSink(
  options: DeadSinkOptions,
  onFootprint: (footprint: Footprint) => void,
): Promise<void> {
  const { seconds, everySeconds, changesPerSecond } = options
  const clock = new ManualClock()
  const counts = { offered: 0, overflows: 0, merged: 0 }
  const worker = deadWorker(options.queue, clock, counts)
  const output = new Output({
    routed: RoutedView.whole('dead'),
    worker,
    onSettled: () => {},
    onSnapshot: () => {},
    onRepaid: () => {},
  })
  const ledger = startOutput(output, 'all/pods')
  const cluster = new Cluster(options)
  const translate = createTranslator({ cluster: 'c', stream: 'all/pods', resource: pods, scope: {} })
  const stop = new AbortController()
  const read = async (count: number) => {
    for (let n = 0; n < count; n++) {
      const change = cluster.next()
      await offerTo(output, change, translate, stop.signal)
      counts.offered++
    }
    output.complete(cluster.version)
  }
  const collect = collector()
  const take = (atSeconds: number) => onFootprint({ seconds: atSeconds, ...footprint(), ...counts })
  const footprint = () => {
    collect()
    const stats = worker.stats()
    return {
      heapMiB: mib(process.memoryUsage().heapUsed),
      queueEvents: stats.queueEvents,
      queueMiB: mib(stats.queueBytes),
      spoolMiB: mib(stats.spool?.bytes ?? 0),
      blockedOffers: stats.blockedOffers,
      lanesInBackOff: stats.backingOff,
      slots: output.watermark.lag,
      held: ledger.size,
      timers: clock.pending,
    }
  }

  await clock.advance(0)
  take(0)
  let reading: Promise<void> | undefined
  const isReading = () => reading !== undefined
  for (let ms = 0; ms < seconds * 1000; ) {
    reading ??= read((changesPerSecond * STEP_MS) / 1000).finally(() => {
      reading = undefined
    })
    await clock.advance(STEP_MS)
    // a disk takes its time, whatever the clock says
    while (isReading() && !isStuck(worker)) await clock.advance(1)
    ms += STEP_MS
    if (ms % (everySeconds * 1000) === 0) take(ms / 1000)
  }
  stop.abort()
  await reading?.catch(() => undefined) // its offer was withdrawn
  await worker.close(stop.signal)
}

/** It takes nothing until the sink does. */
function isStuck(worker: SinkWorker): boolean {
  const { blockedOffers, spool } = worker.stats()
  return blockedOffers > 0 && (spool === undefined || spool.problem !== undefined)
}

function deadWorker(
  queue: QueueOptions,
  clock: ManualClock,
  counts: { overflows: number; merged: number },
): SinkWorker {
  const dead = new DeliveryError('unavailable', 'ECONNREFUSED')
  return new SinkWorker(
    { ...defaults, name: 'dead', queue },
    {
      clock,
      random: () => 0.5,
      deadLetters: new DeadLetterRing(),
      sink: {
        connect: async () => undefined,
        deliver: async () => {
          throw dead
        },
        [Symbol.asyncDispose]: async () => undefined,
      },
      limits: {
        maxEventBytes: 1_000_000,
        maxBatchEvents: 1,
        maxBatchBytes: 1_000_000,
        sizeOf: ({ attributes, dataBytes }) => structuredSize(attributes, dataBytes),
        sameKeyInBatch: false,
        concurrency: 16,
      },
      observer: {
        ...noObserver,
        overflowed: () => {
          counts.overflows++
        },
        merged: (events) => {
          counts.merged += events
        },
      },
    },
  )
}

/** Pods that come, change and go. */
class Cluster {
  readonly #objects: (KubeObject | undefined)[]
  readonly #deleteEvery: number
  readonly #random: () => number
  #version = 1_000
  #uids = 0

  constructor({ objects, deleteEvery, random }: DeadSinkOptions) {
    this.#objects = Array.from({ length: objects }, () => undefined)
    this.#deleteEvery = deleteEvery
    this.#random = random
  }

  get version(): ResourceVersion {
    return String(this.#version) as ResourceVersion
  }

  next(): Notable {
    const n = Math.floor(this.#random() * this.#objects.length)
    this.#version++
    const before = this.#objects[n]
    const isDeleted = before && this.#random() < 1 / this.#deleteEvery
    const object = this.#pod(n, before?.metadata.uid ?? (`uid-${this.#uids++}` as Uid))
    this.#objects[n] = isDeleted ? undefined : object
    const seen = {
      resourceVersion: this.version,
      observed: 'watch',
      observedAt: '2026-01-01T00:00:00Z' as Timestamp,
      collapsed: false,
    } as const
    if (!before) return { type: 'Added', object, ...seen }
    if (!isDeleted) return { type: 'Updated', object, previous: before, ...seen }
    const { name, namespace = '', uid } = object.metadata
    return { type: 'Deleted', object, identity: { name, namespace, uid }, finalStateKnown: true, gone: true, ...seen }
  }

  #pod(n: number, uid: Uid): KubeObject {
    const metadata = { name: `web-${n}`, namespace: 'shop', uid, resourceVersion: this.version }
    const containers = [{ name: 'main', image: `registry.example.com/app:${this.#version}` }]
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers }, status: { phase: 'Running' } }
  }
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

function mib(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 10) / 10
}
