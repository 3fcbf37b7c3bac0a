/** The sink on several brokers whose leaders move, and which fail while they do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { seeded } from '../../test/e2e/support/random-operations.ts'
import { event, makeSink, never, numbered, through } from '../contract-kit.ts'
import { sink } from './index.ts'
import { FaultKafka, type Handling, type KeptRecord } from './testing/fault-broker.ts'

const PARTITIONS = 6
const BROKERS = 3

function start(): Promise<FaultKafka> {
  return FaultKafka.start({ brokers: BROKERS, topics: { audit: { partitions: PARTITIONS } } })
}

function make(kafka: FaultKafka) {
  const config = { brokers: kafka.addresses, topic: 'audit', compression: 'gzip' }
  return makeSink(sink, { config, stdout: process.stdout }, {})
}

/** Ids of a key in the order in which they first came. */
function firstOnes(kept: readonly KeptRecord[]): ReadonlyMap<string | null, readonly (string | null)[]> {
  const byKey = Map.groupBy(kept, ({ key }) => key)
  return new Map(
    [...byKey].map(([key, records]) => [key, [...new Set(records.map(({ headers }) => headers.ce_id ?? ''))]]),
  )
}

test('P1 P2 P4 while leaders move and brokers fail, 5,000 events arrive, in order per key', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  await using kafka = await start()
  const faults: readonly Handling[] = [
    { append: true, reply: { type: 'error', error: 'REQUEST_TIMED_OUT' } },
    { append: false, reply: { type: 'error', error: 'NOT_ENOUGH_REPLICAS' } },
    { append: true, reply: { type: 'error', error: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' } },
    { append: false, reply: { type: 'omit' } },
    { append: false, reply: { type: 'close', how: 'reset' } },
    { append: true, reply: { type: 'close', how: 'end' } },
    { append: true, reply: { type: 'cut', how: 'reset' } },
  ]
  const partitionsOfRequests: number[] = []
  let moves = 0
  kafka.handle = (parts) => {
    partitionsOfRequests.push(parts.length)
    const [part] = parts
    if (part && random() < 0.1) {
      moves++
      kafka.lead('audit', part.partition, Math.floor(random() * BROKERS))
    }
    const fault = random() < 0.1 ? faults[Math.floor(random() * faults.length)] : undefined
    return fault ?? { append: true, reply: { type: 'answer' } }
  }
  const run = through(make(kafka), systemClock)
  const events = numbered(5_000, 200)
  for (const one of events) await run.offer(one)
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
  for (const outcome of run.outcomes.values()) assert.deepEqual(outcome, { type: 'delivered' })
  const expected = Map.groupBy(events, ({ key }) => key)
  const found = firstOnes(kafka.kept)
  assert.equal(found.size, expected.size)
  for (const [key, ofKey] of expected) {
    assert.deepEqual(
      found.get(key),
      ofKey.map(({ attributes }) => attributes.id),
      key,
    )
  }
  assert.ok(partitionsOfRequests.every((count) => count === 1))
  assert.ok(kafka.batches.every(({ acks }) => acks === -1))
  t.diagnostic(
    JSON.stringify({
      requests: partitionsOfRequests.length,
      moves,
      failed: run.results.filter((result) => result !== 'delivered').length,
      repeated: kafka.kept.length - events.length,
    }),
  )
  assert.ok(moves > 0 && run.results.some((result) => result !== 'delivered'))
})

test('P1 P2 what a partition without a leader holds up is delivered when it has one', async () => {
  await using kafka = await start()
  const run = through(make(kafka), systemClock)
  await run.offer(event({ id: 'first' }))
  await run.until(() => run.outcomes.size === 1)
  const partition = kafka.kept[0]?.partition ?? -1
  kafka.lead('audit', partition, 'none')
  await run.offer(event({ id: 'second' }))
  await run.until(() => run.results.includes('unavailable'))
  assert.equal(kafka.kept.length, 1)
  kafka.lead('audit', partition, (partition + 1) % BROKERS)
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
  assert.deepEqual(
    kafka.kept.map(({ headers }) => headers.ce_id),
    ['first', 'second'],
  )
})

test('one broker of three that is gone is no outage for what others lead, once leaders are elected', async () => {
  await using kafka = await start()
  const run = through(make(kafka), systemClock)
  await run.offer(event({ id: 'before' }))
  await run.until(() => run.outcomes.size === 1)
  await kafka.stop(1)
  for (let partition = 0; partition < PARTITIONS; partition++) kafka.lead('audit', partition, partition % 2 ? 0 : 2)
  kafka.forget()
  for (const one of numbered(300, 60)) await run.offer(one)
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
  assert.equal(new Set(kafka.kept.map(({ headers }) => headers.ce_id)).size, 300)
  assert.deepEqual(new Set(kafka.batches.map(({ broker }) => broker)), new Set([0, 2]))
})
