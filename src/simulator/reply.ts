import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { JsonObject } from './json.ts'
import { type StatusError, statusObject } from './status.ts'

/** What a request is answered with. */
export type Reply =
  | {
      readonly type: 'whole'
      readonly code: number
      readonly contentType: string
      readonly body: string
      readonly retryAfter?: number
    }
  /** JSON that may be larger than memory wants it in one piece. */
  | { readonly type: 'pieces'; readonly pieces: Generator<string> }
  /** Whoever handled it has answered already, or nobody ever will. */
  | { readonly type: 'none' }

/** Bodies from this size on are compressed for clients that take gzip, as the real server does. */
const GZIP_FROM_BYTES = 128 * 1024
const JSON_TYPE = 'application/json'

export const noReply: Reply = { type: 'none' }
export const pathNotFound: Reply = textReply(404, '404 page not found\n')

export function textReply(code: number, body: string): Reply {
  return { type: 'whole', code, contentType: 'text/plain; charset=utf-8', body }
}

/** `body` is JSON text already: objects are serialised once, when they are stored. */
export function jsonReply(code: number, body: string, contentType = JSON_TYPE): Reply {
  return { type: 'whole', code, contentType, body: `${body}\n` }
}

export function documentReply(document: JsonObject, contentType = JSON_TYPE): Reply {
  return jsonReply(200, JSON.stringify(document), contentType)
}

export function failureReply({ failure }: StatusError): Reply {
  const body = JSON.stringify(statusObject(failure))
  const retryAfter = failure.details?.retryAfterSeconds
  const reply = { type: 'whole', code: failure.code, contentType: JSON_TYPE, body: `${body}\n` } as const
  return retryAfter === undefined ? reply : { ...reply, retryAfter }
}

export async function send(reply: Reply, request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (reply.type) {
    case 'none':
      return
    case 'whole':
      response.writeHead(reply.code, {
        'content-type': reply.contentType,
        'cache-control': 'no-cache, private',
        'content-length': Buffer.byteLength(reply.body),
        ...(reply.retryAfter === undefined ? {} : { 'retry-after': String(reply.retryAfter) }),
      })
      response.end(reply.body)
      return
    case 'pieces':
      await sendPieces(reply.pieces, request, response)
  }
}

async function sendPieces(
  pieces: Generator<string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let head = ''
  let more = true
  while (more && head.length < GZIP_FROM_BYTES) {
    const next = pieces.next()
    if (next.done) more = false
    else head += next.value
  }
  const small = !more && Buffer.byteLength(head) < GZIP_FROM_BYTES
  if (small) return await send({ type: 'whole', code: 200, contentType: JSON_TYPE, body: head }, request, response)
  const gzip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
  response.writeHead(200, {
    'content-type': JSON_TYPE,
    'cache-control': 'no-cache, private',
    ...(gzip ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {}),
  })
  const body = Readable.from(joined(head, pieces))
  await (gzip ? pipeline(body, createGzip({ level: 1 }), response) : pipeline(body, response))
}

function* joined(head: string, rest: Iterable<string>): Generator<string> {
  yield head
  yield* rest
}
