/** The promises of a worker over random targets: latencies, failures of every class, lost answers, outages, fences. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../lib/manual-clock.ts'
import { DeadLetterRing } from './dead-letters.ts'
import type { Outcome } from './entry.ts'
import { DeliveryError, type DeliveryErrorCode } from './errors.ts'
import { defaults, event } from './scripted-sink.ts'
import type { DeliverContext, Failure, OutboundEvent, Sink } from './sink.ts'
import { SinkWorker } from './worker.ts'

/** What the target does with one event of an attempt. */
interface Fate {
  readonly latencyMs: number
  readonly code: DeliveryErrorCode | 'ok' | 'unknown'
  /** It fails although the target has taken the event. */
  readonly lands: boolean
}

interface Landing {
  readonly id: string
  readonly key: string
  readonly stream: string
  readonly kind: OutboundEvent['kind']
}

/** A target that remembers what it took, in order; each event lands, or not, when its latency is over. */
class RandomTarget implements Sink {
  readonly landed: Landing[] = []
  /** Keys in attempts that have not settled. */
  readonly busy = new Map<string, number>()
  overlaps = 0
  mostInFlight = 0
  #inFlight = 0
  readonly #fates: readonly Fate[]
  #next = 0
  readonly #clock: ManualClock
  readonly #sameKeyInBatch: boolean

  constructor(fates: readonly Fate[], clock: ManualClock, sameKeyInBatch: boolean) {
    this.#fates = fates
    this.#clock = clock
    this.#sameKeyInBatch = sameKeyInBatch
  }

  async connect(): Promise<void> {}

  async deliver(batch: readonly OutboundEvent[], { signal }: DeliverContext): Promise<readonly Failure[]> {
    const keys = this.#sameKeyInBatch ? new Set(batch.map(({ key }) => key)) : batch.map(({ key }) => key)
    for (const key of keys) {
      if (this.busy.has(key)) this.overlaps++
      this.busy.set(key, (this.busy.get(key) ?? 0) + 1)
    }
    this.mostInFlight = Math.max(this.mostInFlight, ++this.#inFlight)
    try {
      return await this.#take(batch, signal)
    } finally {
      this.#inFlight--
      for (const key of keys) {
        const count = (this.busy.get(key) ?? 0) - 1
        if (count > 0) this.busy.set(key, count)
        else this.busy.delete(key)
      }
    }
  }

  async #take(batch: readonly OutboundEvent[], signal: AbortSignal): Promise<readonly Failure[]> {
    const fate = this.#fate()
    // a request that was sent is not stopped by an abort: it lands or not, and only then is settled
    await new Promise<void>((resolve) => this.#clock.after(fate.latencyMs, resolve))
    if (fate.code === 'unknown') throw new TypeError('what')
    if (fate.code !== 'ok' && !fate.lands) throw new DeliveryError(fate.code, 'all of it')
    const failures: Failure[] = []
    const alone = batch.length === 1 || this.#sameKeyInBatch // then all of a batch share one fate
    for (const [index, one] of batch.entries()) {
      const { code, lands } = alone ? fate : this.#fate()
      const fails = code !== 'ok' && code !== 'unknown'
      if (!fails || lands) {
        this.landed.push({ id: one.attributes.id, key: one.key, stream: one.stream, kind: one.kind })
      }
      if (fails) failures.push({ index, error: new DeliveryError(code, 'this') })
    }
    if (signal.aborted) throw signal.reason
    return failures
  }

  /** The script, then only success: so that it comes to an end. */
  #fate(): Fate {
    return this.#fates[this.#next++] ?? { latencyMs: 1, code: 'ok', lands: true }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const fate: fc.Arbitrary<Fate> = fc.record({
  latencyMs: fc.oneof({ weight: 8, arbitrary: fc.nat(30) }, { weight: 1, arbitrary: fc.constant(20_000) }),
  code: fc.oneof(
    { weight: 12, arbitrary: fc.constant('ok' as const) },
    {
      weight: 5,
      arbitrary: fc.constantFrom(
        ...([
          'failed',
          'conflict',
          'unavailable',
          'unauthorized',
          'throttled',
          'rejected',
          'too-large',
          'unknown',
        ] as const),
      ),
    },
  ),
  lands: fc.boolean(),
})

const offered = fc.record({
  stream: fc.constantFrom('pods', 'nodes'),
  what: fc.oneof(
    { weight: 12, arbitrary: fc.nat(4).map((key) => ({ kind: 'change' as const, key: `key-${key}` })) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(...(['begin', 'end', 'gap', 'aborted'] as const)).map((kind) => ({ kind, key: kind })),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'gap', key: 'gap', supersedes: 'stream' } as const) },
  ),
  pauseMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2000) }),
  bytes: fc.integer({ min: 10, max: 120 }),
})

const settings = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  batchEvents: fc.integer({ min: 1, max: 4 }),
  queueEvents: fc.integer({ min: 4, max: 60 }),
  lingerMs: fc.constantFrom(0, 5),
  sameKeyInBatch: fc.boolean(),
})

