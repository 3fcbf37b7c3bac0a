/**
 * Sends each event as one record (CloudEvents Kafka Protocol Binding). Delivered means: all replicas that are in sync
 * have it. Start reading here; driver.ts is the Kafka client, partition.ts how the events of one partition are sent.
 */
import {
  type DeliverContext,
  DeliveryError,
  defineSink,
  type Failure,
  type OutboundEvent,
  type Sink,
  type SinkContext,
} from '../../src/delivery/sink.ts'
import { InFlight } from '../../src/lib/in-flight.ts'
import type { Infer } from '../../src/lib/json-schema.ts'
import { Connections } from './connections.ts'
import type { Driver } from './driver.ts'
import { encode, isDeletion, keyOf, sizeOf } from './encoding.ts'
import { asDeliveryError, type Placed, sendInOrder } from './partition.ts'
import { partitionOf } from './partitioner.ts'
import { schema } from './schema.ts'
import { Topic } from './topic.ts'
import { Turns } from './turns.ts'

type Config = Infer<typeof schema>

const MiB = 2 ** 20
/** What a topic takes unless it is set otherwise: its `max.message.bytes`, less what a record batch needs for itself. */
const MAX_SEND_BYTES = 1_048_588 - 61

/** Delivered means: all replicas that are in sync have the record. */
export const sink = defineSink({
  type: 'kafka',
  schema,
  limits: (config) => ({
    maxEventBytes: MAX_SEND_BYTES,
    maxBatchEvents: 2000,
    maxBatchBytes: 16 * MiB,
    sizeOf: (event) => sizeOf(event, config),
    sameKeyInBatch: true,
    concurrency: 4,
    keepsLast: config.compacted,
  }),
  create: (config, context) => new KafkaSink(config, context),
  warnings: ({ topic, tls, sasl }) => {
    const warnings: string[] = []
    if (sasl?.mechanism === 'plain' && !tls) {
      warnings.push(
        'sasl: plain without tls: everybody on the way can read the password; set tls, or use scram-sha-512',
      )
    }
    if (topic.includes('{type}')) {
      warnings.push('topic: by {type} the events of one object go to several topics, without an order between them')
    }
    return warnings
  },
})

interface PlacedEvent extends Placed {
  readonly event: OutboundEvent
}

/** What of a batch goes to one partition, in order. */
interface Share {
  readonly topic: string
  readonly partition: number
  readonly events: PlacedEvent[]
}

class KafkaSink implements Sink {
  readonly #config: Config
  readonly #topic: Topic
  readonly #connections: Connections
  /** One send to a partition at a time. */
  readonly #turns = new Turns()
  /** Of topics that take less at a time than most. Grows with the number of topics only. */
  readonly #maxBytes = new Map<string, number>()
  readonly #deliveries = new InFlight()
  #disposed = false

  constructor(config: Config, context: SinkContext) {
    if (config.compacted && config.mode !== 'binary') {
      throw new Error('compacted: a deletion is a record without a value, which needs mode: binary')
    }
    if (config.tls && (config.tls.cert === undefined) !== (config.tls.key === undefined)) {
      throw new Error('tls: cert and key go together; one of them is missing')
    }
    this.#config = config
    this.#topic = new Topic(config.topic)
    this.#connections = new Connections(config, context)
  }

  async connect(signal: AbortSignal): Promise<void> {
    const driver = await this.#connections.driver(signal)
    const { fixed } = this.#topic
    if (fixed !== undefined) await this.#partitionsOf(fixed, driver, signal)
  }

  async deliver(batch: readonly OutboundEvent[], { signal }: DeliverContext): Promise<readonly Failure[]> {
    return await this.#deliveries.track(this.#deliver(batch, signal))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#deliveries.settled()
    await this.#connections[Symbol.asyncDispose]()
  }

