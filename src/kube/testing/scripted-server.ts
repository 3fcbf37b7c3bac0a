import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node/dist/config.js'
import type { SelfSigned } from './self-signed.ts'

/** A request as the server saw it, and the answer, which the test writes. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly response: ServerResponse
  readonly socket: Socket
}

/** For tests: a real server on loopback that does exactly what a test says. */
export class ScriptedServer implements AsyncDisposable {
  /** Every request so far. */
  readonly calls: Call[] = []
  readonly sessions: ServerHttp2Session[] = []
  readonly sockets = new Set<Socket>()
  /** Connections accepted so far. */
  connections = 0
  readonly #server: Server
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = []
  readonly #tls: SelfSigned | undefined

  private constructor(server: Server, tls: SelfSigned | undefined) {
    this.#server = server
    this.#tls = tls
  }

  /** Plain HTTP/1.1, or with a certificate HTTP/2 over TLS. `answer` is called for every request. */
  static async start(answer: (call: Call, index: number) => void, tls?: SelfSigned): Promise<ScriptedServer> {
    const listener = (
      request: IncomingMessage | Http2ServerRequest,
      response: ServerResponse | Http2ServerResponse,
    ): void => server.#accept(request, response, answer)
    const http = tls === undefined ? createServer(listener) : createSecureServer({ ...tls, allowHTTP1: true }, listener)
    const server = new ScriptedServer(http, tls)
    http.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      server.connections++
      server.sockets.add(socket)
      socket.on('close', () => server.sockets.delete(socket))
      socket.on('error', () => socket.destroy())
    })
    http.on('session', (session: ServerHttp2Session) => {
      session.on('error', () => session.destroy())
      server.sessions.push(session)
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  }

  /** A kubeconfig for this server, with what the test adds to its user and cluster. */
  config(user: object = {}, cluster: object = {}): KubeConfig {
    const config = new KubeConfig()
    const trust =
      this.#tls === undefined
        ? { skipTLSVerify: true }
        : { skipTLSVerify: false, caData: Buffer.from(this.#tls.cert).toString('base64') }
    config.loadFromOptions({
      clusters: [{ name: 'scripted', server: this.url, ...trust, ...cluster }],
      users: [{ name: 'tester', ...user }],
      contexts: [{ name: 'test', cluster: 'scripted', user: 'tester' }],
      currentContext: 'test',
    })
    return config
  }

  /** Resolves with the request number `count`, counted from 1, as soon as it has come. */
  async called(count: number): Promise<Call> {
    if (this.calls.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
    const call = this.calls[count - 1]
    if (call === undefined) throw new Error(`no request ${count}`)
    return call
  }

  #accept(
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
    answer: (call: Call, index: number) => void,
  ): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url)
    const { method = '', headers, socket } = request
    // the HTTP/2 one has the same methods as far as tests go
    const call = { method, path: pathname, query: searchParams, headers, response: response as ServerResponse, socket }
    response.on('error', () => response.destroy())
    this.calls.push(call)
    answer(call, this.calls.length - 1)
    for (const { count, resolve } of this.#waiting) if (this.calls.length >= count) resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const session of this.sessions) session.destroy()
    for (const socket of this.sockets) socket.destroy()
    await closed
  }
}

/** Answers with JSON. */
export function json({ response }: Call, body: unknown, status = 200, headers: Record<string, string> = {}): void {
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.end(JSON.stringify(body))
}

/** Sends the headers of a 200 and one line per frame; the response stays open. */
export function stream({ response }: Call, ...frames: readonly unknown[]): void {
  response.statusCode = 200
  response.setHeader('content-type', 'application/json')
  response.flushHeaders()
  for (const frame of frames) response.write(`${JSON.stringify(frame)}\n`)
}

/** A Status, as an API server refuses. */
export function status(code: number, reason: string, message: string, details: object = {}): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, details, code }
}
