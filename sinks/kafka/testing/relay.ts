/** A relay before a real Kafka: it shows what a sink sends and what Kafka took of it, and can break it off on the way. */
import { once } from 'node:events'
import net from 'node:net'
import { type Cut, type Received, untilWoken } from '../../contract-target.ts'
import { ApiKey, type ProducedPart, type RequestHeader, readHeader, readProduceRequest } from './protocol.ts'
import { decodeRecord } from './received.ts'
import { decodeBatch } from './record-batch.ts'
import { Reader, Writer } from './wire.ts'

/** Where a record batch says how many records it has. */
const RECORDS_AT = 57

/** A request and its connection to the real broker. */
interface Exchange {
  readonly client: net.Socket
  readonly upstream: net.Socket
  readonly header: RequestHeader
  readonly parts: readonly ProducedPart[]
  readonly cut: Cut | undefined
}

/** Of each connection one request is under way at a time, as a broker has it. */
export class KafkaRelay implements AsyncDisposable {
  readonly #kafka: number
  readonly #received: Received[] = []
  readonly #cuts: Cut[] = []
  readonly #clients = new Set<net.Socket>()
  readonly #waiters = new Set<() => void>()
  #server = net.createServer()
  #port = 0
  #attempts = 0
  #passedOn = 0
  #taken = 0
  #flowing: Promise<void> = Promise.resolve()
  #flow = () => {}

  private constructor(kafka: number) {
    this.#kafka = kafka
  }

  /** `address` of the real one: `127.0.0.1:9092`. */
  static async start(address: string): Promise<KafkaRelay> {
    const relay = new KafkaRelay(Number(address.split(':')[1]))
    await relay.restart()
    return relay
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** Records that Kafka was sent, since the start: more than `taken` if a client went away before the answer came. */
  get passedOn(): number {
    return this.#passedOn
  }

  /** Records that Kafka confirmed, since the start. */
  get taken(): number {
    return this.#taken
  }

  received(): readonly Received[] {
    return this.#received
  }

  forget(): void {
    this.#received.splice(0)
  }

  until(condition: () => boolean): Promise<void> {
    return untilWoken(this.#waiters, condition)
  }

  attempts(): number {
    return this.#attempts
  }

  connections(): number {
    return this.#clients.size
  }

  /** Records are not passed on, until `flow`; those whose connection is closed by then never. */
  stall(): void {
    this.#flowing = new Promise((resolve) => {
      this.#flow = resolve
    })
  }

  flow(): void {
    this.#flow()
  }

  cut(where: Cut): void {
    this.#cuts.push(where)
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const client of this.#clients) client.resetAndDestroy()
    await closed
  }

  async restart(): Promise<void> {
    this.#server = net.createServer({ noDelay: true }, (client) => void this.#serve(client))
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (typeof address === 'object' && address) this.#port = address.port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.flow()
    if (this.#server.listening) await this.stop()
  }

  async #serve(client: net.Socket): Promise<void> {
    const upstream = net.connect({ host: '127.0.0.1', port: this.#kafka, noDelay: true })
    this.#clients.add(client)
    client.on('error', () => undefined) // a client that is gone is no matter
    upstream.on('error', () => client.resetAndDestroy())
    client.on('close', () => {
      this.#clients.delete(client)
      upstream.destroy()
      this.#wake()
    })
    this.#wake()
    const answers = frames(upstream)
    try {
      for await (const request of frames(client)) {
        const body = new Reader(request)
        const header = readHeader(body)
        const isProduce = header.key === ApiKey.produce
        const parts = isProduce ? readProduceRequest(body).parts : []
        const exchange = { client, upstream, header, parts, cut: isProduce ? this.#cuts.shift() : undefined }
        if (isProduce) this.#attempts++
        this.#wake()
        if (isProduce) await this.#flowing
        if (client.destroyed || !(await this.#exchange(exchange, request, answers))) return
      }
    } catch (error) {
      client.destroy(error instanceof Error ? error : undefined)
    }
  }

  /** Returns false if the connection is over. */
  async #exchange(
    { client, upstream, header, parts, cut }: Exchange,
    request: Buffer,
    answers: AsyncGenerator<Buffer>,
  ): Promise<boolean> {
    if (cut === 'before' || cut === 'mid-request') {
      client.resetAndDestroy()
      return false
    }
    for (const { batch } of parts) this.#passedOn += batch.readInt32BE(RECORDS_AT)
    upstream.write(framed(request))
    const { value: answer, done } = await answers.next()
    if (done) return false
    if (header.key === ApiKey.metadata) this.#redirect(answer)
    if (header.key === ApiKey.produce && isConfirmed(answer)) this.#take(parts)
    const whole = framed(answer)
    if (cut === undefined) client.write(whole)
    else client.write(whole.subarray(0, whole.length / 2), () => client.resetAndDestroy())
    return cut === undefined
  }

  #take(parts: readonly ProducedPart[]): void {
    for (const { batch } of parts) {
      const decoded = decodeBatch(batch)
      if (decoded.type === 'refused') throw new Error(`Kafka took what is ${decoded.error}`)
      this.#taken += decoded.records.length
      for (const record of decoded.records) this.#received.push(decodeRecord(record))
    }
    this.#wake()
  }

  /** Of an answer to Metadata v6: the brokers are here. */
  #redirect(answer: Buffer): void {
    const reader = new Reader(answer)
    reader.int32() // correlation
    reader.int32() // throttle time
    reader.array(() => {
      reader.int32()
      reader.string()
      answer.writeInt32BE(this.#port, answer.length - reader.left)
      reader.int32()
      reader.nullableString()
    })
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
  }
}

/** Of an answer to Produce v7. */
function isConfirmed(answer: Buffer): boolean {
  const reader = new Reader(answer)
  reader.int32() // correlation
  const codes = reader.array(() => {
    reader.string()
    return reader.array(() => {
      reader.int32()
      const code = reader.int16()
      reader.take(24) // offset, time, start of the log
      return code
    })
  })
  return codes.flat().every((code) => code === 0)
}

function framed(bytes: Buffer): Buffer {
  return new Writer().bytes(bytes).done()
}

/** Requests or answers, without the length before each. */
async function* frames(socket: net.Socket): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = []
  let length = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    while (length >= 4) {
      if ((chunks[0]?.length ?? 0) < 4) chunks = [Buffer.concat(chunks)]
      const end = 4 + (chunks[0]?.readInt32BE() ?? 0)
      if (length < end) break
      const all = Buffer.concat(chunks)
      yield all.subarray(4, end)
      chunks = [all.subarray(end)]
      length -= end
    }
  }
}
