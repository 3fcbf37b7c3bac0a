/**
 * The Kafka client, made narrow: one send is one record batch to one partition, its answer is checked, and when it is
 * given up nothing of it is sent any more. The only file that imports kafkajs, whose defects end here:
 *
 *   a send over several brokers loses records when a leader moves   one partition a send, named by the caller
 *   an answer without the partition resolves                        it is an error here
 *   a hung connection is waited for without end                     all connections are closed when a signal aborts
 *   half an answer spoils the connection after the one that broke   there is none after it: the caller takes another driver
 *   retries, topics made by asking for them, logs on the console    switched off
 *   a timer that runs for ever on each idle connection              not set while there is nothing to wait for
 *   brokers' oldest versions of requests are not looked at          compared when a connection is made
 */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs, { type Admin, type CompressionTypes, type Producer } from 'kafkajs'
// @ts-expect-error: the library has no types for its parts
import Broker from 'kafkajs/src/broker/index.js'
// @ts-expect-error: the library has no types for its parts
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import type { Logger } from 'pino'
import { DeliveryError, type KafkaRecord } from '../../src/delivery/sink.ts'
import { abortable } from '../../src/lib/abort.ts'
import { deliveryError, isAboutConnection, protocolError } from './error-codes.ts'

/** By which mechanism, as whom. */
export type Login =
  | { readonly mechanism: 'plain'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'scram-sha-256'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'scram-sha-512'; readonly username: string; readonly password: string }

export interface Credentials {
  /** Contents, not paths. Present: connections are encrypted. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined
  readonly sasl: Login | undefined
}

export interface DriverOptions extends Credentials {
  /** `host:port`, asked in this order. */
  readonly brokers: readonly string[]
  readonly compression: 'zstd' | 'gzip' | 'none'
  readonly logger: Logger
}

export interface KeyedRecord extends KafkaRecord {
  readonly key: string
}

export interface NewTopic {
  readonly partitions: number
  readonly replicationFactor: number
  readonly compacted: boolean
}

const { CompressionCodecs, CompressionTypes: Compression, Kafka, logLevel } = kafkajs

const CONNECT_TIMEOUT_MS = 10_000
/** Added partitions and moved leaders are seen after this time without an error too. */
const METADATA_MAX_AGE_MS = 60_000
/** A broker waits this long for its replicas, then says REQUEST_TIMED_OUT; less than an attempt takes, so that it can. */
const ACK_TIMEOUT_MS = 10_000
/** A connection that does not answer so long is of no use. An attempt mostly ends before. */
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 60_000

const codecs = { zstd: Compression.ZSTD, gzip: Compression.GZIP, none: Compression.None } as const

/** Connections to one cluster, with one set of credentials. It is of no use any more after a failure of a connection. */
export class Driver implements AsyncDisposable {
  readonly #brokers: string
  readonly #logger: Logger
  readonly #compression: CompressionTypes
  readonly #producer: Producer
  readonly #admin: Admin
  readonly #sockets = new Set<net.Socket>()
  readonly #calls = new Set<Promise<unknown>>()
  /** How many partitions a topic has, as far as the last send or question told. */
  readonly #partitions = new Map<string, number>()
  /** Aborts when the connections are closed. */
  readonly #over = new AbortController()
  /** Why a connection broke, a login failed, or all were closed. */
  #broken: string | undefined

