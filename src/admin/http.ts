/** The HTTP server for probes and Prometheus: `/livez`, `/readyz`, `/metrics`. */
import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'
import type { Metrics } from '../telemetry/metrics.ts'
import type { HttpOptions } from './options.ts'
import { linesOf, type Readiness } from './readiness.ts'
import { json, type Reply, type RunningServer, send, startServer, text } from './server.ts'

export interface ProbeOptions extends HttpOptions {
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>
  readonly readiness: () => Readiness
  readonly log: Logger
}

/**
 * Resolves once it listens. `/livez` answers 200 as long as the event loop runs, whatever the API server and the sinks
 * do: a restart would heal neither. Rejects, naming `http.listen`, if the address cannot be had.
 */
export async function serveHttp(options: ProbeOptions): Promise<RunningServer> {
  const { listen, log } = options
  return await startServer({
    key: 'http.listen',
    listen,
    log,
    handle: async (request, response) => {
      const reply = await answer(options, request)
      send(request, response, reply, reply.status === 405 ? 'GET, HEAD' : undefined)
    },
  })
}

const endpoints = ['/livez', '/readyz', '/metrics'] as const

async function answer(options: ProbeOptions, { url = '', method, headers }: IncomingMessage): Promise<Reply> {
  const [path] = url.split('?', 1)
  const endpoint = endpoints.find((known) => known === path)
  if (endpoint === undefined) return text(404, `not found; there are ${endpoints.join(', ')}\n`)
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD\n')
  return await replyOf(endpoint, options, headers.accept ?? '')
}

async function replyOf(
  endpoint: (typeof endpoints)[number],
  { metrics, readiness }: ProbeOptions,
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
  if (accept.includes('application/json')) return json(status, readiness)
  return text(status, `${linesOf(readiness)}${readiness.ok ? 'ready' : 'not ready'}\n`)
}
