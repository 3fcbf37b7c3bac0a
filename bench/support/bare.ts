/**
 * Script of a process: the least that anything between a watch and a receiver must do. It parses the same frames,
 * serialises the same events and sends the same bytes, with the same clients, as many at a time. It knows no object,
 * keeps no order, tries nothing again.
 */
import kafkajs from 'kafkajs'
import { Agent } from 'undici'
import '../../sinks/kafka/driver.ts' // zstd, which kafkajs lacks
import { answer } from './child.ts'

export interface BareOptions {
  /** Of the API server. */
  readonly server: string
  readonly target: BareTarget
}

export type BareTarget =
  | { readonly type: 'webhook'; readonly mode: Mode; readonly url: string; readonly concurrency: number }
  | { readonly type: 'kafka'; readonly mode: Mode; readonly bootstrap: string; readonly topic: string }

type Mode = 'structured' | 'binary'

export interface BareResult {
  /** From the first frame to the last acknowledgement. */
  readonly durationMs: number
  readonly cpuMs: number
}

export interface BareCalls {
  start(options: BareOptions): Promise<void>
  /** The events to send, as JSON, in the order of their frames. Ends when the last one is acknowledged. */
  run(events: readonly string[]): Promise<BareResult>
}

interface Event {
  readonly id: string
  readonly partitionkey: string
  readonly datacontenttype: string
  readonly data: object
  readonly [attribute: string]: unknown
}

/** Sends some events; resolves when they are acknowledged. */
type Send = (events: readonly Event[]) => Promise<void>

interface Client {
  readonly send: Send
  readonly concurrency: number
  readonly batch: number
}

const agent = new Agent({ allowH2: false, pipelining: 1, bodyTimeout: 0 })
let parts: { readonly client: Client; readonly lines: AsyncIterator<readonly Buffer[]> } | undefined

answer<BareCalls>({
  async start({ server, target }) {
    const client = target.type === 'webhook' ? webhook(target) : await kafka(target)
    const path = '/api/v1/pods?watch=true'
    const { body } = await agent.request({ origin: server, path, method: 'GET' })
    parts = { client, lines: linesOf(body) }
  },
  async run(texts) {
    if (!parts) throw new Error('it was not started')
    const { client, lines } = parts
    const events = new Map(texts.map((text) => JSON.parse(text) as Event).map((event) => [event.id, event] as const))
    const sender = new Sender(client)
    let first: { readonly cpu: NodeJS.CpuUsage; readonly at: number } | undefined
    for (let left = events.size; left > 0; ) {
      const { value = [] } = await lines.next()
      first ??= { cpu: process.cpuUsage(), at: performance.now() }
      for (const line of value) {
        const { object } = JSON.parse(line.toString()) as Frame
        const event = events.get(`${object.metadata.uid}:${object.metadata.resourceVersion}`)
        if (!event) throw new Error('there is no event for a frame')
        await sender.add(event)
        left--
      }
    }
    await sender.flush()
    const { user, system } = process.cpuUsage(first?.cpu)
    return { durationMs: performance.now() - (first?.at ?? 0), cpuMs: (user + system) / 1000 }
  },
})

/** Those that end in each chunk. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly Buffer[], undefined> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const part = chunk.subarray(start, end)
      lines.push(rest.length === 0 ? part : Buffer.concat([rest, part]))
      rest = Buffer.alloc(0)
      start = end + 1
    }
    rest = Buffer.concat([rest, chunk.subarray(start)])
    yield lines
  }
  throw new Error('the watch has ended')
}

const NEWLINE = 0x0a

interface Frame {
  readonly object: { readonly metadata: { readonly uid: string; readonly resourceVersion: string } }
}

/** So many at a time, as fast as they go. */
class Sender {
  readonly #client: Client
  #batch: Event[] = []
  #underWay = 0
  #failure: { readonly error: unknown } | undefined
  /** Called when one is done. */
  #onDone: () => void = () => undefined

  constructor(client: Client) {
    this.#client = client
  }

  async add(event: Event): Promise<void> {
    this.#batch.push(event)
    if (this.#batch.length === this.#client.batch) await this.#send()
  }

  async flush(): Promise<void> {
    if (this.#batch.length > 0) await this.#send()
    await this.#untilBelow(1)
  }

  async #send(): Promise<void> {
    await this.#untilBelow(this.#client.concurrency)
    const batch = this.#batch
    this.#batch = []
    this.#underWay++
    const failed = (error: unknown) => {
      this.#failure ??= { error }
    }
    void this.#client
      .send(batch)
      .catch(failed)
      .finally(() => {
        this.#underWay--
        this.#onDone()
      })
  }

  async #untilBelow(limit: number): Promise<void> {
    while (this.#underWay >= limit && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#onDone = resolve
      })
    }
    if (this.#failure) throw this.#failure.error
  }
}

function webhook({ mode, url, concurrency }: Extract<BareTarget, { type: 'webhook' }>): Client {
  const { origin, pathname: path } = new URL(url)
  const send: Send = async (events) => {
    for (const event of events) {
      const request = mode === 'structured' ? structured(event) : httpBinary(event)
      const { body, statusCode } = await agent.request({ origin, path, method: 'POST', ...request })
      await body.dump()
      if (statusCode !== 204) throw new Error(`the receiver answered ${statusCode}`)
    }
  }
  return { send, concurrency, batch: 1 }
}

async function kafka({ mode, bootstrap, topic }: Extract<BareTarget, { type: 'kafka' }>): Promise<Client> {
  const { CompressionTypes, Kafka, logLevel } = kafkajs
  const producer = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).producer({
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  const send: Send = async (events) => {
    const messages = events.map((event) => {
      const { headers, body } = mode === 'structured' ? structured(event, '; charset=UTF-8') : kafkaBinary(event)
      return { key: event.partitionkey, value: body, headers }
    })
    await producer.send({ topic, messages, acks: -1, compression: CompressionTypes.ZSTD })
  }
  return { send, concurrency: 4, batch: 500 }
}

interface Encoded {
  readonly headers: Record<string, string>
  readonly body: string
}

function structured(event: Event, charset = ''): Encoded {
  return { headers: { 'content-type': `application/cloudevents+json${charset}` }, body: JSON.stringify(event) }
}

function httpBinary(event: Event): Encoded {
  return binary(event, 'ce-')
}

function kafkaBinary(event: Event): Encoded {
  return binary(event, 'ce_')
}

function binary({ data, datacontenttype, ...attributes }: Event, prefix: string): Encoded {
  const headers: Record<string, string> = { 'content-type': datacontenttype }
  for (const name in attributes) headers[prefix + name] = String(attributes[name])
  return { headers, body: JSON.stringify(data) }
}
