import { once } from 'node:events'
import net from 'node:net'
import { setImmediate } from 'node:timers/promises'
import tls from 'node:tls'
import { Agent, errors } from 'undici'
import { DeliveryError, type SinkContext } from '../../src/delivery/sink.ts'
import { connectionWords } from '../../src/lib/connection-words.ts'
import { Leftovers } from './leftovers.ts'
import type { NetworkGuard } from './network.ts'

/** Where the PEM files are. */
export interface TlsFiles {
  readonly ca?: { readonly file: string }
  readonly cert?: { readonly file: string }
  readonly key?: { readonly file: string }
}

export interface ClientParts {
  readonly guard: NetworkGuard
  readonly files: TlsFiles
  readonly context: SinkContext
}

type Pem = { -readonly [K in keyof TlsFiles]: string }

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

const CONNECT_TIMEOUT_MS = 10_000
/** Receivers close idle connections after 5 s (Node.js) to some minutes; their Keep-Alive hint is followed. */
const KEEP_ALIVE_MS = 30_000

/**
 * HTTP/1.1 connections to one URL, of this sink alone: a receiver that hangs freezes nobody else. As many as there are
 * requests at a time, which the worker bounds, as it bounds the time of each. Never follows a redirect.
 */
export class Client implements AsyncDisposable {
  readonly #url: URL
  readonly #guard: NetworkGuard
  readonly #files: TlsFiles
  readonly #secret: SinkContext['secret']
  readonly #leftovers: Leftovers
  #pem: Pem = {}
  #agent: Agent | undefined
  /** The TLS files may have been replaced since they were read. */
  #stale = true
  readonly #retired = new Set<Promise<void>>()

  /** A host that is an IP literal is never looked up: the caller has asked the guard about it. */
  constructor(url: URL, { guard, files, context }: ClientParts) {
    this.#url = url
    this.#guard = guard
    this.#files = files
    this.#secret = (reference) => context.secret(reference)
    this.#leftovers = new Leftovers(context.clock)
  }

  /** Opens a connection and closes it: name, network rules, port and TLS are right. Rejects with a DeliveryError. */
  async probe(signal: AbortSignal): Promise<void> {
    await this.#agentNow()
    signal.throwIfAborted()
    const host = this.#url.hostname.replace(/^\[|\]$/g, '')
    const secure = this.#url.protocol === 'https:'
    const options = { host, port: Number(this.#url.port) || (secure ? 443 : 80), lookup: this.#guard.lookup }
    const servername = net.isIP(host) === 0 ? { servername: host } : {}
    const socket = secure ? tls.connect({ ...options, ...this.#pem, ...servername }) : net.connect(options)
    try {
      await once(socket, secure ? 'secureConnect' : 'connect', { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw this.#unreachable(error)
    } finally {
      socket.destroy()
    }
  }

  /**
   * Sends one request. Resolves soon after status and headers of the answer are in, whatever its body does. Rejects with a
   * DeliveryError, or with `signal.reason`; by then the connection is closed, so nothing of it can arrive any more.
   */
  async post(headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Answer> {
    const agent = await this.#agentNow()
    signal.throwIfAborted()
    try {
      const answer = await agent.request({
        origin: this.#url.origin,
        path: this.#url.pathname + this.#url.search,
        method: 'POST',
        headers,
        body,
        signal,
      })
      // nothing follows a 204: there is nothing to bound, by a timer and a signal for each event
      if (answer.statusCode === 204) void answer.body.dump()
      else void this.#leftovers.read(answer.body)
      // undici uses the connection again from the next turn on: whoever sends before that opens another one
      await setImmediate()
      return { status: answer.statusCode, headers: answer.headers }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof errors.InvalidArgumentError) {
        throw new DeliveryError('malformed', 'the event cannot be written as an HTTP request')
      }
      throw this.#unreachable(error)
    }
  }

  /** Waits for the requests in flight, then closes all connections. Nothing is to be sent afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leftovers[Symbol.dispose]()
    if (this.#agent) this.#retire(this.#agent)
    this.#agent = undefined
    await Promise.all(this.#retired)
  }

  async #agentNow(): Promise<Agent> {
    if (this.#agent && !this.#stale) return this.#agent
    const pem = await this.#readFiles()
    this.#stale = false
    if (this.#agent && samePem(pem, this.#pem)) return this.#agent
    if (this.#agent) this.#retire(this.#agent)
    this.#pem = pem
    this.#agent = this.#newAgent(pem)
    return this.#agent
  }

  async #readFiles(): Promise<Pem> {
    const pem: Pem = {}
    for (const name of ['ca', 'cert', 'key'] as const) {
      const reference = this.#files[name]
      if (reference === undefined) continue
      try {
        pem[name] = await this.#secret(reference)
      } catch (error) {
        const reason = error instanceof Error ? error.message : typeof error
        throw new DeliveryError('unavailable', `tls.${name}: ${reason}`, { cause: error })
      }
    }
    return pem
  }

  #newAgent(pem: Pem): Agent {
    return new Agent({
      connect: { ...pem, lookup: this.#guard.lookup, timeout: CONNECT_TIMEOUT_MS },
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  /** What is in flight may end; new requests take the new one. */
  #retire(agent: Agent): void {
    const closed = agent.close().finally(() => this.#retired.delete(closed))
    this.#retired.add(closed)
  }

  #unreachable(error: unknown): DeliveryError {
    this.#stale = Object.keys(this.#files).length > 0
    if (error instanceof DeliveryError) return error
    return new DeliveryError('unavailable', `${this.#url.host} cannot be reached: ${connectionWords(codeOf(error))}`)
  }
}

function samePem(a: Pem, b: Pem): boolean {
  return a.ca === b.ca && a.cert === b.cert && a.key === b.key
}

/** `ECONNREFUSED`, `CERT_HAS_EXPIRED`, `UND_ERR_SOCKET` …: messages could hold a part of the request. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0 && !('code' in error)) return codeOf(error.errors[0])
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error ? error.name : typeof error
}
