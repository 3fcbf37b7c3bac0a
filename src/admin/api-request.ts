/** What the endpoints of the admin API have in common: how they read a request, refuse one, and answer line by line. */
import type { IncomingMessage, ServerResponse } from 'node:http'

const MAX_BODY_BYTES = 2 ** 20

/** What a caller has done wrong, or what is not there. */
export class Refused extends Error {
  readonly status: number
  readonly allow: string | undefined

  constructor(status: number, message: string, allow?: string) {
    super(message)
    this.status = status
    this.allow = allow
  }
}

/** Throws a Refused for another method. */
export function allow({ method }: IncomingMessage, expected: 'GET' | 'POST'): void {
  if (method !== expected) throw new Refused(405, `only ${expected}`, expected)
}

/** Rejects with a Refused for what is no JSON, or too large. */
export async function bodyOf(request: IncomingMessage): Promise<unknown> {
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

export interface Lines {
  /** `signal` aborts when the caller has gone. */
  readonly open: (signal: AbortSignal) => AsyncIterable<object>
  /** What a caller is told if it throws before the first line. */
  readonly refusal: (error: unknown) => Refused
}

/** Answers with a line of JSON for each value, as it comes, however long that takes. */
export async function sendLines(
  request: IncomingMessage,
  response: ServerResponse,
  { open, refusal }: Lines,
): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => gone.abort(new Error('the caller has gone')))
  request.socket.setTimeout(0) // it waits for a sink, not for the caller
  const values = open(gone.signal)[Symbol.asyncIterator]()
  const first = await values.next().catch((error: unknown) => {
    throw refusal(error)
  })
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  response.flushHeaders()
  for (let value = first; !value.done && !gone.signal.aborted; value = await values.next()) {
    response.write(`${JSON.stringify(value.value)}\n`) // short lines, and each stands for an event: nothing piles up
  }
  response.end()
}
