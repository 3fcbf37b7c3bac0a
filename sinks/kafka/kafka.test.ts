/** The sink on a real Apache Kafka. What it wrote is read back by Kafka's own console consumer. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import kafkajs from 'kafkajs'
import { type DeliveryErrorCode, deliveryErrors, type OutboundEvent } from '../../src/delivery/sink.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { eventually } from '../../test/support/eventually.ts'
import { kafkaCertificates, kafkaUsers, startKafka, type TestKafka } from '../../test/testbed/kafka.ts'
import type { ConsumedRecord } from '../../test/testbed/kafka-console.ts'
import { event, failureOf, type Made, makeSink, never, numbered, through } from '../contract-kit.ts'
import { sink } from './index.ts'
import { partitionOf } from './partitioner.ts'

let kafka: TestKafka
before(async () => {
  kafka = await startKafka()
})
after(() => kafka?.[Symbol.asyncDispose]())

let topics = 0
const newTopic = () => `topic-${++topics}`

interface Settings {
  readonly [key: string]: unknown
}

/** A sink for this topic, on the listener without encryption unless told otherwise. */
function make(topic: string, settings: Settings = {}, context: Parameters<typeof makeSink>[2] = {}): Made {
  const config = { brokers: [kafka.bootstrap], topic, ...settings }
  return makeSink(sink, { config, stdout: process.stdout }, context)
}

async function sent(topic: string, events: readonly OutboundEvent[], settings: Settings = {}) {
  const { sink: made } = make(topic, settings)
  await using _ = made
  await made.connect(never())
  assert.deepEqual(await made.deliver(events, { signal: never() }), [])
}

/** The records of each partition, in order. */
function byPartition(records: readonly ConsumedRecord[]): ReadonlyMap<number, readonly ConsumedRecord[]> {
  return Map.groupBy(records, ({ partition }) => partition)
}

test('P2 each event is one record: its key, its partition, its headers, its value, in order per key', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic, { partitions: 6 })
  const unusual = event({
    id: 'Euro € 😀',
    subject: 'naïve "x" %',
    collapsed: true,
    time: '2026-01-01T00:00:00.123456Z',
    partitionkey: 'test/pods/shop/π',
    data: '{"text":"€ \\" \\\\ \\n"}',
  })
  const events = [...numbered(1_200, 100), unusual]
  await sent(topic, events)
  const records = await kafka.consoleConsumer(topic)
  assert.equal(records.length, events.length)
  const inOrder = Map.groupBy(records, ({ key }) => key)
  for (const [key, ofKey] of Map.groupBy(events, (one) => one.key)) {
    const found = inOrder.get(key) ?? []
    assert.deepEqual(
      found.map(({ headers, value }) => [headers.ce_id, value]),
      ofKey.map(({ attributes, data }) => [attributes.id, data]),
    )
    assert.deepEqual(new Set(found.map(({ partition }) => partition)), new Set([partitionOf(key, 6)]))
  }
  assert.deepEqual(inOrder.get('test/pods/shop/π')?.[0]?.headers, {
    ce_specversion: '1.0',
    ce_id: 'Euro € 😀',
    ce_source: 'kubernetes://test/api/v1/pods',
    ce_type: 'io.deltawire.object.updated.v1',
    ce_subject: 'naïve "x" %',
    'content-type': 'application/json',
    ce_dataschema: 'urn:deltawire:schema:object:v1',
    ce_time: '2026-01-01T00:00:00.123456Z',
    ce_partitionkey: 'test/pods/shop/π',
    ce_collapsed: 'true',
  })
})

test('P6 markers and gaps are in every partition, in their place, with one id and key', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic, { partitions: 3 })
  const marker = (kind: 'begin' | 'end' | 'gap'): OutboundEvent => ({
    ...event({ id: `s1:${kind}`, partitionkey: `pods:${kind}` }),
    kind,
  })
  await sent(topic, [marker('gap'), marker('begin'), ...numbered(30), marker('end')])
  const partitions = byPartition(await kafka.consoleConsumer(topic))
  assert.equal(partitions.size, 3)
  for (const records of partitions.values()) {
    const ids = records.map(({ headers }) => headers.ce_id)
    const items = ids.slice(2, -1)
    assert.deepEqual(ids, ['s1:gap', 's1:begin', ...items, 's1:end'])
    assert.ok(items.length > 0 && items.every((id) => /^\d+$/.test(id ?? '')))
    assert.deepEqual(
      records.filter(({ key }) => key?.startsWith('pods:')).map(({ key }) => key),
      ['pods:gap', 'pods:begin', 'pods:end'],
    )
  }
})

