/** Calls of a sink, each with its time limit, and what came of it. */
import { addAbortListener } from 'node:events'
import type { Clock } from '../lib/clock.ts'
import { DeliveryError } from './errors.ts'
import { GRACE_MS } from './grace.ts'
import type { OutboundEvent, Sink } from './sink.ts'

export type AttemptResult =
  /** By index in the batch, why an event failed; all others are delivered. */
  | { readonly type: 'answered'; readonly errors: ReadonlyMap<number, DeliveryError> }
  /** The whole batch failed. `known`: the sink said why; otherwise it threw something unexpected. */
  | { readonly type: 'thrown'; readonly error: DeliveryError; readonly known: boolean }

export interface AttemptOptions {
  readonly name: string
  readonly timeoutMs: number
  readonly clock: Clock
}

/** The attempts of one worker at one sink. `signal` ends the worker: it aborts all of them, and begins their grace. */
export class Attempts {
  readonly #sink: Sink
  readonly #options: AttemptOptions
  readonly #signal: AbortSignal
  /**
   * Ends an attempt with the worker. They share one listener to its signal: each time one is added all are looked
   * through, so that the cost of an attempt would grow with how many are under way.
   */
  readonly #underWay = new Set<() => void>()

  constructor(sink: Sink, { name, timeoutMs, clock }: AttemptOptions, signal: AbortSignal) {
    this.#sink = sink
    this.#options = { name, timeoutMs, clock }
    this.#signal = signal
    addAbortListener(signal, () => {
      for (const end of this.#underWay) end()
    })
  }

  /**
   * Never rejects, whatever the sink does. Settles only after the sink has: when the time is up the sink is told so, but
   * as long as it does not settle the attempt may still land, and what follows would overtake it. Once the worker has
   * ended, nothing follows: then a sink that does not settle within `GRACE_MS` is left behind.
   */
  async attempt(batch: readonly OutboundEvent[]): Promise<AttemptResult> {
    const { name, timeoutMs, clock } = this.#options
    const controller = new AbortController()
    const outcome = Promise.withResolvers<unknown>()
    let grace: Disposable | undefined
    const end = () => {
      controller.abort(this.#signal.reason)
      grace = clock.after(GRACE_MS, () => {
        outcome.reject(new DeliveryError('unavailable', `sink ${name} did not end an attempt when it was told to`))
      })
    }
    let timedOut = false
    using _timer = clock.after(timeoutMs, () => {
      timedOut = true
      controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError'))
    })
    this.#underWay.add(end)
    try {
      if (this.#signal.aborted) end()
      const delivery: unknown = this.#sink.deliver(batch, { signal: controller.signal })
      Promise.resolve(delivery).then(outcome.resolve, outcome.reject)
      return judged(await outcome.promise, batch, name)
    } catch (error) {
      if (error instanceof DeliveryError) return { type: 'thrown', error, known: true }
      if (timedOut) {
        return { type: 'thrown', error: new DeliveryError('timeout', `no answer within ${timeoutMs} ms`), known: true }
      }
      // its message could hold anything, a payload too
      const what = error instanceof Error ? error.name : typeof error
      return unexpected(`sink ${name} threw an unexpected ${what}`, error)
    } finally {
      this.#underWay.delete(end)
      grace?.[Symbol.dispose]()
    }
  }
}

/** What a sink answered, which may be anything. */
function judged(answer: unknown, batch: readonly OutboundEvent[], name: string): AttemptResult {
  if (!Array.isArray(answer)) {
    return unexpected(`sink ${name} answered with ${kindOf(answer)}, not with a list of failures`)
  }
  if (answer.length === 0) return allDelivered
  const errors = new Map<number, DeliveryError>()
  for (const failure of answer) {
    const { index, error } = Object(failure)
    if (!batch[index]) {
      return unexpected(`sink ${name} answered with a failure of index ${kindOf(index)} in a batch of ${batch.length}`)
    }
    if (!(error instanceof DeliveryError)) {
      return unexpected(`sink ${name} answered with a failure whose error is no DeliveryError, but ${kindOf(error)}`)
    }
    errors.set(index, error)
  }
  return { type: 'answered', errors }
}

const allDelivered: AttemptResult = { type: 'answered', errors: new Map() }

function unexpected(message: string, cause?: unknown): AttemptResult {
  return { type: 'thrown', error: new DeliveryError('failed', message, { cause }), known: false }
}

/** Never the text itself: it could be a payload. */
function kindOf(value: unknown): string {
  if (typeof value === 'number') return String(value)
  return value instanceof Error ? value.name : value === null ? 'null' : typeof value
}
