/** kafkajs, the library under the sink, against brokers that fail as they are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs, { type Message, type Producer } from 'kafkajs'
import '../driver.ts' // mends the library's timer, and gives it zstd
import { KafkaConnection } from './client.ts'
import { crc32c } from './crc32c.ts'
import { FaultKafka, type FaultKafkaOptions, type KeptRecord } from './fault-broker.ts'
import { KafkaError, type KafkaErrorName } from './protocol.ts'

const { CompressionTypes, Kafka, logLevel } = kafkajs

interface Stand extends AsyncDisposable {
  readonly kafka: FaultKafka
  readonly producer: Producer
}

/** Brokers, and a producer that is connected. */
async function stand(options: Partial<FaultKafkaOptions> = {}, retries = 0): Promise<Stand> {
  const kafka = await FaultKafka.start({ topics: { t: { partitions: 2 } }, ...options })
  const client = new Kafka({ brokers: [...kafka.addresses], logLevel: logLevel.NOTHING })
  const producer = client.producer({ allowAutoTopicCreation: false, retry: { retries, initialRetryTime: 10 } })
  await producer.connect()
  return {
    kafka,
    producer,
    async [Symbol.asyncDispose]() {
      await producer.disconnect()
      await kafka[Symbol.asyncDispose]()
    },
  }
}

const one = (value: string): Message => ({ key: 'a', value, partition: 0 })
const send = (producer: Producer, ...messages: Message[]) => producer.send({ topic: 't', acks: -1, messages })
const values = (kept: readonly KeptRecord[]) => kept.map(({ value }) => value)

test('CRC-32C has the value of the standard', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
})

for (const codec of ['None', 'GZIP', 'ZSTD'] as const) {
  test(`records are kept as they were sent, with compression ${codec}`, async () => {
    await using at = await stand()
    const messages = [
      { key: 'a', value: 'Euro € 😀\n', headers: { ce_id: '1', empty: '' }, timestamp: '1767225600123', partition: 1 },
      { key: null, value: null, timestamp: '1767225600000', partition: 1 },
      { key: 'b', value: 'x'.repeat(100_000), timestamp: '1767225600999', partition: 0 },
    ]
    const compression = CompressionTypes[codec]
    for (const message of messages) await at.producer.send({ topic: 't', acks: -1, compression, messages: [message] })
    assert.deepEqual(at.kafka.kept, [
      {
        topic: 't',
        partition: 1,
        offset: 0,
        key: 'a',
        headers: { ce_id: '1', empty: '' },
        value: 'Euro € 😀\n',
        timestamp: 1_767_225_600_123,
      },
      { topic: 't', partition: 1, offset: 1, key: null, headers: {}, value: null, timestamp: 1_767_225_600_000 },
      {
        topic: 't',
        partition: 0,
        offset: 0,
        key: 'b',
        headers: {},
        value: 'x'.repeat(100_000),
        timestamp: 1_767_225_600_999,
      },
    ])
    const [, , large] = at.kafka.batches
    assert.deepEqual([large?.topic, large?.partition, large?.broker, large?.acks], ['t', 0, 0, -1])
    assert.ok(codec === 'None' ? (large?.bytes ?? 0) > 100_000 : (large?.bytes ?? 0) < 1000)
    at.kafka.forget()
    assert.deepEqual([at.kafka.kept, at.kafka.batches], [[], []])
  })
}

/** The client's name of an error of the protocol; it knows older ones than the brokers. */
async function errorOf(sending: Promise<unknown>): Promise<unknown> {
  const error = await sending.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Error, 'it failed')
  const cause = error.cause instanceof Error ? error.cause : error
  return 'code' in cause && cause.code !== undefined ? cause.code : cause.name
}

test('every error that a broker is told to answer reaches the client, once, and nothing is kept', async () => {
  await using at = await stand()
  for (const [error, code] of Object.entries(KafkaError) as [KafkaErrorName, number][]) {
    if (error === 'NONE' || code >= 80) continue // newer than the client knows
    at.kafka.next({ append: false, reply: { type: 'error', error } })
    assert.equal(await errorOf(send(at.producer, one(error))), code, error)
  }
  await send(at.producer, one('after'))
  assert.deepEqual(values(at.kafka.kept), ['after'])
})

test('a broker can keep the records and say that it timed out', async () => {
  await using at = await stand()
  at.kafka.next({ append: true, reply: { type: 'error', error: 'REQUEST_TIMED_OUT' } })
  assert.equal(await errorOf(send(at.producer, one('1'))), KafkaError.REQUEST_TIMED_OUT)
  assert.deepEqual(values(at.kafka.kept), ['1'])
})

test('an answer can be cut in its middle, after the records were kept', async () => {
  await using at = await stand()
  at.kafka.next({ append: true, reply: { type: 'cut', how: 'end' } })
  assert.equal(await errorOf(send(at.producer, one('1'))), 'KafkaJSConnectionClosedError')
  await send(at.producer, one('2'))
  assert.deepEqual(values(at.kafka.kept), ['1', '2'])
})

test('an answer can say nothing of the partition, which the client takes for success', async () => {
  await using at = await stand()
  at.kafka.next({ append: false, reply: { type: 'omit' } })
  assert.deepEqual(await send(at.producer, one('1')), [])
  assert.deepEqual(at.kafka.kept, [])
})

