/** Who is at fault, over random streams: a sink that fails everything for a while, and items that it never takes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeliveryError } from './errors.ts'
import { bench, event, ScriptedSink } from './scripted-sink.ts'

const options = { timeoutMs: 300, retry: { initialMs: 100, maxMs: 1000, giveUpAfterMs: 2000 } }
const abort = (id: string) => () => event(id, id, { kind: 'aborted' })

const outage = fc.record({
  from: fc.nat(1000),
  lasts: fc.nat(60_000),
  code: fc.constantFrom(...(['failed', 'timeout', 'conflict'] as const)),
})
const offer = fc.record({
  kind: fc.constantFrom(...(['begin', 'item', 'end', 'change', 'gap'] as const)),
  key: fc.nat(3),
  stream: fc.constantFrom('pods', 'nodes'),
  afterMs: fc.nat(600),
})

test('P1 an outage gives up nothing, however few events see it and however long it lasts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(offer, { minLength: 1, maxLength: 12 }),
      outage,
      async (offers, { from, lasts, code }) => {
        const sink = new ScriptedSink()
        const run = await bench({ sink, options, random: () => 0.5 })
        const start = run.clock.monotonic()
        sink.respond = async () => {
          const takesMs = code === 'timeout' ? 300 : 10
          await new Promise<void>((resolve) => run.clock.after(takesMs, resolve))
          const now = run.clock.monotonic() - start
          if (now >= from && now < from + lasts) throw new DeliveryError(code, 'no')
          return []
        }
        for (const [n, { kind, key, stream, afterMs }] of offers.entries()) {
          const id = `${n}`
          const name = kind === 'item' || kind === 'change' ? `${stream}/${key}` : `${stream}/${kind}`
          run.offer(event(id, name, { kind, stream, ...(kind === 'end' && { aborted: abort(id) }) }))
          await run.clock.advance(afterMs)
        }
        await run.clock.advance(120_000)
        assert.equal(run.deadLetters.total, 0)
        assert.equal(run.acks.length, offers.length)
        assert.equal(run.worker.stats().state, 'open')
      },
    ),
    { numRuns: 150 },
  )
})

test('P6 items that are never taken do not keep a consumer from the end of more than one snapshot in a row', async () => {
  const items = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 })
  const latencies = fc.array(fc.nat(60), { minLength: 1, maxLength: 12 })
  const changes = fc.array(fc.nat(11), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(items, latencies, changes, async (poison, latencyMs, changed) => {
      const sink = new ScriptedSink()
      const run = await bench({ sink, options, random: () => 0.5 })
      let attempts = 0
      sink.respond = async ([first]) => {
        const takesMs = latencyMs[attempts++ % latencyMs.length] ?? 0
        await new Promise<void>((resolve) => run.clock.after(takesMs, resolve))
        if (first?.key.startsWith('poison')) throw new DeliveryError('failed', '500')
        return []
      }
      for (let snapshot = 0; snapshot < 6; snapshot++) {
        run.offer(event('begin', 'begin', { kind: 'begin' }))
        for (const [n, bad] of poison.entries())
          run.offer(event('item', `${bad ? 'poison' : 'good'}-${n}`, { kind: 'item' }))
        run.offer(event('end', 'end', { kind: 'end', aborted: abort('end') }))
        for (const n of changed) run.offer(event('change', `good-${n}`))
        await run.clock.advance(5000)
      }
      await run.clock.advance(60_000)
      const ends = run.acks.filter(([id]) => id === 'end').map(([, { type }]) => type)
      assert.equal(ends.length, 6)
      for (const [n, type] of ends.entries()) assert.ok(type === 'delivered' || ends[n - 1] !== 'aborted', `${ends}`)
      assert.ok(run.acks.every(([id, { type }]) => id === 'item' || type !== 'dead-lettered'))
    }),
    { numRuns: 100 },
  )
})

/** Takes so many events in each second; of what is more it says `throttled`, event by event. */
class Quota {
  perSecond: number
  readonly #now: () => number
  #second = -1
  #left = 0

