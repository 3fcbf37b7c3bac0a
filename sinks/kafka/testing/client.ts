/** A client of the Kafka protocol for tests: one connection, one request at a time, nothing hidden. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ApiKey, KafkaError } from './protocol.ts'
import { Reader, Writer } from './wire.ts'

export interface NewTopic {
  readonly name: string
  readonly partitions: number
  /** `max.message.bytes`, `cleanup.policy` and the like. */
  readonly config: Readonly<Record<string, string>>
  /** @default 1 */
  readonly replicas?: number
}

/** What a setting is of. Of a broker: its id. */
export interface ConfigOwner {
  readonly type: 'topic' | 'broker'
  readonly name: string
}

export interface DescribedTopic {
  readonly name: string
  readonly error: string
  /** In the order of their numbers. */
  readonly partitions: readonly DescribedPartition[]
}

export interface DescribedPartition {
  readonly partition: number
  readonly error: string
  /** Id of a broker; -1: none. */
  readonly leader: number
}

export interface Produced {
  readonly error: string
  /** Of the first record; -1 with an error. */
  readonly baseOffset: number
  readonly throttleMs: number
}

const errors = new Map(Object.entries(KafkaError).map(([name, code]) => [code as number, name]))

/** `INVALID_CONFIG`, `NONE`; `error 99` if it is none of those that tests are about. */
function errorName(code: number): string {
  return errors.get(code) ?? `error ${code}`
}

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

  /** CreateTopics v2. Rejects with the broker's reason. */
  async createTopic({ name, partitions, config, replicas = 1 }: NewTopic): Promise<void> {
    const body = new Writer().array([name], (writer, topic) => {
      writer.string(topic).int32(partitions).int16(replicas).array([], String)
      writer.array(Object.entries(config), (_, [key, value]) => writer.string(key).string(value))
    })
    const answer = await this.request(ApiKey.createTopics, 2, body.int32(30_000).boolean(false).done())
    answer.int32() // throttle time
    answer.array(() => {
      const topic = answer.string()
      const code = answer.int16()
      const reason = answer.nullableString()
      if (code !== 0)
        throw new Error(`topic ${topic} was not created: ${errorName(code)}${reason ? `, ${reason}` : ''}`)
    })
  }

  /** DeleteTopics v1. Resolves when no broker serves it any more. Rejects with the broker's reason. */
  async deleteTopic(name: string): Promise<void> {
    const body = new Writer().array([name], (writer, topic) => writer.string(topic)).int32(30_000)
    const answer = await this.request(ApiKey.deleteTopics, 1, body.done())
    answer.int32() // throttle time
    answer.array(() => {
      const topic = answer.string()
      const code = answer.int16()
      if (code !== 0) throw new Error(`topic ${topic} was not deleted: ${errorName(code)}`)
    })
  }

  /** IncrementalAlterConfigs v0: sets what is named, and nothing else. Rejects with the broker's reason. */
  async alterConfig({ type, name }: ConfigOwner, config: Readonly<Record<string, string>>): Promise<void> {
    const SET = 0
    const body = new Writer().array([name], (writer, resource) => {
      writer.int8({ topic: 2, broker: 4 }[type]).string(resource)
      writer.array(Object.entries(config), (_, [key, value]) => writer.string(key).int8(SET).string(value))
    })
    const answer = await this.request(ApiKey.alterConfigs, 0, body.boolean(false).done())
    answer.int32() // throttle time
    answer.array(() => {
      const code = answer.int16()
      const reason = answer.nullableString()
      answer.int8() // type
      const resource = answer.string()
      if (code !== 0)
        throw new Error(`${type} ${resource} was not set: ${errorName(code)}${reason ? `, ${reason}` : ''}`)
    })
  }

  /** Which versions of which request the broker says it has. */
  async apiVersions(version: 0 | 1 | 2): Promise<ReadonlyMap<number, readonly [from: number, to: number]>> {
    const answer = await this.request(ApiKey.apiVersions, version, Buffer.alloc(0))
    const error = answer.int16()
    if (error !== 0) throw new Error(`the broker does not tell its versions: ${errorName(error)}`)
    return new Map(answer.array(() => [answer.int16(), [answer.int16(), answer.int16()]]))
  }

  /** Metadata v6 of these topics; null: of all. */
  async describe(topics: readonly string[] | null): Promise<readonly DescribedTopic[]> {
    const body = new Writer().array(topics, (writer, name) => writer.string(name)).boolean(false)
    const answer = await this.request(ApiKey.metadata, 6, body.done())
    answer.int32() // throttle time
    answer.array(() => [answer.int32(), answer.string(), answer.int32(), answer.nullableString()]) // brokers
    answer.nullableString() // cluster id
    answer.int32() // controller
    return answer.array(() => {
      const error = errorName(answer.int16())
      const name = answer.string()
      answer.boolean() // internal
      const partitions = answer.array(() => {
        const found = { error: errorName(answer.int16()), partition: answer.int32(), leader: answer.int32() }
        for (let list = 0; list < 3; list++) answer.array(() => answer.int32()) // replicas, in sync, offline
        return found
      })
      return { name, error, partitions: [...partitions].sort((a, b) => a.partition - b.partition) }
    })
  }

  /** Produce v7 of one batch to one partition. */
  async produce(topic: string, partition: number, batch: Buffer, acks = -1): Promise<Produced> {
    const body = new Writer()
      .string(null)
      .int16(acks)
      .int32(30_000)
      .array([topic], (writer, name) => {
        writer.string(name).array([partition], (_, index) => writer.int32(index).bytes(batch))
      })
    const answer = await this.request(ApiKey.produce, 7, body.done())
    const [results] = answer.array(() => {
      answer.string()
      return answer.array(() => {
        answer.int32() // partition
        const result = { error: errorName(answer.int16()), baseOffset: Number(answer.int64()) }
        answer.int64() // append time
        answer.int64() // where the log starts
        return result
      })
    })
    const [result] = results ?? []
    if (!result) throw new Error(`the broker did not answer for ${topic}, partition ${partition}`)
    return { ...result, throttleMs: answer.int32() }
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
        if (code !== 0) throw new Error(`the end of ${topic}, partition ${index}, is not known: ${errorName(code)}`)
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