for (const settings of [
  { compression: 'none' },
  { compression: 'gzip' },
  { compression: 'zstd' },
  { mode: 'structured' },
]) {
  test(`${JSON.stringify(settings)}: Kafka reads what was written`, async () => {
    const topic = newTopic()
    await kafka.createTopic(topic)
    await sent(topic, numbered(3), settings)
    const values = (await kafka.consoleConsumer(topic)).map(({ value, headers }) =>
      'mode' in settings
        ? [headers['content-type'], JSON.parse(value ?? '').data]
        : [headers['content-type'], JSON.parse(value ?? '')],
    )
    const type = 'mode' in settings ? 'application/cloudevents+json; charset=UTF-8' : 'application/json'
    assert.deepEqual(
      values,
      [0, 1, 2].map((n) => [type, { object: { n } }]),
    )
  })
}

test('on a compacted topic a deletion is a tombstone with all headers, and a smaller form is refused', async () => {
  const topic = newTopic()
  const deleted = event({ id: '9a2c:deleted', type: 'io.deltawire.object.deleted.v1' })
  const { sink: made } = make(topic, { compacted: true, createTopics: { partitions: 1, replicationFactor: 1 } })
  await using _ = made
  await made.connect(never())
  const degraded = event({ id: '9a2c:2', degraded: 'metadata', partitionkey: 'test/pods/shop/other' })
  const failures = await made.deliver([event({ id: '9a2c:1' }), degraded, deleted], { signal: never() })
  assert.deepEqual(
    failures.map(({ index, error }) => [index, error.code, error.message]),
    [[1, 'too-large', 'only the whole object may replace one on a compacted topic']],
  )
  const records = await kafka.consoleConsumer(topic)
  assert.deepEqual(
    records.map(({ key, value, headers }) => [key, value, headers.ce_id]),
    [
      ['test/pods/shop/web', '{"object":{}}', '9a2c:1'],
      ['test/pods/shop/web', null, '9a2c:deleted'],
    ],
  )
})

test('P9 a topic that is missing makes the sink unavailable, with the remedy, until it is there', async () => {
  const topic = newTopic()
  const { sink: made } = make(topic)
  await using _ = made
  await assert.rejects(made.connect(never()), {
    code: 'unavailable',
    message: `there is no topic ${topic}: create it, or set createTopics`,
  })
  assert.equal((await failureOf(made, event({ id: '1' }))).code, 'unavailable')
  await kafka.createTopic(topic)
  await made.connect(never())
  assert.deepEqual(await made.deliver([event({ id: '1' })], { signal: never() }), [])
  assert.equal(await kafka.appended(topic), 1)
})

test('topics by resource: each event is in the one of its resource', async () => {
  const prefix = newTopic()
  await sent(
    `${prefix}.{resource}`,
    [event({ id: '1', resource: 'pods' }), event({ id: '2', resource: 'deployments.apps' })],
    { createTopics: { partitions: 1, replicationFactor: 1 } },
  )
  const [record] = await kafka.consoleConsumer(`${prefix}.deployments.apps`)
  assert.equal(record?.headers.ce_id, '2')
  assert.equal(await kafka.appended(`${prefix}.pods`), 1)
})

test('a topic that takes less at a time gets smaller batches; only an event that is too large by itself fails', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic, { config: { 'max.message.bytes': '20000' } })
  const { sink: made } = make(topic, { compression: 'none' })
  await using _ = made
  await made.connect(never())
  const large = event({ id: 'large', partitionkey: 'large', data: `"${'x'.repeat(30_000)}"` })
  for (let time = 0; time < 2; time++) {
    const failures = await made.deliver([...numbered(150), large, ...numbered(150)], { signal: never() })
    assert.deepEqual(
      failures.map(({ index, error }) => [index, error.code]),
      [[150, 'too-large']],
    )
  }
  assert.equal(await kafka.appended(topic), 600)
})

test('P2 partitions that are added are used, and a key moves with nothing of it on its way', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic, { partitions: 1 })
  const { sink: made } = make(topic)
  await using _ = made
  await made.connect(never())
  assert.deepEqual(await made.deliver(numbered(100, 20), { signal: never() }), [])
  const admin = new kafkajs.Kafka({ brokers: [kafka.bootstrap], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
  const areLed = async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = topics[0]?.partitions ?? []
    return partitions.length === 4 && partitions.every(({ leader }) => leader >= 0)
  }
  await eventually(areLed, { what: 'the new partitions have leaders' })
  await admin.disconnect()
  // another sink has not yet learned how many there were
  await sent(topic, numbered(100, 20))
  const partitions = byPartition(await kafka.consoleConsumer(topic))
  assert.equal(partitions.size, 4)
  for (const [partition, records] of partitions) {
    for (const { key } of records) assert.ok(partition === 0 || partitionOf(key ?? '', 4) === partition)
  }
})

