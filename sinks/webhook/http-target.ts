/** For tests: an HTTP/1.1 server on raw sockets, which can fail in every way that a server can. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { type Cut, type Received, untilWoken } from '../contract-target.ts'
import { decodeBinary, decodeStructured } from '../decode.ts'

export interface HttpRequest {
  readonly line: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What happens to a request: a raw answer, or none. */
type Rule =
  | { readonly type: 'answer'; readonly status: string; readonly headers: readonly string[] }
  | { readonly type: 'raw'; readonly text: string }
  | { readonly type: 'cut'; readonly where: Cut }

const accepted: Rule = { type: 'answer', status: '204 No Content', headers: [] }

export class HttpTarget implements AsyncDisposable {
  readonly requests: HttpRequest[] = []
  readonly #received: Received[] = []
  readonly #rules: Rule[] = []
  readonly #sockets = new Set<net.Socket>()
  readonly #stalled: (() => void)[] = []
  readonly #waiters = new Set<() => void>()
  #isStalled = false
  #attempts = 0
  #server = net.createServer()
  #port = 0
  #tls: tls.TlsOptions | undefined

  /** With `options` it speaks TLS. */
  static async start(options?: tls.TlsOptions): Promise<HttpTarget> {
    const target = new HttpTarget()
    target.#tls = options
    await target.#listen()
    return target
  }

  get port(): number {
    return this.#port
  }

  received(): readonly Received[] {
    return this.#received
  }

  forget(): void {
    this.requests.splice(0)
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
    this.#isStalled = true
  }

  flow(): void {
    this.#isStalled = false
    for (const answer of this.#stalled.splice(0)) answer()
  }

  cut(where: Cut): void {
    this.#rules.push({ type: 'cut', where })
  }

  /** `503`, or `429 retry-after: 7`: the status and headers of the next answer, separated by `; `. */
  fail(answer: string): void {
    const [status = '', ...headers] = answer.split(/; | (?=[a-z-]+:)/)
    this.#rules.push({ type: 'answer', status: `${status} Whatever`, headers })
  }

  /** The next request is taken, and answered with this text. */
  raw(text: string): void {
    this.#rules.push({ type: 'raw', text })
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async restart(): Promise<void> {
    if (this.#server.listening) await this.stop()
    await this.#listen()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop()
  }

  async #listen(): Promise<void> {
    const serve = (socket: net.Socket) => this.#serve(socket)
    this.#server = this.#tls ? tls.createServer(this.#tls, serve) : net.createServer({ noDelay: true }, serve)
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (typeof address === 'object' && address) this.#port = address.port
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket)
    this.#wake()
    socket.on('error', () => undefined) // a client that is gone is no matter
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#wake()
    })
    let chunks: Buffer[] = []
    let length = 0
    let request:
      | { readonly head: Omit<HttpRequest, 'body'>; readonly end: number; readonly start: number; readonly rule: Rule }
      | undefined
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (!request) {
        const text = Buffer.concat(chunks)
        const start = text.indexOf('\r\n\r\n') + 4
        if (start === 3) return
        const head = parseHead(text.toString('latin1', 0, start - 4))
        request = {
          head,
          start,
          end: start + Number(head.headers['content-length'] ?? 0),
          rule: this.#rules.shift() ?? accepted,
        }
        this.#attempts++
        this.#wake()
        if (request.rule.type === 'cut' && request.rule.where !== 'mid-answer') {
          socket.resetAndDestroy()
          return
        }
      }
      if (length < request.end) return
      const { head, start, end, rule } = request
      const all = Buffer.concat(chunks)
      chunks = [all.subarray(end)]
      length -= end
      request = undefined
      this.#take(socket, { ...head, body: all.toString('utf8', start, end) }, rule)
    })
  }

  #take(socket: net.Socket, request: HttpRequest, rule: Rule): void {
    const answer = () => {
      if (socket.destroyed) return
      this.requests.push(request)
      if (rule.type !== 'answer' || rule.status.startsWith('2')) this.#received.push(decode(request))
      if (rule.type === 'cut') {
        socket.write('HTTP/1.1 2', () => socket.resetAndDestroy())
      } else if (rule.type === 'raw') {
        socket.write(rule.text)
      } else {
        const body = rule.status.startsWith('204') ? [] : [`content-length: ${request.body.length}`]
        socket.write([`HTTP/1.1 ${rule.status}`, ...rule.headers, ...body, '', ''].join('\r\n'))
        // a careless receiver: it sends back what it got
        if (body.length > 0) socket.write(request.body, 'latin1')
      }
      this.#wake()
    }
    if (this.#isStalled) this.#stalled.push(answer)
    else answer()
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
  }
}

function parseHead(text: string): Omit<HttpRequest, 'body'> {
  const [line = '', ...fields] = text.split('\r\n')
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const colon = field.indexOf(':')
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim()
  }
  return { line, headers }
}

function decode({ headers, body }: HttpRequest): Received {
  const type = headers['content-type'] ?? ''
  return type.startsWith('application/cloudevents+json') ? decodeStructured(body) : decodeBinary(headers, body)
}
