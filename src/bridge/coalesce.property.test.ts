/**
 * Two streams that lead to a sink which comes and goes, with a queue that is too small, and to one that is well: held
 * against what a consumer of each must have in the end, and must never have seen.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeadLetterRing } from '../delivery/dead-letters.ts'
import { noObserver } from '../delivery/observer.ts'
import { defaults } from '../delivery/scripted-sink.ts'
import { DeliveryError, type OutboundEvent, type Sink, structured, structuredSize } from '../delivery/sink.ts'
import { SinkWorker } from '../delivery/worker.ts'
import { Copy, type Decoded, decodeStructured } from '../events/index.ts'
import { Informer } from '../informer/informer.ts'
import {
  type Act,
  added,
  bookmark,
  deleted,
  list,
  modified,
  pod,
  ScriptedListWatch,
  watch,
} from '../informer/test-kit.ts'
import type { KubeObject, Resource } from '../kube/object.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { RoutedView } from '../route/routed-view.ts'
import { MemoryStore } from '../state/store.ts'
import { Output } from './output.ts'
import { pastOf } from './past-of-server.ts'
import { BridgeStream } from './stream.ts'

/** A target that is there or not; what it takes, it takes after a while, unless something about that one event is wrong. */
class Target implements Sink {
  isUp = true
  readonly taken: Decoded[] = []
  /** An event of this name fails the next time. */
  readonly failing = new Set<string>()
  readonly #clock: ManualClock
  readonly #latencyMs: number

  constructor(clock: ManualClock, latencyMs: number) {
    this.#clock = clock
    this.#latencyMs = latencyMs
  }

  async connect(): Promise<void> {
    if (!this.isUp) throw new DeliveryError('unavailable', 'ECONNREFUSED')
  }

