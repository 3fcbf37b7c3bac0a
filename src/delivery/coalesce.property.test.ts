/** A worker with `whenFull: coalesce` over random targets, held against what each offer was about. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../lib/manual-clock.ts'
import { DeadLetterRing } from './dead-letters.ts'
import type { Outcome } from './entry.ts'
import { DeliveryError } from './errors.ts'
import { defaults, event, version, type What } from './scripted-sink.ts'
import type { OutboundEvent, Sink } from './sink.ts'
import { SinkWorker } from './worker.ts'

const STREAMS = ['pods', 'nodes'] as const

type Step =
  | { readonly type: 'write'; readonly stream: 0 | 1; readonly object: number; readonly bytes: number }
  | { readonly type: 'delete'; readonly stream: 0 | 1; readonly object: number }
  | { readonly type: 'mark'; readonly stream: 0 | 1; readonly kind: 'begin' | 'end' | 'gap' | 'aborted' | 'item' }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'answers'; readonly answer: Answer }

type Answer = 'ok' | 'unavailable' | 'failed' | 'rejected' | 'slow'

const stream = fc.constantFrom(0 as const, 1 as const)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      stream,
      object: fc.nat(6),
      bytes: fc.integer({ min: 10, max: 60 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), stream, object: fc.nat(6) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('mark' as const),
      stream,
      kind: fc.constantFrom('begin' as const, 'end' as const, 'gap' as const, 'aborted' as const, 'item' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat(1_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('answers' as const),
      answer: fc.constantFrom(
        ...(['ok', 'ok', 'unavailable', 'unavailable', 'failed', 'rejected', 'slow'] as const satisfies Answer[]),
      ),
    }),
  },
)
const settings = fc.record({
  events: fc.integer({ min: 4, max: 40 }),
  bytes: fc.constantFrom(300, 100_000),
  concurrency: fc.integer({ min: 1, max: 3 }),
  batchEvents: fc.integer({ min: 1, max: 4 }),
  lingerMs: fc.constantFrom(0, 5),
  order: fc.constantFrom('key' as const, 'none' as const),
  sameKeyInBatch: fc.boolean(),
})

interface Offered {
  readonly id: string
  readonly n: number
  readonly stream: string
  readonly key: string
  readonly what: What | 'marker'
  /** How many markers its stream had offered before. */
  readonly era: number
}

