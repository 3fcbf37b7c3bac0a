/**
 * The admin API, for `deltawire dlq`:
 *
 *   GET  /api/v1/dead-letters?sink=NAME&after=ID&limit=100
 *   GET  /api/v1/dead-letters/ID
 *   POST /api/v1/dead-letters/replay   {"ids": [...]}, {"sink": NAME} or {"all": true}; a line of JSON per event
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { foreignCaller } from './caller.ts'
import type { DeadLetterAdmin, ReplayRequest } from './dead-letters.ts'
import type { AdminOptions } from './options.ts'
import { json, type RunningServer, send, startServer } from './server.ts'

export interface ApiOptions extends AdminOptions {
  readonly deadLetters: DeadLetterAdmin
  readonly log: Logger
}

const PREFIX = '/api/v1/dead-letters'
const MAX_PAGE = 1_000
const MAX_BODY_BYTES = 2 ** 20

/** Resolves once it listens. Rejects, naming `admin.listen`, if the address cannot be had. */
export async function serveApi({ listen, log, deadLetters }: ApiOptions): Promise<RunningServer> {
  return await startServer({
    key: 'admin.listen',
    listen,
    log,
    handle: (request, response) => handle(request, response, deadLetters),
  })
}

/** What a caller has done wrong, or what is not there. */
class Refused extends Error {
  readonly status: number
  readonly allow: string | undefined

  constructor(status: number, message: string, allow?: string) {
    super(message)
    this.status = status
    this.allow = allow
  }
}

async function handle(request: IncomingMessage, response: ServerResponse, admin: DeadLetterAdmin): Promise<void> {
  try {
    const why = foreignCaller(request)
    if (why !== undefined) throw new Refused(403, why)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === `${PREFIX}/replay`) {
      allow(request, 'POST')
      await replay(request, response, admin)
    } else if (pathname === PREFIX) {
      allow(request, 'GET')
      const page = await reading(admin.list(filterOf(searchParams)))
      send(request, response, json(200, page))
    } else if (pathname.startsWith(`${PREFIX}/`)) {
      allow(request, 'GET')
      const id = decodeURIComponent(pathname.slice(PREFIX.length + 1))
      const letter = await reading(admin.show(id))
      if (!letter) throw new Refused(404, `there is no dead letter ${id.slice(0, 100)}: it was delivered, or dropped`)
      send(request, response, json(200, letter))
    } else {
      throw new Refused(404, `not found; there is ${PREFIX}`)
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    send(request, response, json(error.status, { error: error.message }), error.allow)
  }
}

function allow({ method }: IncomingMessage, expected: 'GET' | 'POST'): void {
  if (method !== expected) throw new Refused(405, `only ${expected}`, expected)
}

function filterOf(query: URLSearchParams) {
  const limit = Number(query.get('limit') ?? 100)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new Refused(400, `limit: not an integer from 1 to ${MAX_PAGE}`)
  }
  return { sink: query.get('sink') ?? undefined, after: query.get('after') ?? undefined, limit }
}

/** A store that cannot be read now is no bug. */
async function reading<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw new Refused(503, error instanceof Error ? error.message : String(error))
  }
}

/** A line for each event, as its fate is known: that may take as long as its sink is out of order. */
async function replay(request: IncomingMessage, response: ServerResponse, admin: DeadLetterAdmin): Promise<void> {
  const what = replayRequest(await bodyOf(request))
  const gone = new AbortController()
  response.on('close', () => gone.abort(new Error('the caller has gone')))
  request.socket.setTimeout(0) // it waits for a sink, not for the caller
  const results = admin.replay(what, gone.signal)[Symbol.asyncIterator]()
  const first = await reading(results.next())
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  response.flushHeaders()
  for (let result = first; !result.done && !gone.signal.aborted; result = await results.next()) {
    response.write(`${JSON.stringify(result.value)}\n`) // short lines, and each stands for an event: nothing piles up
  }
  response.end()
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Refused(413, `a request of more than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw new Refused(400, 'the body is not JSON')
  }
}

function replayRequest(body: unknown): ReplayRequest {
  const { ids, sink, all, ...others } = Object(body) as Readonly<Record<string, unknown>>
  const given = [ids, sink, all].filter((value) => value !== undefined)
  if (given.length === 1 && Object.keys(others).length === 0) {
    if (Array.isArray(ids) && ids.every((id) => typeof id === 'string')) return { type: 'ids', ids }
    if (typeof sink === 'string') return { type: 'sink', sink }
    if (all === true) return { type: 'all' }
  }
  throw new Refused(400, 'write {"ids": ["..."]}, {"sink": "..."} or {"all": true}')
}
