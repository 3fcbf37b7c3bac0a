/** What an error of the Kafka client means for a delivery. */
import { DeliveryError, type DeliveryErrorCode } from '../../src/delivery/sink.ts'
import { connectionWords } from '../../src/lib/connection-words.ts'

/**
 * Errors of the protocol that are not `unavailable`: no leader, a leader that moved, too few replicas, timeouts and
 * whatever else says that the cluster cannot take anything now. An `unknown` one may be about the records.
 */
const codes: Readonly<Record<string, DeliveryErrorCode>> = {
  MESSAGE_TOO_LARGE: 'too-large',
  RECORD_LIST_TOO_LARGE: 'too-large',
  INVALID_RECORD: 'rejected',
  INVALID_TIMESTAMP: 'rejected',
  POLICY_VIOLATION: 'rejected',
  INVALID_TOPIC_EXCEPTION: 'rejected',
  CORRUPT_MESSAGE: 'failed',
  UNKNOWN: 'failed',
  KAFKAJS_UNKNOWN_ERROR_CODE: 'failed',
  TOPIC_AUTHORIZATION_FAILED: 'unauthorized',
  CLUSTER_AUTHORIZATION_FAILED: 'unauthorized',
  SASL_AUTHENTICATION_FAILED: 'unauthorized',
  ILLEGAL_SASL_STATE: 'unauthorized',
  UNSUPPORTED_SASL_MECHANISM: 'unauthorized',
}

const remedies: Readonly<Record<string, string>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'create it, or set createTopics',
  TOPIC_AUTHORIZATION_FAILED: 'the principal needs Write and Describe on it, and Create for createTopics',
  CLUSTER_AUTHORIZATION_FAILED: 'the principal may not do this on the cluster',
  SASL_AUTHENTICATION_FAILED: 'correct sasl.username or sasl.password',
  ILLEGAL_SASL_STATE: 'this port wants no login: leave sasl out, or take the port that does',
  UNSUPPORTED_SASL_MECHANISM: 'set sasl.mechanism to one that the listener has',
  UNSUPPORTED_COMPRESSION_TYPE: 'set compression to gzip or none',
  NOT_ENOUGH_REPLICAS: 'fewer replicas are in sync than min.insync.replicas',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'fewer replicas are in sync than min.insync.replicas',
  MESSAGE_TOO_LARGE: "it is above the topic's max.message.bytes",
  INVALID_RECORD:
    'the broker found it invalid; a topic that is compacted, or validates schemas, takes not every record',
}

/** What the client's errors say that have no code. */
const reasons: Readonly<Record<string, string>> = {
  KafkaJSConnectionError: 'no connection',
  KafkaJSConnectionClosedError: 'the connection was closed; does this port want TLS, or a login?',
  KafkaJSRequestTimeoutError: 'no answer',
}

/** What a failed call was about. */
export interface Subject {
  /** `kafka:9092, kafka-2:9092` */
  readonly brokers: string
  readonly topic: string | undefined
  /** Why a connection broke, if one did. */
  readonly broken: string | undefined
}

/** The error, as the worker wants it. Its text has no message of the client in it, which could hold anything. */
export function deliveryError(error: unknown, { brokers, topic, broken }: Subject): DeliveryError {
  if (error instanceof DeliveryError) return error
  const { name, type, code } = rootOf(error)
  if (name === 'KafkaJSSASLAuthenticationError') {
    const message = `the login at ${brokers} failed: correct sasl.username, sasl.password or sasl.mechanism`
    return new DeliveryError('unauthorized', message)
  }
  if (type !== undefined) {
    const about = topic === undefined ? brokers : `topic ${topic}`
    const remedy = remedies[type]
    return new DeliveryError(
      codes[type] ?? 'unavailable',
      `Kafka says ${type} of ${about}${remedy ? `: ${remedy}` : ''}`,
    )
  }
  const reason = code ?? broken ?? reasons[name] ?? name
  return new DeliveryError('unavailable', `${brokers} cannot be reached: ${connectionWords(reason)}`)
}

/** Whether the failure says nothing of the cluster but that the connections, or the login on them, are of no use. */
export function isAboutConnection(error: unknown): boolean {
  const { name, type } = rootOf(error)
  return type === undefined || name === 'KafkaJSSASLAuthenticationError' || /SASL/.test(type)
}

/** Name of the error by which Kafka answered; undefined if it did not answer. */
export function protocolError(error: unknown): string | undefined {
  return rootOf(error).type
}

interface Root {
  readonly name: string
  /** Name of an error of the protocol. */
  readonly type: string | undefined
  /** `ECONNREFUSED`, `CERT_HAS_EXPIRED` … */
  readonly code: string | undefined
}

/** The client wraps errors in errors. */
function rootOf(error: unknown): Root {
  if (!(error instanceof Error)) return { name: typeof error, type: undefined, code: undefined }
  const type = 'type' in error && typeof error.type === 'string' ? error.type : undefined
  if (type === undefined && error.cause instanceof Error) return rootOf(error.cause)
  // of several topics to create; there is one
  if (type === undefined && 'errors' in error && Array.isArray(error.errors)) return rootOf(error.errors[0])
  return { name: error.name, type, code: 'code' in error && typeof error.code === 'string' ? error.code : undefined }
}
