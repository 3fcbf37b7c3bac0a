/** The benchmarks on a small scale: that they run, and that what they measure does its work. Not how fast it is. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import * as bareLoop from './bare-loop.ts'
import * as digests from './digests.ts'
import * as ledger from './ledger.ts'
import * as sinkLatency from './sink-latency.ts'
import { Pods } from './support/pods.ts'
import { table } from './support/report.ts'
import { percentile } from './support/statistics.ts'
import * as where from './where.ts'

test('the bridge and the bare loop send the same, by webhook and to a real Kafka, and both are measured', async () => {
  const modes = ['webhook binary', 'kafka structured'] as const
  const rows = await bareLoop.measure({ modes, objects: 20, updates: 60, rounds: 1, seed: 3 })
  assert.deepEqual(
    rows.map(({ mode }) => mode),
    modes,
  )
  for (const { bridge, bare, ratio } of rows) {
    for (const speed of [bridge, bare, ratio]) {
      assert.ok(speed.eventsPerSecond > 0 && speed.cpuMicros > 0, JSON.stringify(rows))
    }
    assert.equal(ratio.eventsPerSecond, bridge.eventsPerSecond / bare.eventsPerSecond)
    assert.equal(ratio.cpuMicros, bridge.cpuMicros / bare.cpuMicros)
  }
})

test('every update arrives once and in the order of its object, whatever the receiver takes for an answer', async () => {
  const delaysMs = [0, 5]
  const rows = await sinkLatency.measure({ objects: 20, updates: 60, delaysMs, seconds: 0.1, seed: 3 })
  assert.deepEqual(
    rows.map(({ delayMs }) => delayMs),
    delaysMs,
  )
  for (const row of rows) {
    const { eventsPerSecond, oneAtATime } = row
    assert.ok(eventsPerSecond > 0 && oneAtATime > 0, JSON.stringify(row))
    assert.equal(row.timesOneAtATime, eventsPerSecond / oneAtATime)
    assert.ok(row.p50Ms >= row.delayMs && row.p99Ms >= row.p50Ms, JSON.stringify(row))
    assert.ok(row.burstP50Ms >= row.delayMs && row.burstP99Ms >= row.burstP50Ms, JSON.stringify(row))
  }
})

test('each where is measured beside parsing', () => {
  for (const row of where.measure({ objects: 20, rounds: 2, seed: 3 })) {
    assert.ok(row.micros > 0 && row.ofParsing > 0, JSON.stringify(row))
  }
})

test('the digests are measured beside the rest of the work for an event', () => {
  const rows = digests.measure({ objects: 20, rounds: 2, seed: 3 })
  assert.deepEqual(
    rows.map(({ event }) => event),
    ['added', 'updated', 'deleted'],
  )
  for (const { digestMicros, translateMicros, wholeMicros } of rows) {
    assert.ok(digestMicros > 0 && translateMicros > 0 && wholeMicros > translateMicros, JSON.stringify(rows))
  }
})

test('new objects and new versions arrive once and in order, whatever is remembered, and each way is measured', async () => {
  const { rows, fsyncMs } = await ledger.measure({
    objects: 20,
    events: 40,
    rounds: 1,
    perSecond: 200,
    seconds: 0.1,
    seed: 3,
  })
  assert.equal(rows.length, 6)
  for (const { state, speed, ratio, p50Ms, p99Ms } of rows) {
    assert.ok(speed.eventsPerSecond > 0 && speed.cpuMicros > 0 && ratio.cpuMicros > 0, JSON.stringify(rows))
    if (state === 'memory') assert.deepEqual(ratio, { eventsPerSecond: 1, cpuMicros: 1 })
    assert.ok(p50Ms > 0 && p99Ms >= p50Ms, JSON.stringify(rows))
  }
  assert.ok(fsyncMs > 0)
})

test('recorded pods are as large as real ones, and the same for the same seed', () => {
  const [pods, again] = [new Pods({ objects: 10, seed: 7 }), new Pods({ objects: 10, seed: 7 })]
  const frames = Array.from({ length: 30 }, (_, number) => pods.update(number))
  assert.deepEqual(
    frames,
    Array.from({ length: 30 }, (_, number) => again.update(number)),
  )
  for (const { text } of frames) assert.ok(text.length > 5_000 && text.length < 7_500, `${text.length} bytes`)
  const versions = Map.groupBy(frames, ({ id }) => id.split(':')[0])
  assert.deepEqual([versions.size, ...new Set([...versions.values()].map(({ length }) => length))], [10, 3])
  assert.deepEqual(pods.create(30), again.create(30))
  assert.ok(!versions.has(pods.create(30).id.split(':')[0] ?? ''))
})

test('a percentile is the smallest value that so many are not above', () => {
  const values = Array.from({ length: 200 }, (_, index) => index + 1)
  assert.deepEqual(
    [0, 50, 99, 100].map((percent) => percentile(values, percent)),
    [1, 100, 198, 200],
  )
  assert.throws(() => percentile([], 50), RangeError)
})

test('a table has names to the left and figures to the right', () => {
  const rows = [
    ['webhook', '9'],
    ['kafka', '1000'],
  ]
  assert.equal(
    table({ result: {}, columns: ['', 'events/s'], rows }),
    '         events/s\nwebhook         9\nkafka        1000',
  )
})

test('a benchmark that there is not is named, with those that there are', () => {
  const main = join(import.meta.dirname, 'main.ts')
  const { status, stderr } = spawnSync(process.execPath, [main, 'nothing'], { encoding: 'utf8' })
  assert.equal(status, 2)
  assert.match(stderr, /no benchmark nothing[\s\S]*bare-loop {6}The bridge[\s\S]*sink-latency {3}A webhook/)
})
