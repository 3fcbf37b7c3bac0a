/**
 * Writes events to the process's standard output: one structured CloudEvent a line (NDJSON), or one readable line each.
 * Logs are on standard error, so the output can be piped.
 */
import {
  type DeliverContext,
  DeliveryError,
  defineSink,
  type Failure,
  type OutboundEvent,
  type Sink,
  type SinkContext,
  structured,
  structuredSize,
} from '../../src/delivery/sink.ts'
import { abortable } from '../../src/lib/abort.ts'
import { InFlight } from '../../src/lib/in-flight.ts'
import type { Infer } from '../../src/lib/json-schema.ts'
import { pretty } from './pretty.ts'

export const schema = {
  type: 'object',
  properties: {
    format: {
      enum: ['ndjson', 'pretty'],
      default: 'ndjson',
      description: 'ndjson: one structured CloudEvent a line. pretty: one line for people.',
    },
    color: {
      enum: ['auto', 'always', 'never'],
      default: 'auto',
      description: 'Colours of the pretty format. auto: on a terminal.',
    },
  },
} as const

type Config = Infer<typeof schema>

const MiB = 2 ** 20

/** Delivered means: the operating system has taken the line. */
export const sink = defineSink({
  type: 'stdout',
  schema,
  limits: () => ({
    maxEventBytes: 16 * MiB,
    maxBatchEvents: 1000,
    maxBatchBytes: 16 * MiB,
    sizeOf: ({ attributes, data, dataBytes }) =>
      structuredSize(attributes, data === undefined ? undefined : dataBytes) + 1,
    sameKeyInBatch: true,
    concurrency: 1,
  }),
  create: (config, context) => new Stdout(config, context),
})

class Stdout implements Sink {
  readonly #stream: NodeJS.WritableStream
  readonly #line: (event: OutboundEvent) => string
  /** The write that the operating system has not taken yet; never rejects. */
  #writing: Promise<void> | undefined
  readonly #deliveries = new InFlight()
  #disposed = false

  constructor({ format, color }: Config, { stdout, clock }: SinkContext) {
    this.#stream = stdout
    const colors = color === 'always' || (color === 'auto' && 'isTTY' in stdout && stdout.isTTY === true)
    this.#line = format === 'pretty' ? (event) => pretty(event, { colors, now: clock.now() }) : ndjson
    this.#stream.on('error', toldByWrite)
  }

  connect(): Promise<void> {
    return Promise.resolve()
  }

  async deliver(batch: readonly OutboundEvent[], { signal }: DeliverContext): Promise<readonly Failure[]> {
    if (batch.length === 0) return []
    await this.#deliveries.track(this.#deliver(batch, signal))
    return []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#deliveries.settled()
    // a write that was given up may still fail, later
    void (this.#writing ?? Promise.resolve()).then(() => this.#stream.off('error', toldByWrite))
  }

  /** On a pipe `write` never blocks but buffers without end: nothing is written before the last write is through. */
  async #deliver(batch: readonly OutboundEvent[], signal: AbortSignal): Promise<void> {
    while (this.#writing !== undefined) await patiently(this.#writing, signal)
    signal.throwIfAborted()
    if (this.#disposed) throw new DeliveryError('unavailable', 'standard output is not written to any more')
    const error = await patiently(this.#write(`${batch.map(this.#line).join('\n')}\n`), signal)
    if (error) throw error
  }

  #write(text: string): Promise<DeliveryError | undefined> {
    const written = new Promise<DeliveryError | undefined>((resolve) => {
      this.#stream.write(text, (error) => resolve(error ? failure(error) : undefined))
    })
    this.#writing = written.then(() => {
      this.#writing = undefined
    })
    return written
  }
}

/** Nobody reads: that is about the output, not about these events. */
async function patiently<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await abortable(promise, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    throw new DeliveryError('unavailable', 'standard output takes no more data', { cause: error })
  }
}

function failure(error: Error): DeliveryError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return new DeliveryError('unavailable', `standard output cannot be written to: ${code}`, { cause: error })
}

function ndjson({ attributes, data }: OutboundEvent): string {
  return structured(attributes, data)
}

/** Without a listener a closed pipe would end the process; the callback of the write tells of it. */
function toldByWrite(): void {}
