import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DeadLetterRing } from '../../delivery/dead-letters.ts'
import { noObserver } from '../../delivery/observer.ts'
import { defaults } from '../../delivery/scripted-sink.ts'
import { DeliveryError, type OutboundEvent, type Sink, structured, structuredSize } from '../../delivery/sink.ts'
import { SinkWorker } from '../../delivery/worker.ts'
import { Copy, type Decoded, decodeStructured } from '../../events/index.ts'
import { Informer } from '../../informer/informer.ts'
import type { Resource } from '../../kube/object.ts'
import { ManualClock } from '../../lib/manual-clock.ts'
import { RoutedView } from '../../route/routed-view.ts'
import type { Kept } from '../../state/store.ts'
import { Output } from '../output.ts'
import { pastOf } from '../past-of-server.ts'
import { BridgeStream } from '../stream.ts'
import { ArrayDisk, DurableStore } from './durable-store.ts'
import { HistoryServer } from './history-server.ts'

type Step =
  | { readonly type: 'write'; readonly name: number; readonly what: 'put' | 'delete'; readonly count: number }
  | { readonly type: 'up' | 'down'; readonly sink: 0 | 1 }
  | { readonly type: 'kill' | 'stop'; readonly writes: number }
  | { readonly type: 'expire' | 'compact' }
  | { readonly type: 'restore'; readonly versions: number }
  | { readonly type: 'redefine' }
  | { readonly type: 'pass'; readonly ms: number }

export interface Lives {
  readonly steps: readonly Step[]
  readonly settings: {
    readonly queueEvents: number
    readonly latencyMs: number
    readonly isRequired: boolean
    readonly policy: 'coalesce' | 'block'
  }
}

const name = fc.nat(6)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      name,
      what: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('up' as const, 'down' as const),
      sink: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('kill' as const), writes: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('stop' as const), writes: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('expire' as const, 'compact' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('restore' as const), versions: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('redefine' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.constantFrom(1, 50, 700, 3_000, 60_000) }),
  },
)

export const lives: fc.Arbitrary<Lives> = fc.record({
  steps: fc.array(step, { maxLength: 70, size: 'max' }),
  settings: fc.record({
    queueEvents: fc.integer({ min: 3, max: 30 }),
    latencyMs: fc.constantFrom(0, 1, 40),
    isRequired: fc.boolean(),
    policy: fc.constantFrom('coalesce' as const, 'coalesce' as const, 'block' as const),
  }),
})

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const STEP_MS = 10

/** What outlives the bridge: it takes everything that reaches it, also what was sent before a kill. */
class Target {
  isUp = true
  readonly taken: Decoded[] = []
}

/** One process's connection to a target. */
class Connection implements Sink {
  readonly #target: Target
  readonly #clock: ManualClock
  readonly #latencyMs: number

  constructor(target: Target, clock: ManualClock, latencyMs: number) {
    this.#target = target
    this.#clock = clock
    this.#latencyMs = latencyMs
  }