test('P1 P2 P3 P7 whatever the target does, each offer is settled once, by itself or by what stands for it', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const total = { merged: 0, overflowed: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120, size: 'max' }), settings, async (steps, chosen) => {
      const { events, bytes, concurrency, batchEvents, lingerMs, order, sameKeyInBatch } = chosen
      const clock = new ManualClock()
      const landed: OutboundEvent[] = []
      let answer: Answer = 'ok'
      const sink: Sink = {
        async connect() {},
        async deliver(batch) {
          const fate = answer
          if (fate === 'slow') await new Promise<void>((resolve) => clock.after(200, resolve))
          if (fate === 'ok' || fate === 'slow') {
            for (const one of batch) landed.push(one)
            return []
          }
          throw new DeliveryError(fate, fate)
        },
        async [Symbol.asyncDispose]() {},
      }
      const deadLetters = new DeadLetterRing()
      const queue = { events, bytes, whenFull: 'coalesce' } as const
      const batch = { events: batchEvents, bytes: 200, lingerMs }
      const limits = {
        maxEventBytes: 1_000_000,
        maxBatchEvents: 100,
        maxBatchBytes: 1_000_000,
        sizeOf: ({ dataBytes }: OutboundEvent) => dataBytes,
        sameKeyInBatch,
        concurrency: 4,
      }
      const worker = new SinkWorker(
        { ...defaults, order, concurrency, batch, queue },
        { sink, limits, clock, deadLetters, random: () => 0.5 },
      )
      const { signal } = new AbortController()
      const offers: Offered[] = []
      const outcomes = new Map<string, Outcome[]>()
      const exists = new Set<string>()
      const eras: Record<string, number> = {}
      let accepted = 0
      const offer = (one: OutboundEvent, what: Offered['what']) => {
        const { id } = one.attributes
        const era = eras[one.stream] ?? 0
        if (what === 'marker' && one.kind !== 'item') eras[one.stream] = era + 1
        offers.push({ id, n: offers.length, stream: one.stream, key: one.key, what, era })
        outcomes.set(id, [])
        const ack = (outcome: Outcome) => outcomes.get(id)?.push(outcome)
        void worker.offer(one, ack, signal).then(() => accepted++)
      }
      for (const [n, one] of steps.entries()) {
        if (one.type === 'pass') await clock.advance(one.ms)
        else if (one.type === 'answers') answer = one.answer
        else if (one.type === 'mark') {
          const name = STREAMS[one.stream]
          const marker = event(`${n}`, `${name}:${one.kind}`, {
            kind: one.kind,
            stream: name,
            ...(one.kind === 'end' && {
              aborted: () => event(`${n}`, `${name}:end`, { kind: 'aborted', stream: name }),
            }),
          })
          offer(marker, 'marker')
        } else {
          const name = STREAMS[one.stream]
          const uid = `${name}${one.object}`
          if (one.type === 'delete' && !exists.has(uid)) continue
          const what = one.type === 'delete' ? 'deleted' : exists.has(uid) ? 'updated' : 'added'
          if (what === 'deleted') exists.delete(uid)
          else exists.add(uid)
          offer(version(uid, n, what, { stream: name, dataBytes: one.type === 'write' ? one.bytes : 10 }), what)
        }
        const { queueEvents, queueBytes } = worker.stats()
        assert.ok(queueEvents <= Math.max(events, concurrency * batchEvents + 1), `P7: ${queueEvents} events`)
        assert.ok(queueBytes <= bytes + 60, `P7: ${queueBytes} bytes`)
      }
      await clock.advance(0)
      assert.equal(accepted, offers.length, 'nobody ever waits')
      answer = 'ok'
      for (let hour = 0; hour < 48 && worker.stats().queueEvents > 0; hour++) await clock.advance(3_600_000)
      const { queueEvents, queueBytes, backingOff } = worker.stats()
      assert.deepEqual([queueEvents, queueBytes, backingOff], [0, 0, 0])

      const place = new Map(landed.map(({ attributes }, index) => [attributes.id, index]))
      for (const one of offers) {
        const [outcome, ...more] = outcomes.get(one.id) ?? []
        assert.ok(outcome && more.length === 0, `P1: ${one.id} is settled once`)
        if (outcome.type === 'delivered' || outcome.type === 'aborted') assert.ok(place.has(one.id), one.id)
        if (outcome.type === 'overflowed') total.overflowed++
        if (outcome.type !== 'merged') continue
        total.merged++
        const successor = survivor(one, offers, outcomes)
        assert.ok(successor, `P1: something newer of ${one.key} stands for ${one.id}`)
        assert.equal(successor.era, one.era, 'never across a marker')
        if (one.what === 'deleted') assert.equal(successor.what, 'deleted', 'P3: a deletion only for a deletion')
        const sent = landed[place.get(successor.id) ?? -1]
        if (sent) assert.equal(sent.attributes.collapsed, true, 'P5: and says so')
      }
      if (order === 'key') checkOrder(landed, offers)
      assert.deepEqual(await worker.close(signal), { undelivered: 0 })
      assert.equal(clock.pending, 0)
    }),
    { numRuns: 200, seed },
  )
  t.diagnostic(JSON.stringify(total))
  assert.ok(total.merged > 0 && total.overflowed > 0)
})

/** The next one of its object that was settled for itself. */
function survivor(
  { n, key, stream: name }: Offered,
  offers: readonly Offered[],
  outcomes: ReadonlyMap<string, readonly Outcome[]>,
): Offered | undefined {
  return offers
    .slice(n + 1)
    .find((later) => later.key === key && later.stream === name && outcomes.get(later.id)?.[0]?.type !== 'merged')
}

/** P2: per key in the order of the offers. P6: nothing passes a marker, but what it need not wait for. */
function checkOrder(landed: readonly OutboundEvent[], offers: readonly Offered[]): void {
  const places = new Map(offers.map(({ id, n }) => [id, n]))
  const last = new Map<string, number>()
  for (const { attributes, key, stream: name, kind } of landed) {
    const n = places.get(attributes.id) ?? -1
    assert.ok(n >= (last.get(key) ?? -1), `P2: ${attributes.id} after ${last.get(key)}`)
    last.set(key, n)
    if (kind !== 'begin' && kind !== 'gap' && kind !== 'end') continue
    const index = landed.findIndex((one) => one.attributes.id === attributes.id)
    const before = landed.slice(0, index).filter((one) => one.stream === name)
    assert.ok(
      before.every((one) => (places.get(one.attributes.id) ?? -1) < n),
      `P6: something overtook ${kind} ${attributes.id}`,
    )
  }
}
