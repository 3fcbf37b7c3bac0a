/**
 * The messages of the Kafka protocol that kafkajs sends to deliver records, from the broker's side. Source: "Kafka protocol
 * guide", The Messages and Error Codes.
 */
import { type Reader, Writer } from './wire.ts'

export const ApiKey = {
  produce: 0,
  listOffsets: 2,
  metadata: 3,
  apiVersions: 18,
  createTopics: 19,
  deleteTopics: 20,
  alterConfigs: 44,
} as const
export type ApiKey = (typeof ApiKey)[keyof typeof ApiKey]

export const KafkaError = {
  UNKNOWN_SERVER_ERROR: -1,
  NONE: 0,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  BROKER_NOT_AVAILABLE: 8,
  MESSAGE_TOO_LARGE: 10,
  NETWORK_EXCEPTION: 13,
  INVALID_TOPIC_EXCEPTION: 17,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  INVALID_REQUIRED_ACKS: 21,
  TOPIC_AUTHORIZATION_FAILED: 29,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_VERSION: 35,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_CONFIG: 40,
  POLICY_VIOLATION: 44,
  KAFKA_STORAGE_ERROR: 56,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  INVALID_RECORD: 87,
  THROTTLING_QUOTA_EXCEEDED: 89,
} as const
export type KafkaErrorName = keyof typeof KafkaError

/** The oldest and the newest version that a broker speaks. */
export type Versions = readonly [from: number, to: number]

export interface RequestHeader {
  readonly key: number
  readonly version: number
  readonly correlation: number
}

export function readHeader(request: Reader): RequestHeader {
  const header = { key: request.int16(), version: request.int16(), correlation: request.int32() }
  request.nullableString() // client id
  return header
}

/** v0 to v2. */
export function apiVersionsAnswer(
  version: number,
  error: KafkaErrorName,
  known: ReadonlyMap<number, Versions>,
): Buffer {
  const answer = new Writer().int16(KafkaError[error])
  answer.array([...known], (writer, [key, [from, to]]) => writer.int16(key).int16(from).int16(to))
  if (version > 0) answer.int32(0) // throttle time
  return answer.done()
}

export interface BrokerAddress {
  readonly id: number
  readonly host: string
  readonly port: number
}

export interface TopicMetadata {
  readonly name: string
  readonly error: KafkaErrorName
  /** Ids of brokers, by partition; -1: it has no leader. */
  readonly leaders: readonly number[]
}

/** v6. Null: all topics. */
export function readMetadataRequest(request: Reader): readonly string[] | null {
  return request.nullableArray(() => request.string())
}

/** v6. */
export function metadataAnswer(brokers: readonly BrokerAddress[], topics: readonly TopicMetadata[]): Buffer {
  const answer = new Writer().int32(0) // throttle time
  answer.array(brokers, (writer, { id, host, port }) => writer.int32(id).string(host).int32(port).string(null))
  answer.string('fault-kafka').int32(brokers[0]?.id ?? -1)
  answer.array(topics, (_, { name, error, leaders }) => {
    answer.int16(KafkaError[error]).string(name).boolean(false)
    answer.array([...leaders.entries()], (writer, [partition, leader]) => {
      const replicas = brokers.map(({ id }) => id)
      writer
        .int16(KafkaError[leader < 0 ? 'LEADER_NOT_AVAILABLE' : 'NONE'])
        .int32(partition)
        .int32(leader)
      for (const ids of [replicas, replicas, []]) writer.array(ids, (_, id) => writer.int32(id))
    })
  })
  return answer.done()
}

export interface ProduceRequest {
  readonly acks: number
  readonly parts: readonly ProducedPart[]
}

/** What a request brings to one partition. */
export interface ProducedPart {
  readonly topic: string
  readonly partition: number
  /** A record batch. */
  readonly batch: Buffer
}

/** v7. */
export function readProduceRequest(request: Reader): ProduceRequest {
  request.nullableString() // transactional id
  const acks = request.int16()
  request.int32() // how long to wait for replicas
  const topics = request.array(() => {
    const topic = request.string()
    return request.array(() => ({ topic, partition: request.int32(), batch: request.bytes() }))
  })
  return { acks, parts: topics.flat() }
}

export interface ProduceResult {
  readonly topic: string
  readonly partition: number
  readonly error: KafkaErrorName
  /** -1 with an error. */
  readonly baseOffset: number
}

/** v7. */
export function produceAnswer(results: readonly ProduceResult[], throttleMs: number): Buffer {
  const answer = new Writer().array(results, (writer, { topic, partition, error, baseOffset }) => {
    writer.string(topic).int32(1).int32(partition).int16(KafkaError[error]).int64(BigInt(baseOffset))
    writer.int64(-1n).int64(error === 'NONE' ? 0n : -1n) // append time is not that of the log; the log starts at 0
  })
  return answer.int32(throttleMs).done()
}
