import type { KubeConfig } from '@kubernetes/client-node'
import packageJson from '../../package.json' with { type: 'json' }
import { abortable, sleep, withTimeout } from '../lib/abort.ts'
import { ExponentialBackoff } from '../lib/backoff.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { type Connection, Connections } from './connections.ts'
import { KubeError } from './errors.ts'
import { parseJson } from './json.ts'
import { withFreshCredentials } from './kube-config.ts'
import { ResponseBody } from './response-body.ts'
import { errorFromConnection, errorFromStatus, retryAfterMs } from './status-error.ts'
import { StreamedLists } from './streamed-lists.ts'

export interface ApiClientOptions {
  readonly clock?: Clock
  /** Loads the kubeconfig again after a 401. @default the same one, with every cached credential forgotten */
  readonly reload?: () => KubeConfig
}

/** A call of the API. A body is a value, so that every request can be sent again. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `/api/v1/pods`; segments that come from outside are encoded by the caller. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** @default application/json */
  readonly contentType?: string
  /** @default application/json */
  readonly accept?: string
}

export interface ApiResponse {
  readonly status: number
  /** Parsed JSON; undefined if there was none. */
  readonly body: unknown
}

/** A response with status 2xx, its body not yet read. The receiver disposes it. */
export interface OpenResponse {
  readonly status: number
  readonly body: ResponseBody
}

/** Longest silence within an answer, ms. The API server itself gives up on a call after 60 s. */
export const ANSWER_IDLE_MS = 75_000
const MAX_RETRIES = 10
/** A longer `Retry-After` is not waited for here but given to the caller, who can show it. */
const MAX_RETRY_AFTER_MS = 10_000
const RETRY_AFTER_RESET_MS = 1_000
/** For `Retry-After: 0`: taken at its word by a whole fleet, it keeps a busy server busy. */
const AT_ONCE_BACKOFF = { initialMs: 800, maxMs: 10_000 } as const
/** Longest that credentials may take: they come from files, plugins and identity providers. */
const CREDENTIALS_MS = 60_000
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_REFUSAL_BYTES = 256 * 1024

/**
 * Talks to one API server. Every method rejects with a `KubeError`, or with `signal.reason` after an abort, after which
 * nothing is sent. A 401 is answered once by reading the credentials anew.
 *
 * `request`, `get` and `fetch` try up to 10 times again: after 429 and 5xx with `Retry-After`, and a GET also after a
 * broken connection. Asked to come again at once, they back off all the same. `open` never tries again: a watch has its
 * own back-off. Source: client-go `rest/with_retry.go`, but for the back-off.
 */
export class ApiClient implements AsyncDisposable {
  readonly clock: Clock
  /** What has been learnt of this server. */
  readonly streamedLists = new StreamedLists()
  readonly #connections: Connections

  constructor(config: KubeConfig, { clock = systemClock, reload }: ApiClientOptions = {}) {
    this.clock = clock
    this.#connections = new Connections(config, reload ?? (() => withFreshCredentials(config)))
  }

  async get(path: string, signal: AbortSignal, query?: ApiRequest['query']): Promise<unknown> {
    const { body } = await this.request({ method: 'GET', path, ...(query && { query }) }, signal)
    return body
  }

  async request(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    return await this.fetch(
      request,
      async ({ status, body }) => {
        const bytes = await body.readAll(ANSWER_IDLE_MS, MAX_ANSWER_BYTES)
        return { status, body: bytes.length === 0 ? undefined : parseJson(bytes, `the answer to ${nameOf(request)}`) }
      },
      signal,
    )
  }

