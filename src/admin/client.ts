/** Asks the admin API of a running bridge. */
import { Agent, fetch, type RequestInit, type Response } from 'undici'
import type { DeadLetterDetail, DeadLetterFilter, DeadLetterPage, ReplayRequest, ReplayResult } from './dead-letters.ts'
import type { SnapshotLine, SnapshotQuery } from './snapshots.ts'

/** There was no answer, or it was no: for people, in whole words. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  /** `asked`: the bridge says that this cannot be asked for, now or later. */
  readonly code: 'asked' | 'failed'

  constructor(code: 'asked' | 'failed', message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** For answers that come line by line: a sink may take hours, and undici gives up after five minutes of silence. */
const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 })

export class AdminClient {
  readonly #base: URL
  readonly #signal: AbortSignal

  /** `base`: `http://127.0.0.1:8090`. */
  constructor(base: URL, signal: AbortSignal) {
    this.#base = base
    this.#signal = signal
  }

  async list({ sink, after, limit }: DeadLetterFilter): Promise<DeadLetterPage> {
    const given = Object.entries({ sink, after, limit: String(limit) }).filter(([, value]) => value !== undefined)
    const query = new URLSearchParams(given as [string, string][])
    return (await (await this.#ask(`/api/v1/dead-letters?${query}`)).json()) as DeadLetterPage
  }

  async show(id: string): Promise<DeadLetterDetail> {
    return (await (await this.#ask(`/api/v1/dead-letters/${encodeURIComponent(id)}`)).json()) as DeadLetterDetail
  }

  /** A result for each, as it comes. Throws an AdminError if the bridge ends before the last one. */
  replay(request: ReplayRequest): AsyncGenerator<ReplayResult> {
    const { type, ...rest } = request
    const body = type === 'all' ? { all: true } : rest
    return this.#lines('/api/v1/dead-letters/replay', body, 'what it did not tell of may be delivered')
  }

  /** A line for each change. Throws an AdminError if the bridge ends before the last one. */
  snapshot(query: SnapshotQuery): AsyncGenerator<SnapshotLine> {
    return this.#lines('/api/v1/snapshots', query, 'what has not ended does not: ask the next process for it')
  }

  async *#lines<T>(path: string, asked: object, otherwise: string): AsyncGenerator<T> {
    const body = JSON.stringify(asked)
    const headers = { 'content-type': 'application/json' }
    const response = await this.#ask(path, { method: 'POST', headers, body, dispatcher: patient })
    try {
      for await (const line of linesOf(response)) yield JSON.parse(line) as T
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason
      throw new AdminError('failed', `${this.#base.origin}: the bridge has ended; ${otherwise}`, { cause: error })
    }
  }

  async #ask(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await this.#fetch(new URL(path, this.#base), init)
    if (response.ok) return response
    const text = await response.text()
    const refusal = errorIn(text)
    throw new AdminError(
      refusal !== undefined && response.status === 400 ? 'asked' : 'failed',
      `${this.#base.origin}: ${refusal ?? `${response.status}: this is not Deltawire's admin API`}`,
    )
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, { ...init, signal: this.#signal, redirect: 'error' })
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason
      const { cause = error } = error instanceof Error ? error : {}
      const reason = cause instanceof Error && 'code' in cause ? cause.code : cause
      const hint = 'is the bridge running, and is admin.listen this address?'
      throw new AdminError('failed', `${this.#base.origin}: no answer (${String(reason)}): ${hint}`, { cause: error })
    }
  }
}

function errorIn(text: string): string | undefined {
  try {
    const { error } = Object(JSON.parse(text)) as { readonly error?: unknown }
    return typeof error === 'string' ? error : undefined
  } catch {
    return undefined
  }
}

async function* linesOf({ body }: Response): AsyncGenerator<string> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
