/**
 * Puts events on an AWS EventBridge bus. Delivered means: PutEvents returned an EventId for the entry.
 * Start reading here; entry.ts says what an event becomes on the bus, errors.ts what failures mean.
 */
import {
  type DeliverContext,
  DeliveryError,
  defineSink,
  type Failure,
  type OutboundEvent,
  type Sink,
} from '../../src/delivery/sink.ts'
import { InFlight } from '../../src/lib/in-flight.ts'
import type { Infer } from '../../src/lib/json-schema.ts'
import { parseBytes } from '../../src/lib/units.ts'
import { Client } from './client.ts'
import { entrySize, toEntry } from './entry.ts'
import { entryError } from './errors.ts'
import { schema } from './schema.ts'

type Config = Infer<typeof schema>

/** PutEvents takes no more. */
const MAX_ENTRIES = 10

/**
 * Delivered means: PutEvents returned an EventId for the entry. Entries of a request fail one by one, so that two events
 * of one object never share one: the second could be taken and the first not.
 */
export const sink = defineSink({
  type: 'eventbridge',
  schema,
  limits: ({ requestBytes, source }) => ({
    maxEventBytes: parseBytes(requestBytes),
    maxBatchEvents: MAX_ENTRIES,
    maxBatchBytes: parseBytes(requestBytes),
    sizeOf: (event) => entrySize(event, source),
    sameKeyInBatch: false,
    concurrency: 16,
  }),
  create: (config) => new EventBridge(config),
  warnings: ({ endpoint }) => {
    const url = endpoint === undefined ? undefined : URL.parse(endpoint)
    if (url?.protocol !== 'http:' || /^(?:localhost|127\.|\[::1\])/.test(url.hostname)) return []
    return ['endpoint: http is readable for everybody on the way; use https']
  },
})

class EventBridge implements Sink {
  readonly #config: Config
  readonly #requestBytes: number
  readonly #client: Client
  readonly #deliveries = new InFlight()
  #disposed = false

  constructor(config: Config) {
    this.#config = config
    this.#requestBytes = parseBytes(config.requestBytes)
    if (this.#requestBytes < 2 ** 18 || this.#requestBytes > 2 ** 20) {
      throw new Error('requestBytes: EventBridge takes 1 MB, and took 256 KB before; write 256KiB to 1MiB')
    }
    if (config.source.startsWith('aws.')) {
      throw new Error(
        'source: names that begin with aws. belong to AWS; take one of your own, like com.example.kubernetes',
      )
    }
    const { bus, region, endpoint } = config
    this.#client = new Client({ bus, region, endpoint: endpoint === undefined ? undefined : checkUrl(endpoint) })
  }

  connect(signal: AbortSignal): Promise<void> {
    return this.#client.describeBus(signal)
  }

  async deliver(batch: readonly OutboundEvent[], { signal }: DeliverContext): Promise<readonly Failure[]> {
    return await this.#deliveries.track(this.#deliver(batch, signal))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#deliveries.settled()
    this.#client[Symbol.dispose]()
  }

  async #deliver(batch: readonly OutboundEvent[], signal: AbortSignal): Promise<readonly Failure[]> {
    signal.throwIfAborted()
    if (this.#disposed) throw new DeliveryError('unavailable', 'the sink is closed')
    if (batch.length === 0) return []
    const bytes = batch.reduce((sum, event) => sum + entrySize(event, this.#config.source), 0)
    if (bytes > this.#requestBytes) {
      throw new DeliveryError('too-large', `${bytes} bytes in one request; requestBytes permits ${this.#requestBytes}`)
    }
    const entries = batch.map((event) => toEntry(event, this.#config))
    const results = await this.#client.putEvents(entries, signal)
    const failed = batch.flatMap((_, index) => (results[index]?.EventId === undefined ? [index] : []))
    if (failed.length === 0) return []
    const target = await this.#client.target()
    return failed.map((index) => ({ index, error: entryError(results[index]?.ErrorCode, target) }))
  }
}

function checkUrl(text: string): string {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Error('endpoint: not an absolute URL; write it like https://events.eu-west-1.amazonaws.com')
  }
  if (url.username !== '' || url.password !== '') {
    throw new Error('endpoint: holds a user name or password; requests are signed with AWS credentials instead')
  }
  return text
}
