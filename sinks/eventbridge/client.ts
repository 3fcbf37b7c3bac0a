import {
  DescribeEventBusCommand,
  EventBridgeClient,
  type EventBridgeClientConfig,
  PutEventsCommand,
  type PutEventsRequestEntry,
  type PutEventsResultEntry,
} from '@aws-sdk/client-eventbridge'
import type { DeliveryError } from '../../src/delivery/sink.ts'
import { abortable } from '../../src/lib/abort.ts'
import { requestError } from './errors.ts'

export interface ClientOptions {
  readonly bus: string
  readonly region: string | undefined
  readonly endpoint: string | undefined
}

const CONNECT_TIMEOUT_MS = 10_000
/** An idle connection is closed before a load balancer does, which would break off what is sent at that moment. */
const KEEP_ALIVE_MS = 30_000

/**
 * The SDK's client for one bus, with the SDK's own chain of credentials. Makes one attempt: the worker retries, and sees
 * throttling, which the SDK's own retries hide. As many connections as there are requests at a time, which the worker
 * bounds, as it bounds the time of each.
 */
export class Client implements Disposable {
  readonly #options: ClientOptions
  #client: EventBridgeClient

  /** Does no I/O: region and credentials are looked for by the first request. */
  constructor(options: ClientOptions) {
    this.#options = options
    const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, timeout: KEEP_ALIVE_MS }
    this.#client = this.#newClient({ connectionTimeout: CONNECT_TIMEOUT_MS, httpAgent: agent, httpsAgent: agent })
  }

  /** Rejects with a DeliveryError if the bus is not there or cannot be reached, or with `signal.reason`. */
  async describeBus(signal: AbortSignal): Promise<void> {
    const client = this.#client
    const command = new DescribeEventBusCommand({ Name: this.#options.bus })
    try {
      await abortable(client.send(command, { abortSignal: signal }), signal)
    } catch (error) {
      signal.throwIfAborted()
      // whoever may only put events may not ask for the bus
      if (error instanceof Error && error.name === 'AccessDeniedException') return
      throw await this.#failed(error, client)
    }
  }

  /**
   * Resolves with what became of each entry, in their order; entries of an answer may be missing. Rejects with a
   * DeliveryError if none was taken, or nobody knows; or with `signal.reason`: then the connection is closed, and a
   * request that has not begun is not sent any more.
   */
  async putEvents(
    entries: readonly PutEventsRequestEntry[],
    signal: AbortSignal,
  ): Promise<readonly PutEventsResultEntry[]> {
    const client = this.#client
    const command = new PutEventsCommand({ Entries: [...entries] })
    try {
      // finding credentials takes no signal
      const { Entries = [] } = await abortable(client.send(command, { abortSignal: signal }), signal)
      return Entries
    } catch (error) {
      signal.throwIfAborted()
      throw await this.#failed(error, client)
    }
  }

  /** Where requests go, for messages. */
  async target(): Promise<{ readonly bus: string; readonly region: string }> {
    const region = this.#options.region ?? (await this.#client.config.region().catch(() => 'an unknown region'))
    return { bus: this.#options.bus, region }
  }

  /** Closes all connections. */
  [Symbol.dispose](): void {
    this.#client.destroy()
  }

  async #failed(error: unknown, client: EventBridgeClient): Promise<DeliveryError> {
    const failure = requestError(error, await this.target())
    // credentials are kept by the client that found them, those of a file for ever
    const isStale = failure.code === 'unauthorized' || /Expired/.test(error instanceof Error ? error.name : '')
    if (isStale && client === this.#client) this.#client = this.#newClient(client.config.requestHandler)
    return failure
  }

  #newClient(requestHandler: EventBridgeClientConfig['requestHandler']): EventBridgeClient {
    const { region, endpoint } = this.#options
    // the providers of credentials get the client's options too: files of credentials are read again
    const forCredentials = { ignoreCache: true }
    return new EventBridgeClient({
      ...forCredentials,
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
      ...(requestHandler !== undefined && { requestHandler }),
      maxAttempts: 1,
    })
  }
}
