/**
 * Kafka brokers inside a test, on raw sockets, which can fail in every way that brokers can. What they are not told to do
 * otherwise they do as Apache Kafka does (fidelity.test.ts): they check record batches, and say who leads a partition.
 */
import { once } from 'node:events'
import net from 'node:net'
import { untilWoken } from '../../contract-target.ts'
import {
  ApiKey,
  apiVersionsAnswer,
  type KafkaErrorName,
  metadataAnswer,
  type ProducedPart,
  type ProduceResult,
  produceAnswer,
  type RequestHeader,
  readHeader,
  readMetadataRequest,
  readProduceRequest,
  type TopicMetadata,
  type Versions,
} from './protocol.ts'
import { type BatchRecord, decodeBatch } from './record-batch.ts'
import { Reader, Writer } from './wire.ts'

/** A record that was appended to a partition. */
export interface KeptRecord extends BatchRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** A record batch that arrived, whatever became of it. */
export interface ProducedBatch {
  readonly broker: number
  readonly topic: string
  readonly partition: number
  /** Of the whole batch, compressed. */
  readonly bytes: number
  readonly acks: number
}

/** What is done with a Produce request. */
export interface Handling {
  /** Whether the records are kept, if nothing is wrong with them. */
  readonly append: boolean
  readonly reply: Reply
}

export type Reply =
  /** What became of each partition, as it is. */
  | { readonly type: 'answer'; readonly throttleMs?: number }
  /** This error for each partition. */
  | { readonly type: 'error'; readonly error: KafkaErrorName }
  /** No error, and no word about any partition. */
  | { readonly type: 'omit' }
  /** The connection ends instead. */
  | { readonly type: 'close'; readonly how: 'reset' | 'end' }
  /** It ends within the answer. */
  | { readonly type: 'cut'; readonly how: 'reset' | 'end' }
  /** Nothing ever; requests after it on this connection wait in vain too. */
  | { readonly type: 'silence' }

export interface TopicOptions {
  readonly partitions: number
  /** Bytes of a batch. @default 1048588 */
  readonly maxMessageBytes?: number
  /** `cleanup.policy=compact`: a record needs a key. @default false */
  readonly compacted?: boolean
}

export interface FaultKafkaOptions {
  readonly topics: Readonly<Record<string, TopicOptions>>
  /** @default 1 */
  readonly brokers?: number
  /** Versions of Produce that they say they have. @default [7, 7] */
  readonly produceVersions?: Versions
}

const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
const take: Handling = { append: true, reply: { type: 'answer' } }

interface Topic extends TopicOptions {
  /** Ids of brokers, by partition; -1: none. */
  readonly leaders: number[]
  readonly ends: number[]
}

/** Ids are 0, 1 ...; the leader of a partition is at first that of its number, modulo their number. */
export class FaultKafka implements AsyncDisposable {
  /** Decides about the next Produce request, unless one of `next` is left. */
  handle: (parts: readonly ProducedPart[], broker: number) => Handling = () => take
  /** What Metadata says of a topic. */
  topicError: (topic: string) => KafkaErrorName = () => 'NONE'
  readonly #kept: KeptRecord[] = []
  readonly #batches: ProducedBatch[] = []
  readonly #next: Handling[] = []
  readonly #topics: ReadonlyMap<string, Topic>
  readonly #brokers: readonly Broker[]
  readonly #versions: ReadonlyMap<number, Versions>
  readonly #waiters = new Set<() => void>()
  #attempts = 0
  #gate: { readonly opened: Promise<void>; open(): void } | undefined