  async connect(): Promise<void> {
    if (!this.#target.isUp) throw new DeliveryError('unavailable', 'ECONNREFUSED')
  }

  async deliver(batch: readonly OutboundEvent[]) {
    if (this.#latencyMs > 0) await new Promise<void>((resolve) => this.#clock.after(this.#latencyMs, resolve))
    if (!this.#target.isUp) throw new DeliveryError('unavailable', 'ECONNREFUSED')
    for (const { attributes, data } of batch) this.#target.taken.push(decodeStructured(structured(attributes, data)))
    return []
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** One process. */
class Life {
  readonly stream: BridgeStream
  readonly #stop = new AbortController()
  readonly #workers: readonly SinkWorker[]
  readonly #store: DurableStore
  readonly #running: Promise<void>
  readonly #informers: Informer[] = []
  readonly #clock: ManualClock

  constructor(world: World, number: number) {
    const { clock, server, targets, history, disk, keeps, counts } = world
    const { settings } = history
    this.#clock = clock
    this.#store = new DurableStore(keeps, disk)
    const random = () => 0.5
    this.#workers = targets.map((target, index) => {
      const limits = {
        maxEventBytes: 1_000_000,
        maxBatchEvents: 3,
        maxBatchBytes: 1_000_000,
        sizeOf: ({ attributes, dataBytes }: OutboundEvent) => structuredSize(attributes, dataBytes),
        sameKeyInBatch: false,
        concurrency: 2,
      }
      const whenFull = index === 0 ? settings.policy : 'coalesce'
      return new SinkWorker(
        {
          ...defaults,
          name: `s${index}`,
          concurrency: 2,
          batch: { events: 3, bytes: 100_000, lingerMs: 0 },
          queue: { events: settings.queueEvents, bytes: 10_000_000, whenFull },
        },
        {
          sink: new Connection(target, clock, settings.latencyMs),
          limits,
          clock,
          random,
          deadLetters: new DeadLetterRing(),
          observer: { ...noObserver, overflowed: () => count(counts, 'overflows') },
        },
      )
    })
    const required = settings.isRequired ? ['s0', 's1'] : ['s0']
    let snapshots = 0
    this.stream = new BridgeStream({
      name: 's/pods',
      cluster: 'c',
      scope: {},
      resync: { everyMs: 0, snapshot: 'off' },
      required,
      store: this.#store,
      definition: world.definition,
      onStart: ({ rung }) => count(counts, rung),
      outputs: (ended) =>
        this.#workers.map(
          (worker, index) =>
            new Output({
              routed: RoutedView.whole(`s${index}`),
              worker,
              onSettled: () => {},
              onRepaid: () => {},
              onSnapshot: (snapshot, outcome) => ended(`s${index}`, snapshot, outcome),
            }),
        ),
      discover: async () => pods,
      past: () => pastOf(server, 3),
      informer: (_, start) => {
        const options = { scope: 'whole', clock, random, onError: () => {}, ...(start && { start }) } as const
        const informer = new Informer(server, options)
        informer.start(this.#stop.signal)
        this.#informers.push(informer)
        return informer
      },
      onChange: () => {},
      onError: (error) => {
        if (!this.#stop.signal.aborted) throw error
      },
      snapshotId: () => `l${number}-${++snapshots}`,
      clock,
      random,
    })
    this.#running = this.stream.run(this.#stop.signal, this.#stop.signal)
  }

  /** What is under way may still arrive; nothing is written any more. */
  async kill(): Promise<void> {
    this.#store.kill()
    await this.#end(AbortSignal.abort(new Error('killed')))
  }

  /** SIGTERM: it has a second to deliver what is left. */
  async stop(): Promise<void> {
    const drain = new AbortController()
    this.#clock.after(1_000, () => drain.abort(new Error('deadline')))
    await this.#end(drain.signal)
    void this.stream.note()
    this.#store.kill()
  }

  async #end(drain: AbortSignal): Promise<void> {
    this.#stop.abort(new Error('the life is over'))
    const closed = Promise.all(this.#workers.map((worker) => worker.close(drain)))
    for (let turn = 0; turn < 20; turn++) await this.#clock.advance(250)
    await closed
    void this.#running.catch(() => undefined)
    await Promise.all(this.#informers.map((informer) => informer.stopped()))
  }
}

interface World {
  readonly clock: ManualClock
  readonly server: HistoryServer
  readonly targets: readonly Target[]
  readonly history: Lives
  readonly disk: ArrayDisk
  readonly keeps: Kept
  readonly counts: Record<string, number>
  definition: string
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

/** Rejects if a promise is broken. Returns how often what happened. */
export async function keepLives(history: Lives, keeps: Kept): Promise<Readonly<Record<string, number>>> {
  const clock = new ManualClock()
  const server = new HistoryServer()
  for (const first of ['n0', 'n1', 'n2', 'n3', 'n4']) server.put(first)
  const targets = [new Target(), new Target()]
  const counts: Record<string, number> = {}
  const world: World = { clock, server, targets, history, disk: new ArrayDisk(), keeps, counts, definition: 'd0' }
  let number = 0
  let life = new Life(world, ++number)
  const again = async (writes: number) => {
    for (let n = 0; n < writes; n++) {
      if (n % 3 === 2) server.delete(`n${(n + number) % 7}`)
      else server.put(`n${(n * 2 + number) % 7}`)
    }
    life = new Life(world, ++number)
  }
  await clock.advance(0)
  for (const one of history.steps) {
    switch (one.type) {
      case 'write':
        for (let n = 0; n < one.count; n++) {
          if (one.what === 'put') server.put(`n${(one.name + n) % 7}`)
          else server.delete(`n${(one.name + n) % 7}`)
        }
        break
      case 'up':
      case 'down': {
        const target = targets[one.sink]
        if (target) target.isUp = one.type === 'up'
        break
      }
      case 'kill':
        count(counts, 'kills')
        await life.kill()
        await again(one.writes)
        break
      case 'stop':
        await life.stop()
        await again(one.writes)
        break
      case 'expire':
        server.expireWatches()
        break
      case 'compact':
        server.compact()
        break
      case 'restore':
        // one that overtakes what was known before anybody looks cannot be told from one that went on
        if (keeps === 'nothing') break
        for (const target of targets) target.isUp = true // a sink that blocks keeps its stream from looking
        await clock.advance(60_000)
        server.restore(one.versions)
        await clock.advance(60_000)
        break
      case 'redefine':
        world.definition = `d${number}`
        break
      case 'pass':
        if (one.ms > 1_000) server.progress()
        await clock.advance(one.ms)
    }
    await clock.advance(STEP_MS)
  }
  for (const target of targets) target.isUp = true
  server.progress()
  for (let minute = 0; minute < 40; minute++) await clock.advance(60_000)
  for (const target of targets) check(target.taken, server, keeps)
  for (const { isOwed, watermark } of life.stream.outputs) {
    assert.equal(isOwed, false, 'what was owed is repaid')
    assert.equal(watermark.lag, 0, 'everything is settled')
  }
  await life.kill()
  return counts
}

function check(taken: readonly Decoded[], server: HistoryServer, keeps: Kept): void {
  const copy = new Copy()
  for (const event of taken) {
    const { completed } = copy.apply(event)
    assert.notEqual(completed?.digests, 'differ', 'I1: digests')
  }
  const here = [...server.objects.values()].map(({ metadata }) => `${metadata.uid}@${metadata.resourceVersion}`)
  const found = [...copy.objects()].map(({ uid, resourceVersion }) => `${uid}@${resourceVersion}`)
  assert.deepEqual(found.sort(), here.sort(), 'I1: the copy is the cluster')
  checkObjects(taken, new Set([...server.objects.values()].map(({ metadata }) => metadata.uid)), keeps)
}

/** Ids seen before are dropped, as a consumer does; a restore makes it forget them. */
function checkObjects(taken: readonly Decoded[], here: ReadonlySet<string>, keeps: Kept): void {
  const ids = new Set<string>()
  const last = new Map<string, { readonly type: string; readonly final: boolean }>()
  for (const { attributes, data } of taken) {
    const { id, uid, type } = attributes
    if (type.includes('gap') && JSON.stringify(data).includes('"restored"')) {
      ids.clear()
      last.clear()
    }
    if (ids.has(id) || typeof uid !== 'string') continue
    ids.add(id)
    // that it left may be said again of one that is gone: the ledger of a killed process did not know
    const isEnd = type.includes('deleted')
    assert.ok(!last.get(uid)?.final || isEnd, `I2: ${id} follows the deletion`)
    if (last.get(uid)?.final) continue
    last.set(uid, { type, final: id === `${uid}:deleted` })
  }
  if (keeps !== 'ledger') return
  for (const [uid, { type }] of last) {
    assert.equal(type.includes('deleted'), !here.has(uid), `I3: the last that was told of ${uid} is ${type}`)
  }
}
