/**
 * For tests: an EventBridge on loopback that can fail in every way that one can, and keeps what it accepted. What is
 * right and what is not, a `Service` decides: the strict one, or a real one behind. Faults befall PutEvents only.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { systemClock } from '../../../src/lib/clock.ts'
import { type Cut, type Received, untilWoken } from '../../contract-target.ts'
import { decodeStructured } from '../../decode.ts'
import {
  answer,
  bytesOf,
  type EntryResult,
  failure,
  type ReceivedEntry,
  type Service,
  type ServiceAnswer,
  strictService,
} from './strict-service.ts'

type Rule =
  | { readonly type: 'cut'; readonly where: Cut }
  /** The whole request fails. */
  | { readonly type: 'refuse'; readonly status: number; readonly name: string }
  /** The first entry fails, the others are taken. */
  | { readonly type: 'entry'; readonly code: string }
  /** The request is taken, and answered with a status and a text. */
  | { readonly type: 'raw'; readonly status: number; readonly text: string }

/** One that was accepted, at least in part. */
export interface AcceptedRequest {
  readonly entries: number
  readonly bytes: number
  readonly headers: IncomingMessage['headers']
}

export interface FaultServerOptions {
  /** @default 'k8s' */
  readonly bus?: string
  /** @default 1,000,000 */
  readonly requestBytes?: number
  /** @default a strict one of its own, with `bus` and `requestBytes` */
  readonly service?: Service
}

export class FaultServer implements AsyncDisposable {
  /** `ErrorCode` for an entry that would be accepted, or undefined. */
  entryFault: (entry: ReceivedEntry) => string | undefined = () => undefined
  /** What happens to the next request for which nothing else was said. */
  cutAtRandom: () => Cut | undefined = () => undefined
  /** How long it takes to answer. */
  latencyMs = 0
  readonly requests: AcceptedRequest[] = []
  readonly entries: ReceivedEntry[] = []
  /** Why requests were refused that nobody had asked it to refuse. */
  readonly refused: string[] = []
  throttled = 0

  readonly #service: Service
  readonly #received: Received[] = []
  readonly #rules: Rule[] = []
  readonly #sockets = new Set<Socket>()
  readonly #waiters = new Set<() => void>()
  #stalled: PromiseWithResolvers<void> | undefined
  #bucket: TokenBucket | undefined
  #attempts = 0
  #server: Server | undefined
  #port = 0

  private constructor({ bus = 'k8s', requestBytes = 1_000_000, service }: FaultServerOptions) {
    this.#service = service ?? strictService({ bus, requestBytes })
  }

  static async start(options: FaultServerOptions = {}): Promise<FaultServer> {
    const server = new FaultServer(options)
    await server.restart()
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  received(): readonly Received[] {
    return this.#received
  }

  forget(): void {
    this.requests.splice(0)
    this.entries.splice(0)
    this.#received.splice(0)
  }

  attempts(): number {
    return this.#attempts
  }

  connections(): number {
    return this.#sockets.size
  }

  until(condition: () => boolean): Promise<void> {
    return untilWoken(this.#waiters, condition)
  }

  stall(): void {
    this.#stalled ??= Promise.withResolvers()
  }

  flow(): void {
    this.#stalled?.resolve()
    this.#stalled = undefined
  }

  cut(where: Cut): void {
    this.#rules.push({ type: 'cut', where })
  }

  /** `400 ThrottlingException`: the next request. `entry InternalFailure`: the first entry of the next request. */
  fail(how: string): void {
    const [what = '', name = ''] = how.split(' ')
    this.#rules.push(what === 'entry' ? { type: what, code: name } : { type: 'refuse', status: Number(what), name })
  }

  /** The next request is taken, and answered with this. */
  raw(status: number, body: string): void {
    this.#rules.push({ type: 'raw', status, text: body })
  }

  /** From now on no more requests than this are taken. */
  throttle(requestsPerSecond: number, burst: number): void {
    this.#bucket = new TokenBucket(requestsPerSecond, burst)
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(server, 'close')
  }

  async restart(): Promise<void> {
    await this.stop()
    const server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy()) // the client has gone
    })
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        this.#wake()
      })
      this.#wake()
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.flow()
    await this.stop()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const operation = String(request.headers['x-amz-target']).replace(/^AWSEvents\./, '')
    if (operation === 'PutEvents') await this.#putEvents(request, response)
    else send(response, await this.#ask(operation, request, await text(request)))
  }

  async #putEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#attempts++
    const rule = this.#rules.shift() ?? this.#randomRule()
    const cut = rule?.type === 'cut' ? rule.where : undefined
    if (cut === 'before') request.socket.resetAndDestroy()
    if (cut === 'mid-request') request.once('data', () => request.socket.resetAndDestroy())
    this.#wake()
    const body = await text(request)
    await this.#stalled?.promise
    await this.#delay()
    if (request.socket.destroyed) return
    const result =
      rule?.type === 'refuse' ? failure(rule.status, rule.name, body) : await this.#take(request, body, rule)
    if (cut === 'mid-answer') {
      request.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"Entr')
      request.socket.end(() => request.socket.destroy())
    } else {
      send(response, rule?.type === 'raw' ? { status: rule.status, body: rule.text } : result)
    }
    this.#wake()
  }

  async #take(request: IncomingMessage, body: string, rule: Rule | undefined): Promise<ServiceAnswer> {
    if (this.#bucket?.isEmpty()) {
      this.throttled++
      return failure(400, 'ThrottlingException', 'Rate exceeded')
    }
    const judged = await this.#ask('PutEvents', request, body)
    if (judged.status !== 200) {
      this.refused.push(judged.body)
      return judged
    }
    const entries: readonly ReceivedEntry[] = JSON.parse(body).Entries
    const results: readonly EntryResult[] = JSON.parse(judged.body).Entries
    const final = results.map((result, index): EntryResult => {
      const entry = entries[index] ?? {}
      const code = rule?.type === 'entry' && index === 0 ? rule.code : this.entryFault(entry)
      // a careless service: it says what it got
      return result.EventId !== undefined && code !== undefined
        ? { ErrorCode: code, ErrorMessage: entry.Detail ?? '' }
        : result
    })
    const accepted = entries.filter((_, index) => final[index]?.EventId !== undefined)
    for (const entry of accepted) {
      this.entries.push(entry)
      this.#received.push(decodeStructured(entry.Detail ?? ''))
    }
    const bytes = entries.reduce((sum, entry) => sum + bytesOf(entry), 0)
    this.requests.push({ entries: entries.length, bytes, headers: request.headers })
    return answer(200, { FailedEntryCount: entries.length - accepted.length, Entries: final })
  }

  async #ask(operation: string, { headers }: IncomingMessage, body: string): Promise<ServiceAnswer> {
    const named = Object.entries(headers).map(([name, value]) => [name, String(value)])
    return await this.#service({ operation, headers: Object.fromEntries(named), body })
  }

  #randomRule(): Rule | undefined {
    const where = this.cutAtRandom()
    return where && { type: 'cut', where }
  }

  /** How long this target takes, not how long a test waits. */
  async #delay(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.latencyMs === 0) return
    systemClock.after(this.latencyMs, resolve)
    await promise
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
  }
}

function send(response: ServerResponse, { status, body }: ServiceAnswer): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': 'test' }).end(body)
}

/** As many tokens as `burst`, filled up at a rate; each request takes one. */
class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #at = performance.now()

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000
    this.#burst = burst
    this.#tokens = burst
  }

  isEmpty(): boolean {
    const now = performance.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs)
    this.#at = now
    if (this.#tokens < 1) return true
    this.#tokens--
    return false
  }
}
