/**
 * Sends each event as one POST (CloudEvents HTTP Protocol Binding). Delivered means: the receiver answered 2xx.
 * Start reading here; status.ts says what the other answers mean, network.ts what may be dialled.
 */
import {
  type DeliverContext,
  DeliveryError,
  defineSink,
  type Failure,
  httpBinary,
  type OutboundEvent,
  type Sink,
  type SinkContext,
  structured,
  structuredContentType,
  structuredSize,
} from '../../src/delivery/sink.ts'
import { InFlight } from '../../src/lib/in-flight.ts'
import type { Infer } from '../../src/lib/json-schema.ts'
import { Authorization } from './auth.ts'
import { Client } from './client.ts'
import { ConfiguredHeaders } from './headers.ts'
import { NetworkGuard } from './network.ts'
import { schema } from './schema.ts'
import { failureCode, retryAfterMs } from './status.ts'

type Config = Infer<typeof schema>

const MiB = 2 ** 20

/** Delivered means: the receiver answered 2xx. One event is one request. */
export const sink = defineSink({
  type: 'webhook',
  schema,
  limits: () => ({
    maxEventBytes: MiB,
    maxBatchEvents: 1,
    maxBatchBytes: 16 * MiB,
    sizeOf: ({ attributes, data, dataBytes }) => structuredSize(attributes, data === undefined ? undefined : dataBytes),
    sameKeyInBatch: false,
    concurrency: 64,
  }),
  create: (config, context) => new Webhook(config, context),
  warnings: ({ url, network }) => {
    const host = URL.parse(url)?.hostname ?? ''
    const guard = new NetworkGuard(network)
    if (!/(?:^|\.)localhost\.?$/.test(host) || !(guard.refusal('127.0.0.1') ?? guard.refusal('::1'))) return []
    return [
      `url: ${host} is the machine or pod itself, which is denied; to permit it: network: { allow: [127.0.0.1/32, "::1/128"] }`,
    ]
  },
})

class Webhook implements Sink {
  readonly #config: Config
  readonly #context: SinkContext
  readonly #url: URL
  readonly #headers: ConfiguredHeaders
  readonly #auth: Authorization | undefined
  readonly #client: Client
  readonly #deliveries = new InFlight()
  #disposed = false

  constructor(config: Config, context: SinkContext) {
    this.#config = config
    this.#context = context
    const guard = new NetworkGuard(config.network)
    this.#url = checkUrl(config, guard)
    this.#headers = new ConfiguredHeaders(config.headers, context)
    if (config.auth && this.#headers.has('authorization')) {
      throw new Error('headers: authorization is set by auth; remove one of them')
    }
    this.#auth = config.auth && new Authorization(config.auth, context)
    if ((config.tls.cert === undefined) !== (config.tls.key === undefined)) {
      throw new Error('tls: cert and key go together; one of them is missing')
    }
    this.#client = new Client(this.#url, { guard, files: config.tls, context })
  }

  connect(signal: AbortSignal): Promise<void> {
    return this.#client.probe(signal)
  }

  async deliver(batch: readonly OutboundEvent[], { signal }: DeliverContext): Promise<readonly Failure[]> {
    return await this.#deliveries.track(this.#deliver(batch, signal))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#deliveries.settled()
    await this.#client[Symbol.asyncDispose]()
  }

  async #deliver(batch: readonly OutboundEvent[], signal: AbortSignal): Promise<readonly Failure[]> {
    signal.throwIfAborted()
    if (this.#disposed) throw new DeliveryError('unavailable', 'the sink is closed')
    const failures: Failure[] = []
    for (const [index, event] of batch.entries()) {
      const error = await this.#post(event, signal)
      if (error) failures.push({ index, error })
    }
    return failures
  }

  async #post(event: OutboundEvent, signal: AbortSignal): Promise<DeliveryError | undefined> {
    const { headers, body } = this.#encode(event)
    const authorization = await this.#auth?.header()
    const all = { ...(await this.#headers.now()), ...headers, ...(authorization !== undefined && { authorization }) }
    const answer = await this.#client.post(all, body, signal)
    const code = failureCode(answer.status)
    if (!code) return undefined
    if (code === 'unauthorized') {
      this.#auth?.refused()
      this.#headers.refused()
    }
    const hint =
      answer.status === 404 || answer.status === 405 ? ': is the path of url right? It has to take a POST' : ''
    return new DeliveryError(code, `${this.#url.host} answered ${answer.status}${hint}`, {
      retryAfterMs: retryAfterMs(answer.headers['retry-after'], this.#context.clock.now()),
    })
  }

  /** A body is never empty: an event without data is always structured. */
  #encode({ attributes, data }: OutboundEvent): { headers: Record<string, string>; body: string } {
    if (this.#config.mode === 'binary') {
      const { headers, body } = httpBinary(attributes, data)
      if (body !== undefined) return { headers, body }
    }
    return { headers: { 'content-type': structuredContentType }, body: structured(attributes, data) }
  }
}

function checkUrl({ url: text, insecureHttp }: Config, guard: NetworkGuard): URL {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Error('url: not an absolute URL with https; write it like https://receiver.example.com/events')
  }
  const reasons = [
    url.protocol === 'http:' && !insecureHttp
      ? 'http is readable for everybody on the way; use https, or set insecureHttp: true'
      : undefined,
    url.username !== '' || url.password !== '' ? 'holds a user name or password; use auth instead' : undefined,
    guard.refusal(url.hostname),
  ].filter((reason) => reason !== undefined)
  if (reasons.length > 0) throw new Error(`url: ${reasons.join('; and ')}`)
  return url
}