test('P1 P2 P6 P7 S15 whatever the target does, the promises hold', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(offered, { minLength: 1, maxLength: 40 }),
      fc.array(fate, { maxLength: 60 }),
      settings,
      async (offers, fates, { concurrency, batchEvents, queueEvents, lingerMs, sameKeyInBatch }) => {
        const clock = new ManualClock()
        const target = new RandomTarget(fates, clock, sameKeyInBatch)
        const queue = { events: queueEvents, bytes: 1000, whenFull: 'block' } as const
        const deadLetters = new DeadLetterRing()
        const batch = { events: batchEvents, bytes: 300, lingerMs }
        const worker = new SinkWorker(
          { ...defaults, concurrency, batch, queue },
          {
            sink: target,
            limits: { ...limits, sameKeyInBatch },
            clock,
            deadLetters,
            random: () => 0.5,
          },
        )
        const { signal } = new AbortController()
        const events = offers.map(({ stream, what, bytes }, n) => {
          const key = `${stream}/${what.key}`
          return event(`${n}`, key, {
            kind: what.kind,
            stream,
            dataBytes: bytes,
            ...('supersedes' in what && { supersedes: what.supersedes }),
            ...(what.kind === 'end' && { aborted: () => event(`${n}`, key, { kind: 'aborted', stream }) }),
          })
        })
        const outcomes = new Map<string, Outcome[]>()
        const accepted = new Set<string>()
        for (const [n, one] of events.entries()) {
          const { id } = one.attributes
          outcomes.set(id, [])
          const ack = (outcome: Outcome) => {
            const isVoid = events.slice(n + 1).some((later) => later.supersedes && later.stream === one.stream)
            if (outcome.type === 'dropped') assert.ok(isVoid, 'P1: nothing else is dropped')
            else if (outcome.type !== 'dead-lettered') {
              assert.ok(
                target.landed.some((landing) => landing.id === id),
                'P1: it landed',
              )
            }
            outcomes.get(id)?.push(outcome)
          }
          void worker.offer(one, ack, signal).then(() => accepted.add(id))
          await clock.advance(offers[n]?.pauseMs ?? 0)
          const stats = worker.stats()
          assert.ok(stats.queueEvents <= queue.events, 'P7: events')
          assert.ok(stats.queueBytes <= queue.bytes, 'P7: bytes')
        }
        for (let hour = 0; hour < 48 && worker.stats().queueEvents > 0; hour++) await clock.advance(3_600_000)

        assert.equal(accepted.size, events.length, 'all were accepted')
        for (const [id, list] of outcomes) assert.equal(list.length, 1, `P1: ${id} is settled exactly once`)
        const givenUp = [...outcomes.values()].flat().filter((outcome) => outcome.type === 'dead-lettered')
        assert.equal(deadLetters.total, givenUp.length)
        assert.ok(
          givenUp.every(({ code }) => code !== 'throttled'),
          'P1: nobody pays for a quota',
        )
        assert.equal(target.overlaps, 0, 'P2: one attempt per lane')
        assert.ok(target.mostInFlight <= concurrency)
        const { permitted, ...stats } = worker.stats()
        assert.ok(permitted >= 1 && permitted <= concurrency)
        assert.deepEqual(stats, {
          state: 'open',
          queueEvents: 0,
          queueBytes: 0,
          oldestAgeMs: 0,
          blockedOffers: 0,
          coalescing: false,
          inFlight: 0,
          backingOff: 0,
        })
        // where the events of a key fail together they are repeated together: what counts is who came first
        const landed = sameKeyInBatch ? firstLandings(target.landed) : target.landed
        checkOrder(landed)
        checkFences(landed)
        checkSuperseded(target.landed, events)
        assert.deepEqual(await worker.close(signal), { undelivered: 0 })
        assert.equal(clock.pending, 0)
      },
    ),
    { numRuns: 200 },
  )
})

const limits = {
  maxEventBytes: 1_000_000,
  maxBatchEvents: 100,
  maxBatchBytes: 1_000_000,
  sizeOf: ({ dataBytes }: OutboundEvent) => dataBytes,
  concurrency: 4,
}

function firstLandings(landed: readonly Landing[]): readonly Landing[] {
  const seen = new Set<string>()
  return landed.filter(({ id }) => seen.size < seen.add(id).size)
}

/** P2: per key, once a later event has landed no earlier one lands. Ids count up in the order of the offers. */
function checkOrder(landed: readonly Landing[]): void {
  const last = new Map<string, number>()
  for (const { id, key } of landed) {
    assert.ok(Number(id) >= (last.get(key) ?? -1), `P2: ${id} of ${key} landed after ${last.get(key)}`)
    last.set(key, Number(id))
  }
}

/** P6: per stream, nothing offered after a begin or gap lands before it; an `end` parts what is before it from the rest. */
function checkFences(landed: readonly Landing[]): void {
  for (const [place, fence] of landed.entries()) {
    const after = landed.slice(place).filter(({ stream }) => stream === fence.stream)
    const before = landed.slice(0, place).filter(({ stream }) => stream === fence.stream)
    if (fence.kind === 'begin' || fence.kind === 'gap' || fence.kind === 'end') {
      assert.ok(
        !before.some(({ id }) => Number(id) > Number(fence.id)),
        `P6: something overtook ${fence.kind} ${fence.id}`,
      )
    }
    if (fence.kind === 'end') {
      assert.ok(!after.some(({ id }) => Number(id) < Number(fence.id)), `P6: end ${fence.id} overtook something`)
    }
  }
}

/** P4: once anything of a stream's new history has landed, nothing of the old one does. Repetitions count. */
function checkSuperseded(landed: readonly Landing[], events: readonly OutboundEvent[]): void {
  for (const { supersedes, stream, attributes } of events) {
    if (!supersedes) continue
    const ids = landed.filter((landing) => landing.stream === stream).map(({ id }) => Number(id))
    const first = ids.findIndex((id) => id >= Number(attributes.id))
    assert.ok(first < 0 || ids.slice(first).every((id) => id >= Number(attributes.id)), `P4: ${attributes.id}: ${ids}`)
  }
}