  private constructor({ topics, brokers = 1, produceVersions = [7, 7] }: FaultKafkaOptions) {
    this.#topics = new Map(
      Object.entries(topics).map(([name, topic]) => {
        const leaders = Array.from({ length: topic.partitions }, (_, partition) => partition % brokers)
        return [name, { ...topic, leaders, ends: leaders.map(() => 0) }]
      }),
    )
    this.#versions = new Map<number, Versions>([
      [ApiKey.produce, produceVersions],
      [ApiKey.metadata, [6, 6]],
      [ApiKey.apiVersions, [0, 2]],
    ])
    this.#brokers = Array.from({ length: brokers }, (_, id) => {
      return new Broker(
        (request) => this.#answer(request, id),
        () => this.#wake(),
      )
    })
  }

  static async start(options: FaultKafkaOptions): Promise<FaultKafka> {
    const kafka = new FaultKafka(options)
    await kafka.restart()
    return kafka
  }

  /** `127.0.0.1:23456`, one for each broker. */
  get addresses(): readonly string[] {
    return this.#brokers.map(({ port }) => `127.0.0.1:${port}`)
  }

  /** In the order in which they were appended. */
  get kept(): readonly KeptRecord[] {
    return this.#kept
  }

  get batches(): readonly ProducedBatch[] {
    return this.#batches
  }

  /** Produce requests that arrived. */
  get attempts(): number {
    return this.#attempts
  }

  get connections(): number {
    return this.#brokers.reduce((sum, { connections }) => sum + connections, 0)
  }

  /** Empties what was kept; offsets go on. */
  forget(): void {
    this.#kept.splice(0)
    this.#batches.splice(0)
  }

  /** Resolves when `condition` holds; it is asked whenever something happened here. */
  until(condition: () => boolean): Promise<void> {
    return untilWoken(this.#waiters, condition)
  }

  /** Decides about one Produce request, after those that were decided about before. */
  next(handling: Handling): void {
    this.#next.push(handling)
  }

  /** Produce requests are not looked at, until `flow`; those whose connection is closed by then are gone. */
  stall(): void {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    this.#gate ??= { opened, open }
  }

  flow(): void {
    this.#gate?.open()
    this.#gate = undefined
  }

  /** `none`: an election is under way. */
  lead(topic: string, partition: number, leader: number | 'none'): void {
    const leaders = this.#topics.get(topic)?.leaders
    if (leaders?.[partition] === undefined) throw new Error(`there is no partition ${partition} of topic ${topic}`)
    leaders[partition] = leader === 'none' ? -1 : leader
  }

  /** All brokers, or one. Connections are reset; ports and records are kept. */
  async stop(id?: number): Promise<void> {
    await Promise.all(this.#chosen(id).map((broker) => broker.stop()))
  }

  async restart(id?: number): Promise<void> {
    await Promise.all(this.#chosen(id).map((broker) => broker.start()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.flow()
    await this.stop()
  }

  #chosen(id: number | undefined): readonly Broker[] {
    return id === undefined ? this.#brokers : this.#brokers.slice(id, id + 1)
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
  }

  async #answer({ header, body, closed }: Request, broker: number): Promise<Outcome> {
    const { key, version } = header
    const [from, to] = this.#versions.get(key) ?? [0, -1]
    if (key === ApiKey.apiVersions) {
      const known = version <= to
      return answer(apiVersionsAnswer(known ? version : 0, known ? 'NONE' : 'UNSUPPORTED_VERSION', this.#versions))
    }
    if (version < from || version > to) return { type: 'close', how: 'end' }
    if (key === ApiKey.metadata) return answer(this.#metadata(readMetadataRequest(body)))
    return await this.#produce(readProduceRequest(body), broker, closed)
  }

  #metadata(asked: readonly string[] | null): Buffer {
    const topics = (asked ?? [...this.#topics.keys()]).map((name): TopicMetadata => {
      const topic = this.#topics.get(name)
      const error = topic ? this.topicError(name) : 'UNKNOWN_TOPIC_OR_PARTITION'
      return { name, error, leaders: error === 'NONE' ? (topic?.leaders ?? []) : [] }
    })
    const brokers = this.#brokers.map(({ port }, id) => ({ id, host: '127.0.0.1', port }))
    return metadataAnswer(brokers, topics)
  }

  async #produce(
    { acks, parts }: ReturnType<typeof readProduceRequest>,
    broker: number,
    closed: () => boolean,
  ): Promise<Outcome> {
    this.#attempts++
    for (const { topic, partition, batch } of parts) {
      this.#batches.push({ broker, topic, partition, bytes: batch.length, acks })
    }
    const { append, reply } = this.#next.shift() ?? this.handle(parts, broker)
    this.#wake()
    await this.#gate?.opened
    if (closed()) return { type: 'silence' }
    const results = append ? parts.map((part) => this.#append(part, { broker, acks })) : []
    this.#wake()
    switch (reply.type) {
      case 'answer':
        if (acks === 0) return { type: 'nothing' }
        return answer(produceAnswer(results, reply.throttleMs ?? 0))
      case 'error':
        return answer(
          produceAnswer(
            parts.map((part) => refused(part, reply.error)),
            0,
          ),
        )
      case 'omit':
        return answer(produceAnswer([], 0))
      case 'cut':
        return { type: 'cut', how: reply.how, body: produceAnswer(results, 0) }
      case 'close':
      case 'silence':
        return reply
    }
  }

  #append(part: ProducedPart, { broker, acks }: { readonly broker: number; readonly acks: number }): ProduceResult {
    const { partition, batch } = part
    const topic = this.#topics.get(part.topic)
    const end = topic?.ends[partition]
    if (!topic || end === undefined) return refused(part, 'UNKNOWN_TOPIC_OR_PARTITION')
    if (acks < -1 || acks > 1) return refused(part, 'INVALID_REQUIRED_ACKS')
    if (topic.leaders[partition] !== broker) return refused(part, 'NOT_LEADER_OR_FOLLOWER')
    const decoded = decodeBatch(batch)
    if (decoded.type === 'refused') return refused(part, decoded.error)
    if (batch.length > (topic.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES)) return refused(part, 'MESSAGE_TOO_LARGE')
    if (topic.compacted && decoded.records.some(({ key }) => key === null)) return refused(part, 'INVALID_RECORD')
    for (const [index, record] of decoded.records.entries()) {
      this.#kept.push({ topic: part.topic, partition, offset: end + index, ...record })
    }
    topic.ends[partition] = end + decoded.records.length
    return { topic: part.topic, partition, error: 'NONE', baseOffset: end }
  }
}

function refused({ topic, partition }: ProducedPart, error: KafkaErrorName): ProduceResult {
  return { topic, partition, error, baseOffset: -1 }
}

interface Request {
  readonly header: RequestHeader
  /** What follows the header. */
  readonly body: Reader
  /** Whether its connection is gone. */
  closed(): boolean
}

/** What becomes of a connection after a request. */
type Outcome =
  | { readonly type: 'answer'; readonly body: Buffer }
  | { readonly type: 'cut'; readonly how: 'reset' | 'end'; readonly body: Buffer }
  | { readonly type: 'close'; readonly how: 'reset' | 'end' }
  | { readonly type: 'silence' }
  /** The client wants no answer. */
  | { readonly type: 'nothing' }

const answer = (body: Buffer): Outcome => ({ type: 'answer', body })

/** A port and its connections; of each it takes one request at a time. */
class Broker {
  readonly #answer: (request: Request) => Promise<Outcome>
  readonly #changed: () => void
  readonly #sockets = new Set<net.Socket>()
  #server: net.Server | undefined
  #port = 0

  constructor(answer: (request: Request) => Promise<Outcome>, changed: () => void) {
    this.#answer = answer
    this.#changed = changed
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#sockets.size
  }

  async start(): Promise<void> {
    if (this.#server) return
    const server = net.createServer({ noDelay: true }, (socket) => {
      this.#serve(socket)
    })
    this.#server = server
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address === 'object' && address) this.#port = address.port
  }

  async stop(): Promise<void> {
    if (!this.#server) return
    const closed = [this.#server, ...this.#sockets].map(
      (one) => new Promise<void>((resolve) => one.once('close', () => resolve())),
    )
    this.#server.close()
    this.#server = undefined
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await Promise.all(closed)
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket)
    this.#changed()
    socket.on('error', () => undefined) // a client that is gone is no matter
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#changed()
    })
    const requests = new Frames()
    let turn = Promise.resolve()
    let over = false
    // read on even while nothing is answered: or nobody would notice that the client has gone
    socket.on('data', (chunk: Buffer) => {
      for (const bytes of requests.take(chunk)) {
        turn = turn.then(async () => {
          if (over || socket.destroyed) return
          const body = new Reader(bytes)
          const header = readHeader(body)
          const outcome = await this.#answer({ header, body, closed: () => socket.destroyed })
          over = outcome.type !== 'answer' && outcome.type !== 'nothing'
          settle(socket, header, outcome)
        })
        turn = turn.catch(() => void socket.destroy()) // what it sent is no request
      }
    })
  }
}

