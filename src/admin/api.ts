/**
 * The admin API, for `deltawire dlq` and `deltawire snapshot`:
 *
 *   GET  /api/v1/dead-letters?sink=NAME&after=ID&limit=100
 *   GET  /api/v1/dead-letters/ID
 *   POST /api/v1/dead-letters/replay   {"ids": [...]}, {"sink": NAME} or {"all": true}; a line of JSON per event
 *   POST /api/v1/snapshots             {"of": SOURCE or STREAM, ...}; see snapshot-api.ts
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { allow, bodyOf, Refused, sendLines } from './api-request.ts'
import { foreignCaller } from './caller.ts'
import type { DeadLetterAdmin, ReplayRequest } from './dead-letters.ts'
import type { AdminOptions } from './options.ts'
import { json, type RunningServer, send, startServer } from './server.ts'
import { requestSnapshots, SNAPSHOTS } from './snapshot-api.ts'
import type { SnapshotAdmin } from './snapshots.ts'

export interface ApiOptions extends AdminOptions {
  readonly deadLetters: DeadLetterAdmin
  readonly snapshots: SnapshotAdmin
  readonly log: Logger
}

const PREFIX = '/api/v1/dead-letters'
const MAX_PAGE = 1_000

/** Resolves once it listens. Rejects, naming `admin.listen`, if the address cannot be had. */
export async function serveApi({ listen, log, ...admin }: ApiOptions): Promise<RunningServer> {
  return await startServer({
    key: 'admin.listen',
    listen,
    log,
    handle: (request, response) => handle(request, response, admin),
  })
}

type Admin = Pick<ApiOptions, 'deadLetters' | 'snapshots'>

async function handle(request: IncomingMessage, response: ServerResponse, admin: Admin): Promise<void> {
  const { deadLetters } = admin
  try {
    const why = foreignCaller(request)
    if (why !== undefined) throw new Refused(403, why)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === SNAPSHOTS) {
      await requestSnapshots(request, response, admin.snapshots)
    } else if (pathname === `${PREFIX}/replay`) {
      allow(request, 'POST')
      await replay(request, response, deadLetters)
    } else if (pathname === PREFIX) {
      allow(request, 'GET')
      const page = await reading(deadLetters.list(filterOf(searchParams)))
      send(request, response, json(200, page))
    } else if (pathname.startsWith(`${PREFIX}/`)) {
      allow(request, 'GET')
      const id = decodeURIComponent(pathname.slice(PREFIX.length + 1))
      const letter = await reading(deadLetters.show(id))
      if (!letter) throw new Refused(404, `there is no dead letter ${id.slice(0, 100)}: it was delivered, or dropped`)
      send(request, response, json(200, letter))
    } else {
      throw new Refused(404, `not found; there are ${PREFIX} and ${SNAPSHOTS}`)
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    send(request, response, json(error.status, { error: error.message }), error.allow)
  }
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
    throw unreadable(error)
  }
}

function unreadable(error: unknown): Refused {
  return new Refused(503, error instanceof Error ? error.message : String(error))
}

/** A line for each event, as its fate is known: that may take as long as its sink is out of order. */
async function replay(request: IncomingMessage, response: ServerResponse, admin: DeadLetterAdmin): Promise<void> {
  const what = replayRequest(await bodyOf(request))
  await sendLines(request, response, { open: (signal) => admin.replay(what, signal), refusal: unreadable })
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
