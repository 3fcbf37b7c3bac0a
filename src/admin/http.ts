/** The HTTP server for probes and Prometheus: `/livez`, `/readyz`, `/metrics`. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { parseListenAddress } from '../lib/listen-address.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { HttpOptions } from './options.ts'
import type { Readiness } from './readiness.ts'

export interface AdminOptions extends HttpOptions {
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>
  readonly readiness: () => Readiness
  readonly log: Logger
}

export interface AdminServer extends AsyncDisposable {
  /** Where it really listens, as in `http://127.0.0.1:8080`. */
  readonly url: string
}

/** No client holds a connection longer than these, however slowly it asks or reads. Milliseconds. */
const timeouts = { headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 5_000, readTimeout: 15_000 } as const
const MAX_CONNECTIONS = 200

/**
 * Resolves once it listens. `/livez` answers 200 as long as the event loop runs, whatever the API server and the sinks
 * do: a restart would heal neither. Rejects, naming `http.listen`, if the address cannot be had.
 * Disposing ends the connections too.
 */
export async function serveHttp(options: AdminOptions): Promise<AdminServer> {
  const { host, port } = parseListenAddress(options.listen)
  const server = createServer(
    { ...timeouts, maxHeaderSize: 8192, connectionsCheckingInterval: 1000 },
    (request, response) => {
      void answer(options, request).then((reply) => send(request, response, reply))
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.timeout = timeouts.readTimeout
  server.listen({ port, ...(host !== undefined && { host }) })
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new Error(`http.listen ${options.listen}: ${reason(error)}`, { cause: error })
  }
  server.on('error', (error) => options.log.error({ error }, 'the HTTP server has failed'))
  return { url: urlOf(server), [Symbol.asyncDispose]: () => close(server) }
}

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
}

const TEXT = 'text/plain; charset=utf-8'
const endpoints = ['/livez', '/readyz', '/metrics'] as const

async function answer(options: AdminOptions, request: IncomingMessage): Promise<Reply> {
  const [path] = (request.url ?? '').split('?', 1)
  const endpoint = endpoints.find((known) => known === path)
  if (endpoint === undefined) return text(404, `not found; there are ${endpoints.join(', ')}\n`)
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET and HEAD\n')
  try {
    return await replyOf(endpoint, options, request.headers.accept ?? '')
  } catch (error) {
    options.log.error({ error, endpoint }, 'an HTTP endpoint has failed')
    return text(500, 'failed; the log says why\n')
  }
}

async function replyOf(
  endpoint: (typeof endpoints)[number],
  { metrics, readiness }: AdminOptions,
  accept: string,
): Promise<Reply> {
  switch (endpoint) {
    case '/livez':
      return text(200, 'ok\n')
    case '/readyz':
      return describe(readiness(), accept)
    case '/metrics':
      return { status: 200, type: metrics.contentType, body: await metrics.text() }
  }
}

/** One line per check, as the API server's own `/readyz?verbose` has it; JSON for who asks for it. */
function describe(readiness: Readiness, accept: string): Reply {
  const status = readiness.ok ? 200 : 503
  if (accept.includes('application/json')) {
    return { status, type: 'application/json', body: `${JSON.stringify(readiness)}\n` }
  }
  const lines = readiness.checks.map(({ name, ok, detail }) => `[${ok ? '+' : '-'}] ${name}: ${detail}\n`)
  return text(status, `${lines.join('')}${readiness.ok ? 'ready' : 'not ready'}\n`)
}

function text(status: number, body: string): Reply {
  return { status, type: TEXT, body }
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Reply): void {
  // A body that nobody asked for is not read to its end.
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 && { allow: 'GET, HEAD' }),
    ...(hasBody && { connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

function urlOf(server: Server): string {
  const { address, port } = server.address() as AddressInfo // listens on a port, not on a pipe
  const host = address === '::' || address === '0.0.0.0' ? 'localhost' : address
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; set http.listen to another one, or stop what uses it',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EACCES: 'no right to use the port; ports below 1024 need one',
  ENOTFOUND: 'the host name is unknown',
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return reasons[code] ?? `cannot listen (${code || String(error)})`
}