function settle(socket: net.Socket, { correlation }: RequestHeader, outcome: Outcome): void {
  switch (outcome.type) {
    case 'answer':
      socket.write(frame(correlation, outcome.body))
      return
    case 'cut': {
      const whole = frame(correlation, outcome.body)
      socket.write(whole.subarray(0, whole.length / 2), () => hangUp(socket, outcome.how))
      return
    }
    case 'close':
      hangUp(socket, outcome.how)
      return
    case 'silence':
    case 'nothing':
  }
}

function frame(correlation: number, body: Buffer): Buffer {
  return new Writer().bytes(new Writer().int32(correlation).raw(body).done()).done()
}

function hangUp(socket: net.Socket, how: 'reset' | 'end'): void {
  if (how === 'reset') socket.resetAndDestroy()
  else socket.end()
}

/** Requests out of what arrives: each has its length before it. */
class Frames {
  #chunks: Buffer[] = []
  #length = 0

  /** Those that are whole by now, without their lengths. */
  take(chunk: Buffer): readonly Buffer[] {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    const whole: Buffer[] = []
    for (;;) {
      if (this.#length < 4) return whole
      if ((this.#chunks[0]?.length ?? 0) < 4) this.#join()
      const end = 4 + (this.#chunks[0]?.readInt32BE() ?? 0)
      if (this.#length < end) return whole
      const all = this.#join()
      whole.push(all.subarray(4, end))
      this.#chunks = [all.subarray(end)]
      this.#length -= end
    }
  }

  #join(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }
}
