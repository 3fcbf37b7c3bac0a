/** What the HTTP servers of the process have in common: how they listen, what they bear with, how they answer and end. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { parseListenAddress } from '../lib/listen-address.ts'

export interface ServerOptions {
  /** Of the configuration, for messages: `http.listen`. */
  readonly key: string
  readonly listen: string
  readonly log: Logger
  /** Answers in full. A rejection is logged and answered with 500. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>
}

export interface RunningServer extends AsyncDisposable {
  /** Where it really listens, as in `http://127.0.0.1:8080`. */
  readonly url: string
}

export interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** No client holds a connection longer than these, however slowly it asks or reads. Milliseconds. */
const timeouts = { headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 5_000, readTimeout: 15_000 } as const
const MAX_CONNECTIONS = 200

/** Resolves once it listens. Rejects, naming the key, if the address cannot be had. Disposing ends the connections too. */
export async function startServer({ key, listen, log, handle }: ServerOptions): Promise<RunningServer> {
  const { host, port } = parseListenAddress(listen)
  const server = createServer(
    { ...timeouts, maxHeaderSize: 8192, connectionsCheckingInterval: 1000 },
    (request, response) => {
      handle(request, response).catch((error: unknown) => {
        log.error({ error, endpoint: request.url?.split('?', 1)[0] }, 'an HTTP endpoint has failed')
        if (response.headersSent) response.destroy()
        else send(request, response, text(500, 'failed; the log says why\n'))
      })
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.timeout = timeouts.readTimeout
  server.listen({ port, ...(host !== undefined && { host }) })
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new Error(`${key} ${listen}: ${reason(error, key)}`, { cause: error })
  }
  server.on('error', (error) => log.error({ error }, 'the HTTP server has failed'))
  return { url: urlOf(server), [Symbol.asyncDispose]: () => close(server) }
}

export function text(status: number, body: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body }
}

export function json(status: number, value: object): Reply {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}

/** `allow`: the methods, for a 405. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body }: Reply,
  allow?: string,
): void {
  // A body that nobody asked for is not read to its end.
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(allow !== undefined && { allow }),
    ...(hasBody && !request.complete && { connection: 'close' }),
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

function reason(error: unknown, key: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `the port is in use; set ${key} to another one, or stop what uses it`,
    EADDRNOTAVAIL: 'this machine does not have the address',
    EACCES: 'no right to use the port; ports below 1024 need one',
    ENOTFOUND: 'the host name is unknown',
  }
  return reasons[code] ?? `cannot listen (${code || String(error)})`
}
