/** What the brokers of testing/ answer when nothing was said to them is what Apache Kafka answers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import kafkajs, { type Message } from 'kafkajs'
import { startKafka, type TestKafka } from '../../test/testbed/kafka.ts'
import './driver.ts' // mends the library's timer, and gives it zstd
import { KafkaConnection } from './testing/client.ts'
import { crc32c } from './testing/crc32c.ts'
import { FaultKafka } from './testing/fault-broker.ts'
import { ApiKey, KafkaError } from './testing/protocol.ts'

const topics = {
  plain: { partitions: 2 },
  small: { partitions: 1, maxMessageBytes: 300 },
  compacted: { partitions: 1, compacted: true },
}

let real: TestKafka
let imitated: FaultKafka
before(async () => {
  real = await startKafka()
  await real.createTopic('plain', { partitions: 2 })
  await real.createTopic('small', { config: { 'max.message.bytes': '300' } })
  await real.createTopic('compacted', { config: { 'cleanup.policy': 'compact' } })
  imitated = await FaultKafka.start({ topics })
})
after(async () => {
  await imitated?.[Symbol.asyncDispose]()
  await real?.[Symbol.asyncDispose]()
})

/** What both answer, each over a connection of its own; an error's message if they close it. */
async function ask<T>(question: (connection: KafkaConnection) => Promise<T>): Promise<readonly (T | string)[]> {
  const answers: (T | string)[] = []
  for (const address of [real.bootstrap, imitated.addresses[0] ?? '']) {
    using connection = await KafkaConnection.open(address)
    answers.push(await question(connection).catch((error: Error) => error.message))
  }
  return answers
}

/** Batches as kafkajs makes them, one for each list of messages. */
async function batches(
  compression: kafkajs.CompressionTypes,
  ...lists: readonly Message[][]
): Promise<readonly Buffer[]> {
  await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
  const made: Buffer[] = []
  kafka.handle = (parts) => {
    for (const { batch } of parts) made.push(batch)
    return { append: true, reply: { type: 'answer' } }
  }
  const client = new kafkajs.Kafka({ brokers: [...kafka.addresses], logLevel: kafkajs.logLevel.NOTHING })
  const producer = client.producer({ retry: { retries: 0 } })
  await producer.connect()
  for (const messages of lists) await producer.send({ topic: 't', acks: -1, compression, messages })
  await producer.disconnect()
  return made
}

/** The batch with other bytes from `at` on; the checksum is made to fit if it covers them. */
function changed(batch: Buffer, at: number, ...bytes: readonly number[]): Buffer {
  const copy = Buffer.from(batch)
  copy.set(bytes, at)
  if (at >= 21) copy.writeUInt32BE(crc32c(copy.subarray(21)), 17)
  return copy
}

const messages: Message[] = [
  { key: 'a', value: '{"text":"Euro € 😀"}', headers: { ce_id: '1', ce_subject: 'naïve "x" %', empty: '' } },
  { key: 'b', value: null, headers: { ce_id: '2' } },
  { key: 'a', value: 'x'.repeat(200), headers: {} },
]
const { None, GZIP, ZSTD } = kafkajs.CompressionTypes