  /** What `read` makes of the answer. Called again from the start when the connection breaks while it reads. */
  async fetch<R>(request: ApiRequest, read: (response: OpenResponse) => Promise<R>, signal: AbortSignal): Promise<R> {
    const backoff = new ExponentialBackoff(AT_ONCE_BACKOFF)
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await this.open(request, { idleMs: ANSWER_IDLE_MS }, signal)
        await using _ = response.body
        return await read(response)
      } catch (error) {
        const delayMs = attempt < MAX_RETRIES ? retryDelay(error, request) : undefined
        if (delayMs === undefined) throw error
        await sleep(delayMs || backoff.next(), this.clock, signal)
      }
    }
  }

  /** One attempt. `idleMs`: the longest silence that the caller will allow within the body. */
  async open(request: ApiRequest, options: { readonly idleMs: number }, signal: AbortSignal): Promise<OpenResponse> {
    const connection = await this.#connect(signal)
    const first = await this.#send(request, connection, options, signal)
    if (first.status !== 401) return await accepted(first, request)
    await first.body[Symbol.asyncDispose]()
    this.#connections.reload(connection)
    const second = await this.#send(request, await this.#connect(signal), options, signal)
    return await accepted(second, request)
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    const opening = this.#connections.open()
    try {
      const connection = await withTimeout(CREDENTIALS_MS, this.clock, signal, (either) => abortable(opening, either))
      signal.throwIfAborted()
      return connection
    } catch (cause) {
      if (signal.aborted || !(cause instanceof DOMException && cause.name === 'TimeoutError')) throw cause
      const message = `the credentials were not read within ${CREDENTIALS_MS / 1000} s: look at the user's plugin in the kubeconfig`
      throw new KubeError('unauthorized', message, { cause })
    }
  }

  async #send(
    request: ApiRequest,
    { dispatcher, origin, basePath, headers }: Connection,
    { idleMs }: { readonly idleMs: number },
    signal: AbortSignal,
  ): Promise<Answer> {
    const name = nameOf(request)
    try {
      const answer = await dispatcher.request({
        origin,
        method: request.method,
        path: `${basePath}${request.path}${queryOf(request)}`,
        headers: {
          accept: request.accept ?? 'application/json',
          'accept-encoding': 'gzip',
          'user-agent': `deltawire/${packageJson.version}`,
          ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
          ...headers,
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        headersTimeout: ANSWER_IDLE_MS,
        // behind the reader's own watchdog, which stands still while nobody reads
        bodyTimeout: idleMs + 15_000,
        signal,
      })
      const encoding = answer.headers['content-encoding']?.toString().toLowerCase()
      return {
        status: answer.statusCode,
        retryAfterMs: retryAfterMs(answer.headers['retry-after']),
        body: new ResponseBody(answer.body, { request: name, encoding, clock: this.clock }, signal),
      }
    } catch (error) {
      signal.throwIfAborted()
      throw errorFromConnection(error, name)
    }
  }

  /** Breaks what runs and closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]()
  }
}

interface Answer extends OpenResponse {
  readonly retryAfterMs: number | undefined
}

async function accepted(answer: Answer, request: ApiRequest): Promise<OpenResponse> {
  if (answer.status >= 200 && answer.status < 300) return answer
  await using body = answer.body
  throw errorFromStatus(await readRefusal(body), {
    request: nameOf(request),
    status: answer.status,
    retryAfterMs: answer.retryAfterMs,
  })
}

/** The Status object of a refusal; undefined if a proxy answered with something else, or the connection broke. */
async function readRefusal(body: ResponseBody): Promise<unknown> {
  try {
    return parseJson(await body.readAll(ANSWER_IDLE_MS, MAX_REFUSAL_BYTES), 'a refusal')
  } catch (error) {
    if (error instanceof KubeError) return undefined
    throw error
  }
}

function retryDelay(error: unknown, { method }: ApiRequest): number | undefined {
  if (!(error instanceof KubeError)) return undefined
  if (error.code === 'reset') return method === 'GET' ? RETRY_AFTER_RESET_MS : undefined
  // waiting would not cure it: the caller asks for another version
  if (error.code === 'too-large-resource-version') return undefined
  const { status = 0, retryAfterMs: delayMs = Number.POSITIVE_INFINITY } = error
  return (status === 429 || status >= 500) && delayMs <= MAX_RETRY_AFTER_MS ? delayMs : undefined
}

/** For messages: never the query, which holds selectors and tokens. */
const nameOf = ({ method, path }: ApiRequest): string => `${method} ${path}`

function queryOf({ query = {} }: ApiRequest): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries)}`
}
