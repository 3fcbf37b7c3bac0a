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
