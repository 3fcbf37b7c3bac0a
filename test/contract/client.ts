import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import { Agent, type Dispatcher, request } from 'undici'

/** A server that the contract is checked against. */
export interface ContractServer extends AsyncDisposable {
  readonly url: string
  /** May do everything. */
  readonly token: string
  /** Belongs to the user `limited`, who may do nothing. */
  readonly limitedToken: string
  /** PEM. Absent for plain HTTP. */
  readonly ca?: string
  /** Makes the server forget what happened up to now; it may be away for a moment. Resolves when it serves again. */
  forget(): Promise<void>
}

/** Any JSON object: what a check expects of it, it asserts. */
// biome-ignore lint/suspicious/noExplicitAny: answers of a server under test are unknown until a check asserts them
export type Json = any

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body as JSON; undefined if it is none. */
  readonly body: Json
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Long enough for a busy machine; a check that meets it has failed. */
const DEADLINE_MS = 30_000

/** Plain HTTP calls, with the right credentials and without any logic of the project's own client. */
export class ApiClient implements AsyncDisposable {
  readonly #server: ContractServer
  #agent: Agent

  constructor(server: ContractServer) {
    this.#server = server
    this.#agent = this.#connect()
  }

  /** Makes the server forget its history. Connections of before may not outlive that: new ones are made. */
  async forget(): Promise<void> {
    await this.#agent.destroy()
    await this.#server.forget()
    this.#agent = this.#connect()
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.call('GET', path, { headers })
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.call('POST', path, { body })
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.call('PUT', path, { body })
  }

  patch(path: string, body: unknown, type = 'merge-patch'): Promise<Answer> {
    return this.call('PATCH', path, { body, headers: { 'content-type': `application/${type}+json` } })
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.call('DELETE', path, body === undefined ? {} : { body })
  }

  async call(method: Dispatcher.HttpMethod, path: string, { body, headers = {} }: CallOptions): Promise<Answer> {
    const response = await request(`${this.#server.url}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: this.#headers(headers),
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(DEADLINE_MS),
    })
    const bytes = Buffer.from(await response.body.arrayBuffer())
    const text = (response.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
    return { status: response.statusCode, headers: response.headers, text, body: parsed(text) }
  }

  /** Opens a watch: `path` with its query but for `watch=true`. Fails unless the server answers 200. */
  async watch(path: string, headers: Readonly<Record<string, string>> = {}): Promise<OpenWatch> {
    const controller = new AbortController()
    const response = await request(`${this.#server.url}${path}${path.includes('?') ? '&' : '?'}watch=true`, {
      dispatcher: this.#agent,
      headers: this.#headers(headers),
      signal: AbortSignal.any([controller.signal, AbortSignal.timeout(DEADLINE_MS)]),
    })
    if (response.statusCode !== 200) assert.fail(`watch ${path}: ${response.statusCode} ${await response.body.text()}`)
    return new OpenWatch(response.body, controller)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  #connect(): Agent {
    return new Agent({ connect: this.#server.ca === undefined ? {} : { ca: this.#server.ca } })
  }

  #headers(headers: Readonly<Record<string, string>>): Record<string, string> {
    const defaults = { accept: 'application/json', 'content-type': 'application/json', 'user-agent': 'contract/1.0' }
    return { ...defaults, authorization: `Bearer ${this.#server.token}`, ...headers }
  }
}

export interface Frame {
  readonly type: string
  readonly object: Json
}

/** The frames of one watch response, one by one. */
export class OpenWatch implements AsyncDisposable {
  readonly #frames: AsyncGenerator<Frame>
  readonly #controller: AbortController

  constructor(body: AsyncIterable<Buffer>, controller: AbortController) {
    this.#frames = frames(body)
    this.#controller = controller
  }

  async next(): Promise<Frame> {
    const { value, done } = await this.#frames.next()
    return done ? assert.fail('the watch ended, but one more frame was expected') : value
  }

  async take(count: number): Promise<readonly Frame[]> {
    const taken: Frame[] = []
    while (taken.length < count) taken.push(await this.next())
    return taken
  }

  /** All that still comes until the server closes the watch. */
  async rest(): Promise<readonly Frame[]> {
    const taken: Frame[] = []
    for await (const frame of this.#frames) taken.push(frame)
    return taken
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort()
    await this.#frames.return(undefined).catch(() => undefined)
  }
}

async function* frames(body: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield JSON.parse(line)
  }
  assert.equal(rest, '', 'a watch ends with a whole line')
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `ADDED a`, `DELETED b`: what a reader of a watch cares for first. */
export function summary(frames: readonly Frame[]): readonly string[] {
  return frames.map(({ type, object }) => `${type} ${object.metadata.name}`)
}

/** Asserts a Status of kind Failure with exactly these members. */
export function assertFailure(
  answer: Answer,
  expected: { code: number; reason?: string; message?: string | RegExp; details?: unknown },
): void {
  const { code, reason, message, details } = expected
  assert.equal(answer.status, code, answer.text)
  const { kind, apiVersion, metadata, status } = answer.body
  assert.deepEqual(
    { kind, apiVersion, metadata, status },
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
  )
  assert.equal(answer.body.code, code)
  assert.equal(answer.body.reason, reason)
  if (typeof message === 'string') assert.equal(answer.body.message, message)
  if (message instanceof RegExp) assert.match(answer.body.message, message)
  if (details !== undefined) assert.deepEqual(answer.body.details, details)
}