/** A batch as the client makes it. */
async function batchOf(...messages: Message[]): Promise<Buffer> {
  await using at = await stand()
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  at.kafka.handle = (parts) => {
    for (const { batch } of parts) resolve(batch)
    return { append: true, reply: { type: 'answer' } }
  }
  await send(at.producer, ...messages)
  return await promise
}

for (const append of [false, true]) {
  for (const how of ['reset', 'end'] as const) {
    test(`a connection can be closed by ${how}, the records ${append ? 'kept' : 'not kept'}`, async () => {
      const batch = await batchOf(one('1'))
      await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
      kafka.next({ append, reply: { type: 'close', how } })
      using connection = await KafkaConnection.open(kafka.addresses[0] ?? '')
      const expected = how === 'reset' ? { code: 'ECONNRESET' } : /closed the connection/
      await assert.rejects(connection.produce('t', 0, batch), expected)
      assert.deepEqual(values(kafka.kept), append ? ['1'] : [])
      await kafka.until(() => kafka.connections === 0)
    })
  }
}

test('what follows a cut answer on the same connection is not looked at', async () => {
  const batch = await batchOf(one('1'))
  await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
  kafka.next({ append: true, reply: { type: 'cut', how: 'end' } })
  using connection = await KafkaConnection.open(kafka.addresses[0] ?? '')
  const answers = [connection.produce('t', 0, batch), connection.produce('t', 0, batch)]
  const outcomes = await Promise.allSettled(answers)
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await kafka.until(() => kafka.connections === 0)
  assert.deepEqual([kafka.attempts, kafka.kept.length], [1, 1])
})

test('silence lasts until the client goes away, and the broker notices that', async () => {
  const batch = await batchOf(one('1'))
  for (const append of [false, true]) {
    await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
    kafka.next({ append, reply: { type: 'silence' } })
    const [address = ''] = kafka.addresses
    const connection = await KafkaConnection.open(address)
    const unanswered = connection.produce('t', 0, batch).catch(() => 'gone')
    await kafka.until(() => kafka.attempts === 1 && kafka.kept.length === Number(append))
    assert.equal(kafka.connections, 1)
    connection[Symbol.dispose]()
    assert.equal(await unanswered, 'gone')
    await kafka.until(() => kafka.connections === 0)
  }
})

test('what is stalled is taken up later, unless the client has gone', async () => {
  const batch = await batchOf(one('1'))
  await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
  const [address = ''] = kafka.addresses
  using patient = await KafkaConnection.open(address)
  const hasty = await KafkaConnection.open(address)
  kafka.stall()
  const answered = patient.produce('t', 0, batch)
  const given = hasty.produce('t', 0, batch).catch(() => 'gone')
  await kafka.until(() => kafka.attempts === 2)
  hasty[Symbol.dispose]()
  await given
  await kafka.until(() => kafka.connections === 1)
  assert.deepEqual(kafka.kept, [])
  kafka.flow()
  assert.deepEqual(await answered, { error: 'NONE', baseOffset: 0, throttleMs: 0 })
  assert.equal(kafka.kept.length, 1)
})

test('an answer can ask the client to slow down', async () => {
  const batch = await batchOf(one('1'))
  await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
  kafka.next({ append: true, reply: { type: 'answer', throttleMs: 1500 } })
  using connection = await KafkaConnection.open(kafka.addresses[0] ?? '')
  assert.deepEqual(await connection.produce('t', 0, batch), { error: 'NONE', baseOffset: 0, throttleMs: 1500 })
})

test('a leader can move: the former one refuses, and the client finds the new one', async () => {
  await using at = await stand({ brokers: 2 }, 5)
  await send(at.producer, one('1'))
  at.kafka.lead('t', 0, 1)
  await send(at.producer, one('2'))
  at.kafka.lead('t', 0, 'none')
  const waiting = send(at.producer, one('3'))
  await at.kafka.until(() => at.kafka.attempts > 3)
  at.kafka.lead('t', 0, 0)
  await waiting
  assert.deepEqual(
    at.kafka.kept.map(({ value, offset }) => [value, offset]),
    [
      ['1', 0],
      ['2', 1],
      ['3', 2],
    ],
  )
  const [first, refused, moved] = at.kafka.batches.map(({ broker }) => broker)
  assert.deepEqual([first, refused, moved], [0, 0, 1])
  assert.throws(() => at.kafka.lead('t', 2, 0), /no partition 2 of topic t/)
})

test('a broker that stops comes back at the same place, with its records', async () => {
  await using at = await stand({}, 8)
  await send(at.producer, one('1'))
  const { addresses } = at.kafka
  await at.kafka.stop()
  assert.equal(at.kafka.connections, 0)
  await assert.rejects(KafkaConnection.open(addresses[0] ?? ''), { code: 'ECONNREFUSED' })
  await at.kafka.restart()
  assert.deepEqual(at.kafka.addresses, addresses)
  assert.deepEqual(values(at.kafka.kept), ['1'])
  assert.equal((await send(at.producer, one('2')))[0]?.baseOffset, '1')
})

test('a topic can be refused when the client asks who leads it', async () => {
  await using kafka = await FaultKafka.start({ topics: { t: { partitions: 1 } } })
  kafka.topicError = () => 'TOPIC_AUTHORIZATION_FAILED'
  using connection = await KafkaConnection.open(kafka.addresses[0] ?? '')
  assert.deepEqual(await connection.describe(['t']), [
    { name: 't', error: 'TOPIC_AUTHORIZATION_FAILED', partitions: [] },
  ])
})
