import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Clock } from '../lib/clock.ts'
import { KubeError } from './errors.ts'
import { errorFromConnection } from './status-error.ts'

export interface ResponseBodyOptions {
  /** Named in errors: `GET /api/v1/pods`. */
  readonly request: string
  /** `Content-Encoding` of the response. */
  readonly encoding: string | undefined
  readonly clock: Clock
}

/**
 * The body of a response, pulled chunk by chunk; not pulling stops reading the socket. Gzip is undone as it arrives:
 * a watch is a sequence of gzip members, and what a member holds is given out when the member is in.
 */
export class ResponseBody implements AsyncDisposable {
  readonly #source: Readable
  readonly #chunks: AsyncIterator<Buffer>
  readonly #options: ResponseBodyOptions
  readonly #signal: AbortSignal
  #disposed = false

  /** `signal` is the one that the request was made with: aborting it destroys `body`. */
  constructor(body: Readable, options: ResponseBodyOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    // an error reaches the reader through the iterator; without a listener one after the end would end the process
    this.#source = decoded(body, options).on('error', ignore)
    this.#chunks = this.#source[Symbol.asyncIterator]()
  }

  /**
   * What has arrived, or undefined at the end. Throws a KubeError (`reset`; `idle` if nothing arrives for `idleMs` while
   * this waits), or `signal.reason` after an abort. After disposal: undefined.
   */
  async read(idleMs: number): Promise<Buffer | undefined> {
    const { request, clock } = this.#options
    using _watchdog = clock.after(idleMs, () =>
      this.#source.destroy(new KubeError('idle', `${request}: nothing arrived for ${idleMs / 1000} s`)),
    )
    try {
      const { done, value } = await this.#chunks.next()
      if (!done) return value
    } catch (error) {
      if (!this.#disposed) {
        this.#signal.throwIfAborted()
        throw errorFromConnection(error, request)
      }
    }
    this.#signal.throwIfAborted()
    return undefined
  }

  /** The rest of the body. Throws `unusable` if it is longer than `maxBytes`. */
  async readAll(idleMs: number, maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let length = 0
    for (let chunk = await this.read(idleMs); chunk !== undefined; chunk = await this.read(idleMs)) {
      length += chunk.length
      if (length > maxBytes) {
        throw new KubeError('unusable', `${this.#options.request}: the answer is longer than ${maxBytes} bytes`)
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, length)
  }

  /** True after disposal. */
  get disposed(): boolean {
    return this.#disposed
  }

  /** Ends the response if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#source.destroy()
  }
}

function decoded(body: Readable, { encoding, request }: ResponseBodyOptions): Readable {
  if (encoding === undefined || encoding === '' || encoding === 'identity') return body
  if (encoding === 'gzip') return pipeline(body, createGunzip({ chunkSize: 64 * 1024 }), ignore)
  body.on('error', ignore).destroy()
  throw new KubeError('unusable', `${request}: the answer has Content-Encoding ${encoding.slice(0, 40)}, not gzip`)
}

/** Errors are seen by the reader. */
function ignore(): void {}
