/** What is mended in the Kafka client, on brokers that do what hurts it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutboundEvent } from '../../src/delivery/sink.ts'
import { event, failureOf, makeSink, never, numbered } from '../contract-kit.ts'
import { sink } from './index.ts'
import { partitionOf } from './partitioner.ts'
import { FaultKafka, type FaultKafkaOptions } from './testing/fault-broker.ts'

function start(options: Partial<FaultKafkaOptions> = {}): Promise<FaultKafka> {
  return FaultKafka.start({ topics: { events: { partitions: 2 } }, ...options })
}

function make(kafka: FaultKafka) {
  return makeSink(sink, { config: { brokers: kafka.addresses, topic: 'events' }, stdout: process.stdout }, {}).sink
}

/** The first key of this name whose partition it is. */
function keyOf(partition: number): string {
  for (let n = 0; ; n++) if (partitionOf(`key-${n}`, 2) === partition) return `key-${n}`
}

const inPartition = (partition: number, id: string): OutboundEvent => event({ id, partitionkey: keyOf(partition) })

for (const [from, to, name] of [
  [9, 13, 'newer'],
  [0, 2, 'older'],
] as const) {
  test(`brokers that are ${name} than the client are refused, saying so`, async () => {
    await using kafka = await start({ produceVersions: [from, to] })
    await using made = make(kafka)
    await assert.rejects(made.connect(never()), {
      code: 'unavailable',
      message: `the broker has versions ${from} to ${to} of Produce, Deltawire needs one of 3 to 7: use Apache Kafka 0.11 to 4.x`,
    })
    assert.equal(kafka.attempts, 0)
  })
}

test('a broker that does not answer costs what others confirmed of the batch no second delivery', async () => {
  await using kafka = await start({ brokers: 2 })
  await using made = make(kafka)
  await made.connect(never())
  kafka.handle = (_parts, broker) => ({ append: true, reply: { type: broker === 0 ? 'silence' : 'answer' } })
  const controller = new AbortController()
  const events = [inPartition(0, '1'), inPartition(1, '2'), inPartition(0, '3')]
  const delivery = made.deliver(events, { signal: controller.signal })
  await kafka.until(() => kafka.kept.length === 3)
  // the answer of the one that gives one is on its way
  await made.deliver([inPartition(1, '4')], { signal: never() })
  controller.abort(new DOMException('no answer', 'TimeoutError'))
  assert.deepEqual(
    (await delivery).map(({ index, error }) => [index, error.code]),
    [
      [0, 'timeout'],
      [2, 'timeout'],
    ],
  )
})

test('when one attempt is given up, another one that is under way ends as unavailable, and nothing is sent by either', async () => {
  await using kafka = await start()
  await using made = make(kafka)
  await made.connect(never())
  kafka.stall()
  const controller = new AbortController()
  const first = made.deliver([inPartition(0, '1')], { signal: controller.signal })
  const second = made.deliver([inPartition(1, '2')], { signal: never() })
  await kafka.until(() => kafka.attempts > 0)
  controller.abort(new Error('enough'))
  await assert.rejects(first, { message: 'enough' })
  assert.deepEqual(
    (await second).map(({ index, error }) => [index, error.code]),
    [[0, 'unavailable']],
  )
  await kafka.until(() => kafka.connections === 0)
  kafka.flow()
  assert.deepEqual(await made.deliver([inPartition(0, '1'), inPartition(1, '2')], { signal: never() }), [])
  assert.deepEqual(kafka.kept.map(({ headers }) => headers.ce_id).toSorted(), ['1', '2'])
})

test('a broker that asks for patience gets it, and what waits is sent then', async () => {
  await using kafka = await start()
  await using made = make(kafka)
  await made.connect(never())
  kafka.next({ append: true, reply: { type: 'answer', throttleMs: 300 } })
  assert.deepEqual(await made.deliver([inPartition(0, '1')], { signal: never() }), [])
  assert.deepEqual(await made.deliver([inPartition(0, '2'), inPartition(1, '3')], { signal: never() }), [])
  assert.equal(kafka.kept.length, 3)
})

test('half an answer, then another connection: it is not waited for the other half', async () => {
  await using kafka = await start()
  await using made = make(kafka)
  await made.connect(never())
  for (let time = 0; time < 5; time++) {
    kafka.next({ append: false, reply: { type: 'cut', how: 'reset' } })
    assert.equal((await failureOf(made, event({ id: '1' }))).code, 'unavailable')
    assert.deepEqual(await made.deliver(numbered(10), { signal: never() }), [])
  }
})