const password = (user: string) => ({ secret: async () => user })
const { admin, limited } = kafkaUsers

for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
  test(`it logs in by ${mechanism}, and with a password that was replaced after it was refused`, async () => {
    const topic = newTopic()
    await kafka.createTopic(topic)
    const sasl = { mechanism, username: 'admin', password: { env: 'PASSWORD' } }
    let secret = 'wrong'
    const { sink: made } = make(
      topic,
      { brokers: [kafka.address('sasl')], sasl },
      { secret: () => Promise.resolve(secret) },
    )
    await using _ = made
    await assert.rejects(made.connect(never()), {
      code: 'unauthorized',
      message: `the login at ${kafka.address('sasl')} failed: correct sasl.username, sasl.password or sasl.mechanism`,
    })
    secret = admin
    await made.connect(never())
    assert.deepEqual(await made.deliver([event({ id: '1' })], { signal: never() }), [])
    assert.equal(await kafka.appended(topic), 1)
  })
}

test('a principal that may not write is unauthorized, and the error says what it needs', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic)
  const sasl = { mechanism: 'plain', username: 'limited', password: { env: 'PASSWORD' } }
  const { sink: made } = make(topic, { brokers: [kafka.address('sasl')], sasl }, password(limited))
  await using _ = made
  await assert.rejects(made.connect(never()), {
    code: 'unauthorized',
    message: `Kafka says TOPIC_AUTHORIZATION_FAILED of topic ${topic}: the principal needs Write and Describe on it, and Create for createTopics`,
  })
})

test('it speaks TLS, presents a client certificate, and takes up files that were replaced', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic)
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-'))
  const file = (name: string) => ({ file: join(folder, name) })
  const { server, client } = kafkaCertificates
  try {
    await writeFile(file('ca').file, client.cert) // not the one that the broker has
    await writeFile(file('cert').file, client.cert)
    await writeFile(file('key').file, client.key)
    const { readSecret } = await import('../../src/bridge/secret.ts')
    const { sink: made } = make(
      topic,
      { brokers: [kafka.address('mtls')], tls: { ca: file('ca'), cert: file('cert'), key: file('key') } },
      { secret: (reference) => readSecret(reference, {}) },
    )
    await using _ = made
    await assert.rejects(made.connect(never()), {
      code: 'unavailable',
      message: `${kafka.address('mtls')} cannot be reached: DEPTH_ZERO_SELF_SIGNED_CERT: no authority that is trusted here has signed its certificate; set tls.ca`,
    })
    await writeFile(file('ca').file, server.cert)
    await made.connect(never())
    assert.deepEqual(await made.deliver([event({ id: '1' })], { signal: never() }), [])
    assert.equal(await kafka.appended(topic), 1)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('no timer of the library warns, and an idle sink leaves none but one for each connection', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic)
  const warnings: string[] = []
  const listen = ({ name }: Error) => void warnings.push(name)
  process.on('warning', listen)
  const { sink: made } = make(topic)
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  await made.connect(never())
  assert.deepEqual(await made.deliver(numbered(10), { signal: never() }), [])
  assert.ok(timers() - before <= 2, `${timers()} timers, ${before} before`)
  await made[Symbol.asyncDispose]()
  process.off('warning', listen)
  assert.deepEqual(warnings, [])
})

test('P1 P2 P9 the broker is killed twice while 5,000 events are delivered: none is lost, in order per key', async () => {
  const topic = newTopic()
  await kafka.createTopic(topic, { partitions: 4 })
  const run = through(make(topic), systemClock)
  const events = numbered(5_000, 200)
  for (const [index, one] of events.entries()) {
    await run.offer(one)
    if (index !== 1_500 && index !== 3_500) continue
    await run.until(() => run.outcomes.size >= index - 500)
    await kafka.kill()
    await kafka.start()
  }
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
  assert.ok(run.results.some((code) => deliveryErrors[code as DeliveryErrorCode]?.class === 'sink'))
  const records = await kafka.consoleConsumer(topic)
  const lost = new Set(events.map(({ attributes }) => attributes.id))
  const last = new Map<string | null, number>()
  for (const { key, headers } of records) {
    const id = headers.ce_id ?? ''
    // one that is there already is a repetition
    if (lost.delete(id)) assert.ok(Number(id) > (last.get(key) ?? -1), `${id} came after ${last.get(key)}`)
    last.set(key, Math.max(Number(id), last.get(key) ?? -1))
  }
  assert.deepEqual([...lost], [])
  await eventually(async () => (await kafka.appended(topic)) === records.length, { what: 'nothing is appended late' })
})