  async deliver(batch: readonly OutboundEvent[]) {
    if (this.#latencyMs > 0) await new Promise<void>((resolve) => this.#clock.after(this.#latencyMs, resolve))
    if (!this.isUp) throw new DeliveryError('unavailable', 'ECONNREFUSED')
    return batch.flatMap(({ attributes, data }, index) => {
      if (this.failing.delete(String(attributes.name))) return [{ index, error: new DeliveryError('failed', '500') }]
      this.taken.push(decodeStructured(structured(attributes, data)))
      return []
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

type Step =
  | { readonly type: 'write'; readonly stream: 0 | 1; readonly name: number; readonly what: 'put' | 'delete' }
  | { readonly type: 'burst'; readonly stream: 0 | 1; readonly names: number; readonly count: number }
  | { readonly type: 'up' | 'down' }
  | { readonly type: 'fail'; readonly name: number }
  | { readonly type: 'pass'; readonly ms: number }

const stream = fc.constantFrom(0 as const, 1 as const)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      stream,
      name: fc.nat(9),
      what: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('burst' as const),
      stream,
      names: fc.integer({ min: 1, max: 30 }),
      count: fc.integer({ min: 1, max: 60 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('up' as const, 'down' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fail' as const), name: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat(5_000) }) },
)

const resources: readonly Resource[] = [
  { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true },
  { group: '', version: 'v1', resource: 'services', kind: 'Service', namespaced: true },
]
const STEP_MS = 10

/** What a server does, step by step, and what is there in the end. A selected stream's objects come back under their uid. */
class Script {
  readonly objects = new Map<string, KubeObject>()
  readonly acts: Act[] = []
  /** Frames so far, at the end of each step. */
  readonly frames: number[] = []
  version = 10
  #written = 0
  #idleMs = 0
  readonly #scope: 'whole' | 'selected'
  readonly first: readonly KubeObject[]

  constructor(scope: 'whole' | 'selected', prefix: string) {
    this.#scope = scope
    this.first = [pod(`shop/${prefix}0`, 3), pod(`shop/${prefix}1`, 4)]
    for (const object of this.first) this.objects.set(object.metadata.name, object)
  }

  write(name: string, what: 'put' | 'delete'): void {
    const known = this.objects.get(name)
    if (what === 'delete' && !known) return
    this.version++
    const born = this.#scope === 'whole' ? `${name}-${this.version}` : `uid-${name}`
    const object = pod(`shop/${name}`, this.version, { uid: known?.metadata.uid ?? born, spec: this.version })
    const frame = what === 'delete' ? deleted(object) : known ? modified(object) : added(object)
    if (what === 'delete') this.objects.delete(name)
    else this.objects.set(name, object)
    this.acts.push({ afterMs: this.#idleMs }, [frame])
    this.#idleMs = 0
    this.#written++
  }

  pass(ms: number): void {
    this.#idleMs += ms
    this.frames.push(this.#written)
  }
}

interface Settings {
  readonly queueEvents: number
  readonly queueBytes: number
  readonly latencyMs: number
  readonly concurrency: number
}

interface Result {
  overflows: number
  merged: number
  /** What the target that comes and goes has taken. */
  taken: readonly Decoded[]
}

async function run(steps: readonly Step[], settings: Settings): Promise<Result> {
  const clock = new ManualClock()
  const scripts = [new Script('whole', 'p'), new Script('selected', 's')] as const
  const nameOf = (which: 0 | 1, name: number) => `${which === 0 ? 'p' : 's'}${name}`
  for (const one of steps) {
    if (one.type === 'write') scripts[one.stream].write(nameOf(one.stream, one.name), one.what)
    if (one.type === 'burst') {
      for (let n = 0; n < one.count; n++) scripts[one.stream].write(nameOf(one.stream, n % one.names), 'put')
    }
    for (const script of scripts) script.pass(one.type === 'pass' ? one.ms : STEP_MS)
  }
  for (const script of scripts) script.acts.push({ afterMs: 100_000 }, [bookmark(script.version + 1)])

  const counts = { overflows: 0, merged: 0 }
  const flaky = new Target(clock, settings.latencyMs)
  const well = new Target(clock, 0)
  const random = () => 0.5
  const deadLetters = new DeadLetterRing()
  const worker = (name: string, sink: Target, limits: { readonly events: number; readonly bytes: number }) =>
    new SinkWorker(
      {
        ...defaults,
        name,
        concurrency: settings.concurrency,
        batch: { events: 3, bytes: 100_000, lingerMs: 0 },
        queue: { ...limits, whenFull: 'coalesce' },
      },
      {
        sink,
        clock,
        random,
        deadLetters,
        limits: {
          maxEventBytes: 1_000_000,
          maxBatchEvents: 3,
          maxBatchBytes: 1_000_000,
          sizeOf: ({ attributes, dataBytes }) => structuredSize(attributes, dataBytes),
          sameKeyInBatch: false,
          concurrency: 4,
        },
        observer: {
          ...noObserver,
          overflowed: () => counts.overflows++,
          merged: (events) => {
            counts.merged += name === 'flaky' ? events : 0
          },
        },
      },
    )
  const workers = [
    worker('flaky', flaky, { events: settings.queueEvents, bytes: settings.queueBytes }),
    worker('well', well, { events: 10_000, bytes: 10_000_000 }),
  ] as const
  const stop = new AbortController()
  const informers: Informer[] = []
  const streams = scripts.map((script, index) => {
    const api = new ScriptedListWatch([list(10, script.first), watch(...script.acts)], clock)
    const scope = index === 0 ? 'whole' : 'selected'
    const informer = new Informer(api, { scope, clock, random, onError: () => {} })
    informer.start(stop.signal)
    informers.push(informer)
    let snapshots = 0
    return new BridgeStream({
      name: `s/${resources[index]?.resource}`,
      cluster: 'c',
      scope: index === 0 ? {} : { labelSelector: 'app=s' },
      resync: { everyMs: 0, snapshot: 'off', verify: false },
      outputs: (ended) =>
        workers.map(
          (one, which) =>
            new Output({
              routed: RoutedView.whole(which === 0 ? 'flaky' : 'well'),
              worker: one,
              onSettled: () => {},
              onRepaid: () => {},
              onSnapshot: (snapshot, outcome) => ended(which === 0 ? 'flaky' : 'well', snapshot, outcome),
            }),
        ),
      required: ['flaky', 'well'],
      store: new MemoryStore(),
      definition: {},
      onStart: () => {},
      past: () => pastOf(new ScriptedListWatch([], clock), 500),
      discover: async () => resources[index] as Resource,
      informer: () => informer,
      onChange: () => {},
      onSkipped: () => {},
      onVerified: () => {},
      onError: (error) => {
        throw error
      },
      snapshotId: () => `r${++snapshots}`,
      clock,
      random,
    })
  })
  const running = streams.map((one) => one.run(stop.signal, stop.signal))
  const live = ({ attributes: { type } }: Decoded) => /object\.(added|updated|deleted)/.test(type)

  await clock.advance(0)
  for (const [index, one] of steps.entries()) {
    if (one.type === 'up' || one.type === 'down') flaky.isUp = one.type === 'up'
    if (one.type === 'fail') flaky.failing.add(nameOf(0, one.name))
    await clock.advance(one.type === 'pass' ? one.ms : STEP_MS)
    const written = scripts.reduce((sum, { frames }) => sum + (frames[index - 1] ?? 0), 0)
    assert.ok(well.taken.filter(live).length >= written, 'I8: a sink that is well has everything at once')
    const { queueEvents, queueBytes, blockedOffers } = workers[0].stats()
    assert.equal(blockedOffers, 0, 'it never blocks')
    assert.ok(queueEvents <= Math.max(settings.queueEvents, 3 * settings.concurrency), `P7: ${queueEvents} events`)
    assert.ok(queueBytes <= settings.queueBytes + 2_000, `P7: ${queueBytes} bytes`)
  }
  flaky.isUp = true
  for (let minute = 0; minute < 400; minute++) await clock.advance(60_000)

  // one that failed while others waited behind it is given up, and nothing makes up for that before the next snapshot
  const judged = deadLetters.total > 0 ? [well] : [flaky, well]
  for (const target of judged) {
    const copy = new Copy()
    for (const event of target.taken) {
      const { completed } = copy.apply(event)
      assert.notEqual(completed?.digests, 'differ', 'I1: digests')
    }
    const truth = scripts.flatMap(({ objects }) => [...objects.values()])
    const expected = truth.map(({ metadata }) => `${metadata.name} ${metadata.uid}@${metadata.resourceVersion}`)
    const found = [...copy.objects()].map(({ subject, uid, resourceVersion }) => {
      return `${subject.split('/')[1]} ${uid}@${resourceVersion}`
    })
    assert.deepEqual(found.sort(), expected.sort(), 'I1: the copy is the cluster')
    checkObjects(target.taken, new Set(truth.map(({ metadata }) => metadata.uid)))
  }
  for (const { outputs, position } of streams) {
    for (const { isOwed, watermark } of outputs) {
      assert.equal(isOwed, false, 'what was owed is repaid')
      assert.equal(watermark.value, position, 'everything is settled')
      assert.equal(watermark.lag, 0)
    }
  }
  for (const one of workers) {
    assert.deepEqual([one.stats().queueEvents, one.stats().queueBytes, one.stats().backingOff], [0, 0, 0])
  }
  stop.abort()
  await Promise.all(running)
  await Promise.all(informers.map((informer) => informer.stopped()))
  for (const one of workers) assert.deepEqual(await one.close(stop.signal), { undelivered: 0 })
  assert.equal(clock.pending, 0)
  return { ...counts, taken: flaky.taken }
}

/** P2, I2: sequences never go back and nothing follows a deletion. P3, I3: whatever was told of and is gone was deleted. */
function checkObjects(events: readonly Decoded[], here: ReadonlySet<string>): void {
  const seen = new Map<string, { sequence: string; type: string; final: boolean }>()
  for (const { attributes } of events) {
    const { uid, sequence, type, id } = attributes
    if (typeof uid !== 'string' || typeof sequence !== 'string') continue
    const before = seen.get(uid)
    assert.ok(!before?.final, `I2: ${id} follows the deletion`)
    assert.ok(!before || sequence >= before.sequence, `P2: ${id} at ${sequence} after ${before?.sequence}`)
    seen.set(uid, { sequence, type, final: id === `${uid}:deleted` })
  }
  for (const [uid, { type }] of seen) {
    assert.equal(type.includes('deleted'), !here.has(uid), `I3: the last that was told of ${uid} is ${type}`)
  }
}

const settings = fc.record({
  queueEvents: fc.integer({ min: 4, max: 40 }),
  queueBytes: fc.constantFrom(5_000, 1_000_000),
  latencyMs: fc.constantFrom(0, 1, 40),
  concurrency: fc.integer({ min: 1, max: 3 }),
})

test('P1 P2 P3 P7 I1 I2 I3 I8 I9 whatever a coalescing sink goes through, in the end its copy is the cluster', async (t) => {
  const total = { overflows: 0, merged: 0 }
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), settings, async (steps, chosen) => {
      const { overflows, merged } = await run(steps, chosen)
      total.overflows += overflows
      total.merged += merged
    }),
    { numRuns: 60, seed },
  )
  t.diagnostic(JSON.stringify(total))
  assert.ok(total.overflows > 0 && total.merged > 0, 'both happened')
})

test('P7 I9 an hour away costs one gap and one snapshot per stream, however much happened', async () => {
  const hour: Step[] = [
    { type: 'pass', ms: 1_000 },
    { type: 'down' },
    { type: 'burst', stream: 0, names: 50, count: 50 },
  ]
  for (let n = 0; n < 120; n++) {
    hour.push(
      { type: 'burst', stream: 0, names: 60, count: 60 },
      { type: 'write', stream: 0, name: n % 60, what: 'delete' },
    )
    hour.push({ type: 'pass', ms: 30_000 })
  }
  hour.push({ type: 'up' })
  const { overflows, taken } = await run(hour, { queueEvents: 40, queueBytes: 1_000_000, latencyMs: 1, concurrency: 2 })
  // the first comes before anybody knows that the target is away: what makes up for it is dropped with the second
  assert.equal(overflows, 2)
  const told = taken.filter(({ attributes }) => attributes.stream === 's/pods').map(({ attributes }) => attributes.type)
  const count = (name: string) => told.filter((type) => type.includes(name)).length
  assert.deepEqual([count('gap'), count('begin'), count('end'), count('aborted')], [1, 2, 2, 0])
  assert.ok(count('deleted') <= 60, 'of those that it may have known when it overflowed, not of all that came and went')
})