  constructor({ brokers, compression, tls, sasl, logger }: DriverOptions) {
    this.#brokers = brokers.join(', ')
    this.#logger = logger
    this.#compression = codecs[compression]
    const kafka = new Kafka({
      brokers: [...brokers],
      clientId: 'deltawire',
      ...(tls && { ssl: { ...tls } }),
      ...(sasl && { sasl: { ...sasl } }),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // of connecting: as many as there are others to try
      retry: { retries: brokers.length, initialRetryTime: 50, maxRetryTime: 500 },
      socketFactory: ({ host, port, ssl, onConnect }) => this.#dial({ host, port }, ssl, onConnect),
      logLevel: logLevel.DEBUG,
      logCreator: () => (entry) => this.#log(entry.namespace, entry.log),
    })
    this.#producer = kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      retry: { retries: 0 },
      createPartitioner: () => (send) => {
        this.#partitions.set(send.topic, send.partitionMetadata.length)
        return send.message.partition ?? 0
      },
    })
    this.#admin = kafka.admin({ retry: { retries: 0 } })
  }

  /** What is sent next needs another driver. */
  get isUseless(): boolean {
    return this.#broken !== undefined
  }

  /** Proves that a broker can be reached, accepts the login, and speaks what is needed. Rejects with a DeliveryError. */
  connect(signal: AbortSignal): Promise<void> {
    return this.#call(signal, undefined, async () => {
      await Promise.all([this.#producer.connect(), this.#admin.connect()])
    })
  }

  /** How many partitions the topic has; undefined if there is no such topic. Rejects with a DeliveryError. */
  async partitions(topic: string, signal: AbortSignal): Promise<number | undefined> {
    const known = this.#partitions.get(topic)
    if (known !== undefined) return known
    return await this.#call(signal, topic, async () => {
      const partitions = await this.#askPartitions(topic)
      if (partitions !== undefined) this.#partitions.set(topic, partitions)
      return partitions
    })
  }

  /** Does nothing if the topic exists. Rejects with a DeliveryError. */
  createTopic(topic: string, { partitions, replicationFactor, compacted }: NewTopic, signal: AbortSignal) {
    const configEntries = compacted ? [{ name: 'cleanup.policy', value: 'compact' }] : []
    return this.#call(signal, topic, async () => {
      await this.#admin.createTopics({
        topics: [{ topic, numPartitions: partitions, replicationFactor, configEntries }],
        timeout: ACK_TIMEOUT_MS,
      })
    })
  }

  /**
   * Sends the records as one batch, at most 500 of them: the library's time grows with their square. Resolves when all
   * replicas in sync have them. Rejects with a DeliveryError, or with `signal.reason`; then all connections are closed,
   * so that nothing is sent any more, and whatever else is under way here fails as `unavailable`.
   *
   * Waiting for that instead is no choice: the records cannot be called back otherwise, and requests to one broker share
   * a connection, so what was sent after them would stand behind a broker that does not answer.
   */
  async producePartition(
    topic: string,
    partition: number,
    records: readonly KeyedRecord[],
    signal: AbortSignal,
  ): Promise<void> {
    const messages = records.map(({ key, value, headers }) => ({ key, value, headers, partition }))
    await this.#call(signal, topic, async () => {
      const answers = await this.#producer.send({
        topic,
        messages,
        acks: -1,
        timeout: ACK_TIMEOUT_MS,
        compression: this.#compression,
      })
      const [answer] = answers
      const isAccepted =
        answers.length === 1 &&
        answer?.topicName === topic &&
        answer.partition === partition &&
        answer.errorCode === 0 &&
        /^[0-9]+$/.test(answer.baseOffset ?? '')
      if (isAccepted) return
      // a partition that the topic does not have is left out by the library, without an error
      this.#partitions.delete(topic)
      throw new DeliveryError('unavailable', `Kafka did not confirm partition ${partition} of topic ${topic}`)
    })
  }

  /** Waits for what is under way, then closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls)
    await this.#close()
  }

  async #askPartitions(topic: string): Promise<number | undefined> {
    try {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
      return topics.find(({ name }) => name === topic)?.partitions.length
    } catch (error) {
      if (protocolError(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
      throw error
    }
  }

  async #call<T>(signal: AbortSignal, topic: string | undefined, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#broken !== undefined) {
      throw new DeliveryError('unavailable', `${this.#brokers} cannot be reached: ${this.#broken}`)
    }
    const call = abortable(work(), this.#over.signal)
    this.#calls.add(call)
    try {
      return await abortable(call, signal)
    } catch (error) {
      if (signal.aborted) {
        await this.#close()
        throw signal.reason
      }
      const failure = deliveryError(error, { brokers: this.#brokers, topic, broken: this.#broken })
      if (isAboutConnection(error)) this.#broken ??= 'a request before it failed'
      if (topic !== undefined && failure.code === 'unavailable') this.#partitions.delete(topic)
      throw failure
    } finally {
      this.#calls.delete(call)
    }
  }

  /** Nothing is sent afterwards: written bytes that have not left are thrown away, and the library gets no new socket. */
  async #close(): Promise<void> {
    this.#broken ??= 'all connections were closed'
    this.#over.abort(new DeliveryError('unavailable', `the connections to ${this.#brokers} were closed`))
    await Promise.all(
      Array.from(this.#sockets, async (socket) => {
        const closed = once(socket, 'close')
        socket.destroy()
        await closed
      }),
    )
  }

  /**
   * Once a connection broke there are no new ones: the library reads the answers of the next on top of what it had of the
   * old one's, and waits for ever. What is under way on others may end; for the rest there is the next driver.
   */
  #dial(address: { host: string; port: number }, ssl: tls.ConnectionOptions | undefined, onConnect: () => void) {
    if (this.#broken !== undefined) throw new Error(this.#broken)
    let isOpen = false
    const opened = () => {
      isOpen = true
      onConnect()
    }
    const servername = net.isIP(address.host) === 0 ? { servername: address.host } : {}
    const socket = ssl ? tls.connect({ ...address, ...servername, ...ssl }, opened) : net.connect(address, opened)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.setNoDelay(true)
    this.#sockets.add(socket)
    // the library takes note of `end` and `error` alone, and of a socket that is closed here there is neither
    let isKnown = false
    const broke = (reason: string) => {
      isKnown = true
      if (isOpen) this.#broken ??= reason
    }
    socket.once('end', () => broke('the connection was closed'))
    socket.once('error', (error: NodeJS.ErrnoException) => broke(error.code ?? error.name))
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (!isKnown) socket.emit('end')
    })
    return socket
  }

  /** The library's own words, for those who look for them. Of its fields some hold requests, so only these two are kept. */
  #log(
    namespace: string,
    { message, broker, retryCount }: { message: string; broker?: unknown; retryCount?: unknown },
  ) {
    this.#logger.trace({ namespace, broker, retryCount }, `kafkajs: ${message.slice(0, 200)}`)
  }
}

