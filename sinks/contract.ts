/**
 * What every sink must pass, whatever it talks to. Call `testSink` in a test file beside the sink, with a harness that
 * starts a real target, or one that behaves like it. Rows that a harness has no means for are not run. Sinks that are not
 * part of the project import it as `deltawire/sink-contract`, see docs/write-a-sink.md.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { pino } from 'pino'
import { DeliveryError, deliveryErrors, type SinkContext } from '../src/delivery/sink.ts'
import { systemClock } from '../src/lib/clock.ts'
import type { JsonSchema } from '../src/lib/json-schema.ts'
import { ManualClock } from '../src/lib/manual-clock.ts'
import {
  assertOrder,
  assertReceived,
  CANARY,
  event,
  failureOf,
  heapUsed,
  makeSink,
  never,
  numbered,
  options,
  through,
  validate,
} from './contract-kit.ts'
import type { Received, SinkHarness, SinkTarget } from './contract-target.ts'

export { event, makeSink, numbered } from './contract-kit.ts'
export { type Cut, type Received, type SinkHarness, type SinkTarget, untilWoken } from './contract-target.ts'
export { decodeStructured } from './decode.ts'

export function testSink<S extends JsonSchema>(name: string, harness: SinkHarness<S>): void {
  const { definition } = harness
  const row = (title: string, run: (target: SinkTarget) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      await using target = await harness.start()
      await run(target)
    })
  const make = (target: SinkTarget, context: Partial<SinkContext> = {}) => makeSink(definition, target, context)

  row('S1 it has a type, a schema that refuses unknown keys and describes each, and limits', async (target) => {
    assert.match(definition.type, /^[a-z][a-z0-9-]*$/)
    assert.ok(validate(definition.schema, { ...target.config }))
    assert.ok(!validate(definition.schema, { ...target.config, noSuchKey: 1 }))
    for (const [key, property] of Object.entries(definition.schema.properties ?? {})) {
      assert.ok(property.description, `${key} has a description`)
    }
    const { limits } = make(target)
    assert.ok(limits.maxEventBytes > 0 && limits.maxEventBytes <= limits.maxBatchBytes)
    assert.ok(limits.maxBatchEvents >= 1 && limits.concurrency >= 1)
  })

  row('S1 to create and to dispose it does no I/O', async (target) => {
    const { sink } = make(target)
    await sink[Symbol.asyncDispose]()
    assert.equal(target.attempts(), 0)
    assert.equal(target.connections?.() ?? 0, 0)
  })

  row('S2 connect honours a signal that has aborted', async (target) => {
    const { sink } = make(target)
    await using _ = sink
    const connected = sink.connect(AbortSignal.abort(new Error('enough'))).then(() => 'connected')
    // a sink with nothing to connect to may have connected already
    assert.match(await connected.catch(String), /^(connected|Error: enough)$/)
  })

  row('S2 connect fails cleanly while the target is away, and succeeds later', async (target) => {
    const { sink } = make(target)
    await using _ = sink
    if (!target.stop || !target.restart) {
      await sink.connect(never())
      return
    }
    await target.stop()
    for (let time = 0; time < 2; time++) {
      await assert.rejects(
        sink.connect(never()),
        (error) => error instanceof DeliveryError && error.code === 'unavailable',
      )
    }
    await target.restart()
    await sink.connect(never())
  })

  row('S3 an empty batch, one event, a full batch: each is received once, equal to the byte', async (target) => {
    const { sink, limits } = make(target)
    await using _ = sink
    await sink.connect(never())
    assert.deepEqual(await sink.deliver([], { signal: never() }), [])
    const events = numbered(1 + limits.maxBatchEvents)
    assert.deepEqual(await sink.deliver(events.slice(0, 1), { signal: never() }), [])
    assert.deepEqual(await sink.deliver(events.slice(1), { signal: never() }), [])
    assertReceived(target, events)
  })

  row('S3 sizeOf is the size on the wire, up to maxEventBytes exactly', async (target) => {
    const { sink, limits } = make(target)
    await using _ = sink
    await sink.connect(never())
    const empty = limits.sizeOf(event({ id: 'full', data: '""' }))
    const full = event({ id: 'full', data: `"${'x'.repeat(limits.maxEventBytes - empty)}"` })
    assert.equal(limits.sizeOf(full), limits.maxEventBytes)
    assert.deepEqual(await sink.deliver([full], { signal: never() }), [])
    assertReceived(target, [full])
  })

  row('S4 unusual content arrives as it is', async (target) => {
    const { sink } = make(target)
    await using _ = sink
    await sink.connect(never())
    const { subject: _subject, ...withoutSubject } = event({ id: 'no subject' }).attributes
    const events = [
      event({ id: 'Euro € 😀', subject: 'naïve "x" %', data: '{"text":"Euro € 😀 \\" \\\\ \\n % \\u2028"}' }),
      event({ id: 'system:node/π', subject: 'a%20b+c', twentycharactername1: 'x', data: '9223372036854775807' }),
      event({ id: 'time', time: '2026-01-01T00:00:00.123456Z', collapsed: true, data: '[1.0,1e3,-0]' }),
      event({ id: 'null', data: 'null' }),
      { ...event({ id: 'without data' }), data: undefined, dataBytes: 0 },
      { ...event({ id: 'no subject' }), attributes: withoutSubject },
    ]
    for (const one of events) assert.deepEqual(await sink.deliver([one], { signal: never() }), [], one.attributes.id)
    assertReceived(target, events)
  })

  row('S5 P2 10,000 events over 100 keys: each once, in order per key', async (target) => {
    const made = make(target)
    const run = through(made, systemClock)
    const events = numbered(10_000, 100)
    for (const one of events) await run.offer(one)
    assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
    assert.equal(target.received().length, events.length)
    assertOrder(target.received(), made.limits)
  })

  for (const [answer, code, retryAfterMs] of harness.answers ?? []) {
    row(
      `S7 ${answer} is ${code}${retryAfterMs === undefined ? '' : `, Retry-After ${retryAfterMs} ms`}`,
      async (target) => {
        const clock = new ManualClock('2026-01-01T00:00:00Z')
        const { sink } = make(target, { clock })
        await using _ = sink
        await sink.connect(never())
        target.fail?.(answer)
        const error = await failureOf(sink, event({ id: '1' }))
        assert.equal(error.code, code)
        assert.equal(error.retryAfterMs, retryAfterMs)
        assert.equal(target.received().length, 0)
      },
    )
  }

  if (harness.answers) {
    row('S6 of a batch only what failed is sent again', async (target) => {
      const run = through(make(target), systemClock)
      for (const [answer, code] of harness.answers ?? []) {
        if (deliveryErrors[code].class !== 'event') continue
        target.fail?.(answer)
        await run.offer(event({ id: `failed once with ${answer}` }))
        await run.offer(event({ id: `beside ${answer}`, partitionkey: answer }))
      }
      await run.worker.close(never())
      const ids = target.received().map(({ attributes }) => attributes.id)
      assert.equal(new Set(ids).size, ids.length)
      assert.equal(ids.length, run.outcomes.size)
    })
  }

  row('S8 without an answer the attempt ends when its time is up, not as a permanent failure', async (target) => {
    const clock = new ManualClock()
    const run = through(make(target, { clock }), clock)
    target.stall()
    await run.offer(event({ id: '1' }))
    // small steps, here and below: the target answers in real time, and no attempt must be over before it did
    while (target.attempts() === 0) await clock.advance(1)
    assert.deepEqual(run.results, [])
    await clock.advance(options.timeoutMs)
    await run.until(() => run.results.length > 0)
    const [result] = run.results
    assert.ok(result === 'timeout' || result === 'unavailable', result)
    target.flow()
    const closing = run.worker.close(never())
    while (run.outcomes.size === 0) await clock.advance(1)
    assert.deepEqual(await closing, { undelivered: 0 })
    assert.ok(target.received().every(({ attributes }) => attributes.id === '1'))
  })

  for (const where of ['before', 'mid-request', 'mid-answer'] as const) {
    row(
      `S8 P1 a connection cut ${where}: the sink is unavailable, then the same event is sent again`,
      async (target) => {
        const made = make(target)
        await made.sink.connect(never())
        target.cut(where)
        if (!target.restart) {
          const error = await failureOf(made.sink, event({ id: '1' }))
          assert.equal(error.code, 'unavailable')
          await made.sink[Symbol.asyncDispose]()
          return
        }
        const run = through(made, systemClock)
        await run.offer(event({ id: '1' }))
        await run.worker.close(never())
        assert.deepEqual(run.results, ['unavailable', 'delivered'])
        const ids = target.received().map(({ attributes }) => attributes.id)
        assert.deepEqual(ids, where === 'mid-answer' ? ['1', '1'] : ['1'])
      },
    )
  }

  row('S9 an event above maxEventBytes goes to the dead letters and stops nobody', async (target) => {
    const run = through(make(target), systemClock)
    await run.offer(event({ id: 'huge', data: `"${'x'.repeat(options.maxEventBytes)}"` }))
    await run.offer(event({ id: 'next' }))
    await run.worker.close(never())
    assert.deepEqual(
      target.received().map(({ attributes }) => attributes.id),
      ['next'],
    )
    assert.equal(run.outcomes.get('huge')?.type, 'dead-lettered')
  })

  row('S10 P9 it heals when the target comes back, in the same process', async (target) => {
    if (!target.stop || !target.restart) return
    const made = make(target)
    const run = through(made, systemClock)
    const events = numbered(200, 10)
    for (const one of events.slice(0, 100)) await run.offer(one)
    await target.until(() => target.received().length > 10)
    await target.stop()
    for (const one of events.slice(100)) await run.offer(one)
    await run.until(() => run.results.includes('unavailable'))
    await target.restart()
    assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
    assert.equal(new Set(target.received().map(({ attributes }) => attributes.id)).size, events.length)
    assertOrder(target.received(), made.limits)
  })

  row('S11 an attempt that is aborted settles, and nothing is sent afterwards', async (target) => {
    const { sink } = make(target)
    await sink.connect(never())
    target.stall()
    const controller = new AbortController()
    const delivery = sink.deliver([event({ id: '1' })], { signal: controller.signal })
    await target.until(() => target.attempts() > 0)
    controller.abort(new Error('enough'))
    await assert.rejects(delivery)
    await sink[Symbol.asyncDispose]()
    await target.until(() => (target.connections?.() ?? 0) === 0)
    target.flow()
    if (harness.recallable) assert.deepEqual(target.received(), [])
    await assert.rejects(sink.deliver([event({ id: '2' })], { signal: controller.signal }))
    assert.ok(!target.received().some(({ attributes }) => attributes.id === '2'))
  })

  row('S12 dispose waits for what is in flight, may be called twice and leaves no connection', async (target) => {
    const { sink } = make(target)
    await sink.connect(never())
    const delivery = sink.deliver([event({ id: '1' })], { signal: never() })
    const disposed = Promise.all([sink[Symbol.asyncDispose](), sink[Symbol.asyncDispose]()])
    const settled: string[] = []
    await Promise.all([delivery.then(() => settled.push('delivery')), disposed.then(() => settled.push('dispose'))])
    assert.deepEqual(settled, ['delivery', 'dispose'])
    await sink[Symbol.asyncDispose]()
    await target.until(() => (target.connections?.() ?? 0) === 0)
  })

  row('P8 S13 no secret and no payload is in an error or a log line', async (target) => {
    const lines: string[] = []
    const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
    const { sink } = make(target, { logger })
    await using _ = sink
    await sink.connect(never())
    const secret = event({ id: '1', data: JSON.stringify({ password: CANARY }), subject: CANARY })
    const shown: string[] = []
    const fail = async (arrange: () => void) => {
      arrange()
      const error = await failureOf(sink, secret)
      shown.push(inspect(error, { depth: 12, showHidden: true }), error.message)
      assert.ok(error.message.length <= 1024)
    }
    for (const [answer] of harness.answers ?? []) await fail(() => target.fail?.(answer))
    for (const where of ['before', 'mid-request'] as const) {
      await fail(() => target.cut(where))
      if (!target.restart) break
    }
    for (const text of [...shown, ...lines]) assert.ok(!text.includes(CANARY), text)
    assert.ok(shown.length > 0)
  })

  row('P7 S14 many events leave the heap as it was', async (target) => {
    const { sink, limits } = make(target)
    await using _ = sink
    await sink.connect(never())
    const total = harness.manyEvents ?? 100_000
    const deliver = async (events: number) => {
      const size = Math.min(limits.maxBatchEvents, 100)
      for (let sent = 0; sent < events; sent += size) {
        assert.deepEqual(await sink.deliver(numbered(size), { signal: never() }), [])
      }
    }
    await deliver(total / 10)
    target.forget()
    const before = heapUsed()
    await deliver(total)
    target.forget()
    const grown = heapUsed() - before
    assert.ok(grown < 8 * 2 ** 20, `the heap grew by ${grown} bytes over ${total} events`)
  })

  row('S14 two sinks of one type share no state', async (target) => {
    await using other = await harness.start()
    const first = make(target)
    const second = make(other)
    await using _ = second.sink
    await first.sink.connect(never())
    await second.sink.connect(never())
    target.stall()
    const controller = new AbortController()
    const stuck = first.sink.deliver([event({ id: '1' })], { signal: controller.signal })
    await target.until(() => target.attempts() > 0)
    assert.deepEqual(await second.sink.deliver([event({ id: '2' })], { signal: never() }), [])
    controller.abort()
    await assert.rejects(stuck)
    target.flow()
    await first.sink[Symbol.asyncDispose]()
    assert.deepEqual(await second.sink.deliver([event({ id: '3' })], { signal: never() }), [])
  })

  if (harness.answers) {
    const transient = harness.answers.filter(
      ([, code]) => deliveryErrors[code].class !== 'permanent' && code !== 'gone',
    )
    const faults = fc.oneof(
      fc.constantFrom(...transient.map(([answer]) => ({ answer }))),
      fc.constantFrom(...(['before', 'mid-request', 'mid-answer'] as const).map((cut) => ({ cut }))),
    )
    test(`${name}: P1 P2 P4 S15 with random faults nothing is lost, nothing overtakes, a repetition is the same event`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.option(faults, { freq: 10 }), { minLength: 100, maxLength: 100 }),
          async (script) => {
            await using target = await harness.start()
            const made = make(target)
            const run = through(made, systemClock)
            const events = numbered(script.length, 7)
            for (const [index, one] of events.entries()) {
              const fault = script[index]
              if (fault && 'cut' in fault) target.cut(fault.cut)
              if (fault && 'answer' in fault) target.fail?.(fault.answer)
              await run.offer(one)
            }
            assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
            for (const outcome of run.outcomes.values()) assert.deepEqual(outcome, { type: 'delivered' })
            assert.equal(run.outcomes.size, events.length)
            assertOrder(target.received(), made.limits)
            const first = new Map<unknown, Received>()
            for (const received of target.received()) {
              const known = first.get(received.attributes.id)
              if (known) assert.deepEqual(received, known)
              else first.set(received.attributes.id, received)
            }
            assert.equal(first.size, events.length)
          },
        ),
        { numRuns: 10 },
      )
    })
  }
}
