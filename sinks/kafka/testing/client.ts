/** A client of the Kafka protocol for tests: one connection, one request at a time, nothing hidden. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Reader, Writer } from './wire.ts'

/** The requests that tests make. Source: "Kafka protocol guide", API keys. */
export const ApiKey = {
  produce: 0,
  listOffsets: 2,
  metadata: 3,
  apiVersions: 18,
  createTopics: 19,
  initProducerId: 22,
} as const
export type ApiKey = (typeof ApiKey)[keyof typeof ApiKey]

export interface NewTopic {
  readonly name: string
  readonly partitions: number
  /** `max.message.bytes`, `cleanup.policy` and the like. */
  readonly config: Readonly<Record<string, string>>
}

export interface PartitionMetadata {
  readonly errorCode: number
  readonly partition: number
  /** -1: none. */
  readonly leader: number
}

/** Error codes that are worth a word. All are in "Kafka protocol guide", Error Codes. */
const names: Readonly<Record<number, string>> = { 36: 'TOPIC_ALREADY_EXISTS', 40: 'INVALID_CONFIG' }

export class KafkaConnection implements Disposable {
  readonly #socket: Socket
  readonly #chunks: AsyncIterator<Buffer>
  #buffered = Buffer.alloc(0)
  #correlation = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** `address`: `127.0.0.1:9092`. Plaintext only. */
  static async open(address: string): Promise<KafkaConnection> {
    const { hostname, port } = new URL(`kafka://${address}`)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new KafkaConnection(socket)
  }

  /** The answer's body, after its correlation id. Rejects when the broker closes the connection instead. */
  async request(key: ApiKey, version: number, body: Buffer): Promise<Reader> {
    const correlation = ++this.#correlation
    const header = new Writer().int16(key).int16(version).int32(correlation).string('test').done()
    this.#socket.write(new Writer().bytes(Buffer.concat([header, body])).done())
    const length = (await this.#read(4)).readInt32BE()
    const answer = new Reader(await this.#read(length))
    const answered = answer.int32()
    if (answered !== correlation) throw new Error(`the broker answered request ${answered}, not ${correlation}`)
    return answer
  }

  /** CreateTopics v2, one replica. Rejects with the broker's reason. */
  async createTopic({ name, partitions, config }: NewTopic): Promise<void> {
    const body = new Writer().array([name], (writer, topic) => {
      writer.string(topic).int32(partitions).int16(1).array([], String)
      writer.array(Object.entries(config), (_, [key, value]) => writer.string(key).string(value))
    })
    const answer = await this.request(ApiKey.createTopics, 2, body.int32(30_000).boolean(false).done())
    answer.int32() // throttle time
    answer.array(() => {
      const topic = answer.string()
      const code = answer.int16()
      const reason = answer.nullableString() ?? names[code] ?? 'see the Kafka protocol guide, Error Codes'
      if (code !== 0) throw new Error(`topic ${topic} was not created: error ${code}, ${reason}`)
    })
  }

  /** Metadata v6 of one topic; its partitions in the order of their numbers. */
  async partitionsOf(topic: string): Promise<readonly PartitionMetadata[]> {
    const body = new Writer().array([topic], (writer, name) => writer.string(name)).boolean(false)
    const answer = await this.request(ApiKey.metadata, 6, body.done())
    answer.int32() // throttle time
    answer.array(() => [answer.int32(), answer.string(), answer.int32(), answer.nullableString()])
    answer.nullableString() // cluster id
    answer.int32() // controller
    const topics = answer.array(() => {
      answer.int16()
      answer.string()
      answer.boolean() // internal
      return answer.array(() => {
        const found = { errorCode: answer.int16(), partition: answer.int32(), leader: answer.int32() }
        for (let list = 0; list < 3; list++) answer.array(() => answer.int32()) // replicas, in sync, offline
        return found
      })
    })
    return [...(topics[0] ?? [])].sort((a, b) => a.partition - b.partition)
  }

  /** ListOffsets v1: the offset that a partition's next record gets. */
  async endOffset(topic: string, partition: number): Promise<number> {
    const LATEST = -1n
    const body = new Writer().int32(-1).array([topic], (writer, name) => {
      writer.string(name).array([partition], (_, index) => writer.int32(index).int64(LATEST))
    })
    const answer = await this.request(ApiKey.listOffsets, 1, body.done())
    const [offsets] = answer.array(() => {
      answer.string()
      return answer.array(() => {
        const index = answer.int32()
        const code = answer.int16()
        if (code !== 0) throw new Error(`the end of ${topic}, partition ${index}, is not known: error ${code}`)
        answer.int64() // timestamp
        return Number(answer.int64())
      })
    })
    const [offset] = offsets ?? []
    if (offset === undefined) throw new Error(`the broker did not answer for ${topic}, partition ${partition}`)
    return offset
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  async #read(length: number): Promise<Buffer> {
    while (this.#buffered.length < length) {
      const { value, done } = await this.#chunks.next()
      if (done) throw new Error('the broker closed the connection')
      this.#buffered = Buffer.concat([this.#buffered, value])
    }
    const bytes = this.#buffered.subarray(0, length)
    this.#buffered = this.#buffered.subarray(length)
    return bytes
  }
}