  constructor(perSecond: number, now: () => number) {
    this.perSecond = perSecond
    this.#now = now
  }

  take(): boolean {
    const second = Math.floor(this.#now() / 1000)
    if (second !== this.#second) this.#left = this.perSecond
    this.#second = second
    return this.#left-- > 0
  }
}

test('P1 P2 P9 a quota that is used up, for a part of a batch or a whole one, costs no event: all arrive, in order', async () => {
  const arbitrary = fc.record({
    perSecond: fc.integer({ min: 1, max: 20 }),
    batch: fc.integer({ min: 1, max: 10 }),
    concurrency: fc.integer({ min: 1, max: 8 }),
    keys: fc.integer({ min: 1, max: 60 }),
    count: fc.integer({ min: 1, max: 150 }),
    latencies: fc.array(fc.nat(299), { minLength: 1, maxLength: 5 }),
    forbidden: fc.option(fc.nat(59), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ perSecond, batch, concurrency, keys, count, latencies, forbidden }) => {
      const sink = new ScriptedSink()
      /** Batches that began since the last pause, and how many of them there may be. */
      let era = { inFlight: 0, bound: concurrency }
      const run = await bench({
        sink,
        options: { ...options, concurrency, batch: { events: batch, bytes: 100_000, lingerMs: 0 } },
        random: () => 0.5,
        observer: {
          state: (state) => {
            if (state.type === 'paused' && state.code === 'throttled') era = { inFlight: 0, bound: 1 }
          },
        },
      })
      const quota = new Quota(perSecond, () => run.clock.monotonic())
      const landed: { readonly key: string; readonly n: number }[] = []
      let attempts = 0
      let tooMany = 0
      sink.respond = async (entries) => {
        const mine = era
        if (++mine.inFlight > mine.bound) tooMany++
        const latencyMs = latencies[attempts++ % latencies.length] ?? 0
        await new Promise<void>((resolve) => run.clock.after(latencyMs, resolve))
        const company = entries.some(({ key }) => key !== `${forbidden}`)
        const failures = entries.flatMap(({ key, attributes }, index) => {
          if (key === `${forbidden}` && company) return [{ index, error: new DeliveryError('unauthorized', 'no') }]
          if (!quota.take()) return [{ index, error: new DeliveryError('throttled', '429') }]
          landed.push({ key, n: Number(attributes.id) })
          return []
        })
        mine.inFlight--
        if (failures.length < entries.length) mine.bound = Math.min(concurrency, mine.bound + 1)
        return failures
      }
      const arrive = async (total: number) => {
        for (let minute = 0; minute < 60 && run.acks.length < total; minute++) await run.clock.advance(60_000)
        assert.equal(run.acks.length, total, 'P9: nothing is stuck')
      }
      run.offer(...Array.from({ length: count }, (_, n) => event(`${n}`, `${n % keys}`)))
      await arrive(count)
      assert.equal(tooMany, 0, 'no more in flight than 1, and one more for each that delivered')
      for (const [id, outcome] of run.acks) {
        if (outcome.type === 'delivered') continue
        assert.ok(outcome.type === 'dead-lettered' && outcome.code === 'unauthorized', `${id}: ${outcome.type}`)
        assert.equal(Number(id) % keys, forbidden)
      }
      for (const [place, { key, n }] of landed.entries()) {
        assert.ok(!landed.slice(0, place).some((before) => before.key === key && before.n > n), `P2: ${n} of ${key}`)
      }
      quota.perSecond = Number.POSITIVE_INFINITY
      await run.clock.advance(1000)
      run.offer(...Array.from({ length: 500 }, (_, n) => event(`more ${n}`, `more ${n}`)))
      await arrive(count + 500)
      assert.equal(run.worker.stats().permitted, concurrency, 'P9: it reaches all that is configured')
    }),
    { numRuns: 60 },
  )
})