/** Versions of requests that the library can send, and those that are needed: headers, and answers with offsets. */
const needed = [
  { api: 'Produce', key: 0, from: 3, to: 7 },
  { api: 'Metadata', key: 3, from: 1, to: 6 },
] as const

type Versions = Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>

function assertSupported(versions: Versions): void {
  for (const { api, key, from, to } of needed) {
    const broker = versions[key]
    if (broker && broker.minVersion <= to && broker.maxVersion >= from) continue
    const has = broker ? `${broker.minVersion} to ${broker.maxVersion}` : 'none'
    const message = `the broker has versions ${has} of ${api}, Deltawire needs one of ${from} to ${to}: use Apache Kafka 0.11 to 4.x`
    throw new DeliveryError('unavailable', message)
  }
}

/** Of the library's parts, what is mended. */
interface Mended {
  readonly broker: { apiVersions(): Promise<Versions> }
  readonly queue: {
    readonly pending: readonly unknown[]
    readonly throttledUntil: number
    scheduleCheckPendingRequests(): void
  }
}

const broker: Mended['broker'] = Broker.prototype
const { apiVersions } = broker
broker.apiVersions = async function () {
  const versions = await apiVersions.call(this)
  assertSupported(versions)
  return versions
}

const queue: Mended['queue'] = RequestQueue.prototype
const { scheduleCheckPendingRequests } = queue
queue.scheduleCheckPendingRequests = function () {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) scheduleCheckPendingRequests.call(this)
}

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
CompressionCodecs[Compression.ZSTD] = () => ({
  compress: (encoder: { readonly buffer: Buffer }) => compress(encoder.buffer),
  decompress: (bytes: Buffer) => decompress(bytes),
})
