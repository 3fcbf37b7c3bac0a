/** An HTTP receiver that answers 204 after a set time, and keeps what came. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A CloudEvent as it came, in either mode. */
export interface Arrival {
  /** All of them, as texts. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** The body as it came. */
  readonly body: string
  /** Milliseconds of `performance.now`. */
  readonly answeredAt: number
}

interface Request {
  readonly headers: IncomingMessage['headers']
  readonly chunks: readonly Buffer[]
  readonly answeredAt: number
}

export class Receiver implements AsyncDisposable {
  /** How long it thinks before it answers. */
  delayMs = 0
  readonly #http: Server
  #requests: Request[] = []
  #awaited: { readonly count: number; readonly resolve: () => void } | undefined

  private constructor() {
    this.#http = createServer({ keepAliveTimeout: 0 }, (request, response) => this.#serve(request, response))
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver()
    receiver.#http.listen(0, '127.0.0.1', 1024)
    await once(receiver.#http, 'listening')
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/events`
  }

  /** Resolves when so many have been answered since the last `take`. */
  async until(count: number): Promise<void> {
    if (this.#requests.length >= count) return
    await new Promise<void>((resolve) => {
      this.#awaited = { count, resolve }
    })
  }

  /** What was answered since the last time, in that order. It is read only now: that costs no measured time. */
  take(): readonly Arrival[] {
    const requests = this.#requests
    this.#requests = []
    return requests.map(({ headers, chunks, answeredAt }) => {
      const body = Buffer.concat(chunks).toString()
      return { attributes: attributesOf(headers, body), body, answeredAt }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections()
    this.#http.close()
    await once(this.#http, 'close')
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const answer = () => {
        response.writeHead(204).end()
        this.#answered({ headers: request.headers, chunks, answeredAt: performance.now() })
      }
      if (this.delayMs === 0) answer()
      else setTimeout(answer, this.delayMs)
    })
  }

  #answered(request: Request): void {
    this.#requests.push(request)
    if (this.#requests.length === this.#awaited?.count) this.#awaited.resolve()
  }
}

function attributesOf(headers: IncomingMessage['headers'], body: string): Readonly<Record<string, unknown>> {
  if (headers['content-type'] === 'application/cloudevents+json') {
    const { data: _, ...attributes } = JSON.parse(body)
    return attributes
  }
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (name.startsWith('ce-') ? [[name.slice(3), value]] : [])),
  )
}
