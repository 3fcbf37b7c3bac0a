import assert from 'node:assert/strict'
import { after } from 'node:test'
import { startKafka, type TestKafka } from '../../test/testbed/kafka.ts'
import { testSink } from '../contract.ts'
import type { Cut, SinkHarness, SinkTarget } from '../contract-target.ts'
import { sink } from './index.ts'
import { FaultKafka, type Handling } from './testing/fault-broker.ts'
import { KafkaError } from './testing/protocol.ts'
import { decodeRecord } from './testing/received.ts'
import { KafkaRelay } from './testing/relay.ts'

const cuts: Readonly<Record<Cut, Handling>> = {
  before: { append: false, reply: { type: 'close', how: 'reset' } },
  'mid-request': { append: false, reply: { type: 'close', how: 'end' } },
  'mid-answer': { append: true, reply: { type: 'cut', how: 'reset' } },
}

/** `no word`, or the name of an error. */
function handling(answer: string): Handling {
  if (answer === 'no word') return { append: false, reply: { type: 'omit' } }
  if (!(answer in KafkaError)) throw new RangeError(`${answer} is no error of the protocol`)
  return { append: false, reply: { type: 'error', error: answer as keyof typeof KafkaError } }
}

async function faultKafka(settings: Readonly<Record<string, unknown>>): Promise<SinkTarget> {
  const kafka = await FaultKafka.start({ topics: { events: { partitions: 1 } } })
  return {
    config: { brokers: kafka.addresses, topic: 'events', ...settings },
    received: () => kafka.kept.map(decodeRecord),
    forget: () => kafka.forget(),
    until: (condition) => kafka.until(condition),
    attempts: () => kafka.attempts,
    stall: () => kafka.stall(),
    flow: () => kafka.flow(),
    cut: (where) => kafka.next(cuts[where]),
    fail: (answer) => kafka.next(handling(answer)),
    stop: () => kafka.stop(),
    restart: () => kafka.restart(),
    connections: () => kafka.connections,
    [Symbol.asyncDispose]: () => kafka[Symbol.asyncDispose](),
  }
}

function harness(settings: Readonly<Record<string, unknown>>): SinkHarness<typeof sink.schema> {
  return {
    definition: sink,
    recallable: true,
    manyEvents: 20_000,
    answers: [
      ['NOT_LEADER_OR_FOLLOWER', 'unavailable'],
      ['LEADER_NOT_AVAILABLE', 'unavailable'],
      ['REQUEST_TIMED_OUT', 'unavailable'],
      ['UNKNOWN_TOPIC_OR_PARTITION', 'unavailable'],
      ['BROKER_NOT_AVAILABLE', 'unavailable'],
      ['NETWORK_EXCEPTION', 'unavailable'],
      ['NOT_ENOUGH_REPLICAS', 'unavailable'],
      ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'unavailable'],
      ['KAFKA_STORAGE_ERROR', 'unavailable'],
      ['UNSUPPORTED_COMPRESSION_TYPE', 'unavailable'],
      ['no word', 'unavailable'],
      ['TOPIC_AUTHORIZATION_FAILED', 'unauthorized'],
      ['CLUSTER_AUTHORIZATION_FAILED', 'unauthorized'],
      ['MESSAGE_TOO_LARGE', 'too-large'],
      ['RECORD_LIST_TOO_LARGE', 'too-large'],
      ['INVALID_RECORD', 'rejected'],
      ['INVALID_TIMESTAMP', 'rejected'],
      ['INVALID_TOPIC_EXCEPTION', 'rejected'],
      ['POLICY_VIOLATION', 'rejected'],
      ['CORRUPT_MESSAGE', 'failed'],
      ['UNKNOWN_SERVER_ERROR', 'failed'],
      ['THROTTLING_QUOTA_EXCEEDED', 'failed'],
    ],
    start: () => faultKafka(settings),
  }
}

testSink('kafka, fault broker, binary', harness({ mode: 'binary' }))
testSink('kafka, fault broker, structured', harness({ mode: 'structured', compression: 'gzip' }))

/** One process for all rows: each has a topic of its own, and a relay before it. */
let kafka: Promise<TestKafka> | undefined
after(async () => await (await kafka)?.[Symbol.asyncDispose]())

/** In the end the topic holds as many records as Kafka has confirmed; more only if it was asked and nobody listened. */
async function realKafka(topic: string): Promise<SinkTarget> {
  kafka ??= startKafka()
  const real = await kafka
  await real.createTopic(topic)
  const relay = await KafkaRelay.start(real.bootstrap)
  return Object.assign(relay, {
    config: { brokers: [relay.address], topic },
    async [Symbol.asyncDispose]() {
      await KafkaRelay.prototype[Symbol.asyncDispose].call(relay)
      const held = await real.appended(topic)
      assert.ok(held >= relay.taken && held <= relay.passedOn, `${topic}: ${held}, confirmed were ${relay.taken}`)
    },
  })
}

let topics = 0
testSink('kafka, Apache Kafka', {
  definition: sink,
  recallable: true,
  manyEvents: 10_000,
  start: () => realKafka(`contract-${++topics}`),
})
