import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import type { TestApiServer } from '../../testbed/api-server.ts'

/** One frame of a watch. */
export interface WatchFrame {
  readonly type: string
  readonly object: { readonly metadata?: { readonly name?: string } }
}

/** Stands before an API server, and leaves frames of its watches out, as no server should. */
export class ForgetfulProxy implements AsyncDisposable {
  /** Decides about the next frame. */
  forgets: (frame: WatchFrame) => boolean = () => false
  /** Frames that were left out. */
  forgotten = 0
  readonly #server: Server
  readonly #api: TestApiServer

  private constructor(api: TestApiServer) {
    this.#api = api
    this.#server = createServer((from, to) => this.#pass(from, to))
  }

  static async before(api: TestApiServer): Promise<ForgetfulProxy> {
    const proxy = new ForgetfulProxy(api)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  #pass(from: IncomingMessage, to: ServerResponse): void {
    const { 'accept-encoding': _, host: __, ...headers } = from.headers
    const url = new URL(from.url ?? '/', this.#api.url)
    const asked = request(url, { method: from.method, headers, ca: this.#api.ca }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      if (url.searchParams.get('watch') !== 'true') answer.pipe(to)
      else this.#filter(answer, to)
    })
    asked.on('error', () => to.destroy())
    to.on('close', () => asked.destroy())
    from.pipe(asked)
  }

  #filter(answer: IncomingMessage, to: ServerResponse): void {
    answer.on('error', () => to.destroy())
    to.flushHeaders()
    const lines = createInterface(answer)
    lines.on('line', (line) => {
      if (this.forgets(JSON.parse(line) as WatchFrame)) this.forgotten++
      else to.write(`${line}\n`)
    })
    lines.on('error', () => to.destroy())
    lines.on('close', () => to.end())
  }
}