test('batches are accepted and refused alike, with the same error and the same offset', async () => {
  const [good = Buffer.alloc(0), withoutKey = Buffer.alloc(0)] = await batches(None, messages, [{ value: 'no key' }])
  const [gzip = Buffer.alloc(0), tiny = Buffer.alloc(0)] = await batches(GZIP, messages, [
    { key: 'a', value: 'x'.repeat(5000) },
  ])
  const [zstd = Buffer.alloc(0)] = await batches(ZSTD, messages)
  const flipped = Buffer.from(good)
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 10) ^ 1, flipped.length - 10)
  const cases: readonly (readonly [name: string, topic: string, partition: number, batch: Buffer, acks?: number])[] = [
    ['plain', 'plain', 0, good],
    ['again: nobody looks for duplicates', 'plain', 0, good],
    ['gzip', 'plain', 0, gzip],
    ['zstd', 'plain', 1, zstd],
    ['acknowledged by the leader alone', 'plain', 1, good, 1],
    ['no such kind of acknowledgement', 'plain', 0, good, 2],
    ['no such topic', 'missing', 0, good],
    ['no such partition', 'plain', 2, good],
    ['a bit flipped', 'plain', 0, flipped],
    ['a wrong checksum', 'plain', 0, changed(good, 17, 1, 2, 3, 4)],
    ['cut off', 'plain', 0, good.subarray(0, good.length - 1)],
    ['two batches', 'plain', 0, Buffer.concat([good, good])],
    ['of an older format', 'plain', 0, changed(good, 16, 1)],
    ['without a record', 'plain', 0, changed(good, 57, 0, 0, 0, 0)],
    ['another count than the last offset', 'plain', 0, changed(good, 57, 0, 0, 0, 2)],
    ['another last offset than the count', 'plain', 0, changed(good, 23, 0, 0, 0, 5)],
    ['a compression that is none', 'plain', 0, changed(good, 21, 0, 7)],
    ['said to be gzip, and is not', 'plain', 0, changed(good, 21, 0, 1)],
    ['a record that is longer than it says', 'plain', 0, changed(good, 61, 20)],
    ['a record that is longer than the batch', 'plain', 0, changed(good, 61, 0xff, 0x7f)],
    ['larger than max.message.bytes', 'small', 0, good],
    ['larger until it is compressed', 'small', 0, tiny],
    ['null keys elsewhere', 'plain', 0, withoutKey],
    ['null keys on a compacted topic', 'compacted', 0, withoutKey],
    ['keys on a compacted topic', 'compacted', 0, good],
  ]
  const differences: unknown[] = []
  for (const [name, topic, partition, batch, acks] of cases) {
    const [expected, found] = await ask((connection) => connection.produce(topic, partition, batch, acks))
    if (!isDeepStrictEqual(found, expected)) differences.push({ name, expected, found })
  }
  assert.deepEqual(differences, [])

  for (const topic of Object.keys(topics)) {
    const read = await real.consoleConsumer(topic)
    const order = (one: { partition: number; offset: number }, other: { partition: number; offset: number }) =>
      one.partition - other.partition || one.offset - other.offset
    const kept = imitated.kept.filter((record) => record.topic === topic).map(({ topic: _, ...record }) => record)
    assert.deepEqual([...kept].sort(order), [...read].sort(order), topic)
    assert.ok(read.length > 0, topic)
  }
})

test('topics are described alike', async () => {
  for (const asked of [['plain'], ['missing'], ['compacted', 'small'], null]) {
    const [expected, found] = (await ask((connection) => connection.describe(asked))).map((described) =>
      typeof described === 'string'
        ? described
        : described
            .filter(({ name }) => !name.startsWith('__')) // those of Kafka itself
            .map((topic) => ({
              ...topic,
              partitions: topic.partitions.map((one) => ({ ...one, leader: one.leader >= 0 })),
            }))
            .sort((one, other) => one.name.localeCompare(other.name)),
    )
    assert.deepEqual(found, expected)
  }
})

test('what versions of requests it says it has, Apache Kafka has too; of others it wants to know nothing', async () => {
  for (const version of [0, 1, 2] as const) {
    const [expected, found] = await ask((connection) => connection.apiVersions(version))
    assert.ok(expected instanceof Map && found instanceof Map)
    for (const [key, [from, to]] of found) {
      const [oldest = 0, newest = -1] = expected.get(key) ?? []
      assert.ok(oldest <= from && to <= newest, `API ${key}: ${oldest} to ${newest}, not ${from} to ${to}`)
    }
  }
  const tags = Buffer.of(0) // the headers of newer versions end with them
  const unknown = await ask(async (connection) => (await connection.request(ApiKey.apiVersions, 99, tags)).int16())
  assert.deepEqual(unknown, [KafkaError.UNSUPPORTED_VERSION, KafkaError.UNSUPPORTED_VERSION])
  const tooOld = await ask((connection) => connection.request(ApiKey.produce, 2, Buffer.alloc(0)))
  assert.deepEqual(tooOld, ['the broker closed the connection', 'the broker closed the connection'])
})
