import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter, DeadLetterCode } from '../delivery/dead-letters.ts'
import { DeliveryError } from '../delivery/errors.ts'
import { event } from '../delivery/scripted-sink.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { createLog, StateLog } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { deliveryObserver, tellDraining } from './telemetry.ts'

function observe() {
  const lines: Record<string, unknown>[] = []
  const logger = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(JSON.parse(line)) })
  const clock = new ManualClock()
  const metrics = new Metrics({ clock, version: '1.2.3' })
  const states = new StateLog(logger, () => clock.monotonic())
  const telemetry = { metrics, logger, states }
  return { lines, metrics, clock, telemetry, observer: deliveryObserver('audit', telemetry) }
}

function letter(id: string, code: DeadLetterCode): DeadLetter {
  const { attributes, ...rest } = event(id, 'a')
  const one = { ...rest, attributes: { ...attributes, subject: `shop/${id}`, resource: 'pods' }, data: '"canary"' }
  return { sink: 'audit', code, reason: 'it answered 400', attempts: 2, time: '2026-01-01T00:00:00.000Z', event: one }
}

test('P8 dead letters: one line per code, with what finds the first event, and none of its data', async () => {
  const { lines, metrics, observer } = observe()
  for (const id of ['1', '2', '3']) observer.deadLetter(letter(id, 'rejected'))
  observer.deadLetter(letter('4', 'lane-full'))
  observer.deadLetter(letter('5', 'rejected'))
  assert.deepEqual(
    lines.map(({ time, key, ...line }) => line),
    [
      ['1', 'rejected'],
      ['4', 'lane-full'],
    ].map(([id, code]) => ({
      level: 'error',
      state: 'given up',
      sink: 'audit',
      code,
      reason: 'it answered 400',
      attempts: 2,
      stream: 'pods',
      id,
      type: 'io.deltawire.object.updated.v1',
      resource: 'pods',
      subject: `shop/${id}`,
      message: 'events are given up and go to the dead letters; this is the first one with this code',
    })),
  )
  assert.match(await metrics.text(), /deltawire_dead_letters_total\{sink="audit",reason="rejected"\} 4/)
  assert.ok(!JSON.stringify(lines).includes('canary'))
})

test('retries: one line per code when they start, not one per event', () => {
  const { lines, observer } = observe()
  for (const code of ['failed', 'timeout', 'failed', 'timeout'] as const) {
    observer.retry(new DeliveryError(code, `it was ${code}`), 'lane')
  }
  assert.deepEqual(
    lines.map(({ level, sink, code, reason, message }) => ({ level, sink, code, reason, message })),
    ['failed', 'timeout'].map((code) => ({
      level: 'warn',
      sink: 'audit',
      code,
      reason: `it was ${code}`,
      message: 'events are tried again',
    })),
  )
})

test('retries because the whole sink is unavailable have one line: that of the sink', () => {
  const { lines, observer } = observe()
  observer.state({ type: 'paused', code: 'unavailable', reason: 'ECONNREFUSED' })
  for (const code of ['unavailable', 'throttled'] as const) {
    observer.retry(new DeliveryError(code, 'ECONNREFUSED'), 'all')
  }
  assert.equal(lines.length, 1)
})

test('P7 a sink that flaps 1,000 times a second has ten lines a minute, and its last state is told', async () => {
  const { lines, clock, observer, telemetry } = observe()
  for (let second = 0; second < 120; second++) {
    for (let n = 0; n < 1000; n++) {
      observer.state({ type: 'paused', code: 'unavailable', reason: 'ECONNRESET' })
      observer.state({ type: 'probing', code: 'unavailable', reason: 'ECONNRESET' })
      observer.state({ type: 'open' })
    }
    await clock.advance(1000)
    telemetry.states.flush()
  }
  assert.ok(lines.length >= 20 && lines.length <= 31, `${lines.length}`)
  await clock.advance(60_000)
  telemetry.states.flush()
  assert.equal(lines.at(-1)?.message, 'the sink is healthy')
})

test('an event that is unauthorized while others are taken has a line: nothing else would tell', async () => {
  const { lines, metrics, observer } = observe()
  observer.retry(new DeliveryError('unauthorized', 'NotAuthorizedForSourceException'), 'lane')
  assert.deepEqual(
    lines.map(({ level, sink, code, message }) => ({ level, sink, code, message })),
    [{ level: 'warn', sink: 'audit', code: 'unauthorized', message: 'events are tried again' }],
  )
  assert.match(await metrics.text(), /deltawire_sink_retries_total\{sink="audit",reason="unauthorized"\} 1/)
})

test('what is drained is told once for each sink that has something to drain', () => {
  const { lines, telemetry } = observe()
  const full = { state: 'paused', queueEvents: 10, queueBytes: 2048, oldestAgeMs: 61_400, blockedOffers: 2 } as const
  tellDraining('audit', { ...full, deadline: '20s' }, telemetry)
  tellDraining('audit', { ...full, queueEvents: 11, deadline: '20s' }, telemetry)
  tellDraining('idle', { ...full, queueEvents: 0, blockedOffers: 0, deadline: '20s' }, telemetry)
  assert.deepEqual(
    lines.map(({ time, key, ...line }) => line),
    [
      {
        level: 'info',
        state: 'draining',
        sink: 'audit',
        sinkState: 'paused',
        events: 10,
        bytes: 2048,
        oldestSeconds: 61,
        blockedOffers: 2,
        deadline: '20s',
        message: 'draining',
      },
    ],
  )
})