  async #deliver(batch: readonly OutboundEvent[], signal: AbortSignal): Promise<readonly Failure[]> {
    signal.throwIfAborted()
    if (this.#disposed) throw new DeliveryError('unavailable', 'the sink is closed')
    if (batch.length === 0) return []
    const driver = await this.#connections.driver(signal).catch((error: unknown) => {
      signal.throwIfAborted()
      throw asDeliveryError(error) // another attempt made the connection, and gave it up
    })
    const failures = new Map<number, DeliveryError>()
    const shares = await this.#share(batch, failures, driver, signal)
    const results = await Promise.all(shares.map((share) => this.#send(share, driver, signal)))
    for (const result of results) for (const [index, error] of result) failures.set(index, error)
    if (failures.size === batch.length) signal.throwIfAborted()
    return Array.from(failures, ([index, error]) => ({ index, error })) // what was accepted is not to be sent again
  }

  /**
   * Which events go where. It is decided anew at each attempt: when a topic gets more partitions a key can move, and
   * nothing of it is on its way to its former partition then, because the events of one key are in one attempt at a time.
   */
  async #share(
    batch: readonly OutboundEvent[],
    failures: Map<number, DeliveryError>,
    driver: Driver,
    signal: AbortSignal,
  ): Promise<readonly Share[]> {
    const topics = new Map<string, number | DeliveryError>()
    const shares = new Map<string, Share>()
    const put = (topic: string, partition: number, placed: PlacedEvent) => {
      const name = `${topic}/${partition}`
      const share = shares.get(name)
      if (share) share.events.push(placed)
      else shares.set(name, { topic, partition, events: [placed] })
    }
    for (const [index, event] of batch.entries()) {
      const topic = this.#topicOf(event)
      if (topic instanceof DeliveryError) {
        failures.set(index, topic)
        continue
      }
      const partitions = topics.get(topic) ?? (await this.#partitionsOf(topic, driver, signal).catch(asDeliveryError))
      topics.set(topic, partitions)
      if (partitions instanceof DeliveryError) {
        failures.set(index, partitions)
        continue
      }
      const key = keyOf(event)
      const placed = { index, key, event, bytes: sizeOf(event, this.#config) }
      if (isMarker(event)) for (let partition = 0; partition < partitions; partition++) put(topic, partition, placed)
      else put(topic, partitionOf(key, partitions), placed)
    }
    return [...shares.values()]
  }

  /** Why it has no topic is a failure of the event. */
  #topicOf(event: OutboundEvent): string | DeliveryError {
    if (this.#config.compacted && event.attributes.degraded !== undefined && !isDeletion(event)) {
      return new DeliveryError('too-large', 'only the whole object may replace one on a compacted topic')
    }
    const topic = this.#topic.of(event.attributes)
    return (
      topic ?? new DeliveryError('malformed', `its attributes make no name of a topic out of ${this.#config.topic}`)
    )
  }

  async #partitionsOf(topic: string, driver: Driver, signal: AbortSignal): Promise<number> {
    const { createTopics, compacted } = this.#config
    let partitions = await driver.partitions(topic, signal)
    if (partitions === undefined && createTopics) {
      await driver.createTopic(topic, { ...createTopics, compacted }, signal)
      partitions = await driver.partitions(topic, signal)
    }
    if (partitions !== undefined) return partitions
    throw new DeliveryError('unavailable', `there is no topic ${topic}: create it, or set createTopics`)
  }

  #send({ topic, partition, events }: Share, driver: Driver, signal: AbortSignal) {
    const maxBytes = this.#maxBytes.get(topic) ?? MAX_SEND_BYTES
    return this.#turns.take(`${topic}/${partition}`, () =>
      sendInOrder(events, {
        maxBytes,
        onTooLarge: () => this.#maxBytes.set(topic, maxBytes / 2),
        send: (ready) => {
          const records = ready.map(({ key, event }) => ({ key, ...encode(event, this.#config) }))
          return driver.producePartition(topic, partition, records, signal)
        },
      }),
    )
  }
}

/** They are about the whole stream, so whoever reads one partition has to see them. */
function isMarker({ kind }: OutboundEvent): boolean {
  return kind !== 'change' && kind !== 'item'
}
