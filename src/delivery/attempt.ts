/** One call of a sink, with its time limit, and what came of it. */
import { addAbortListener } from 'node:events'
import type { Clock } from '../lib/clock.ts'
import { DeliveryError } from './errors.ts'
import { withGrace } from './grace.ts'
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

/**
 * Never rejects, whatever the sink does. Settles only after the sink has: when the time is up the sink is told so, but as
 * long as it does not settle the attempt may still land, and what follows would overtake it. After `signal`, which ends
 * the worker, nothing follows: then a sink that does not settle is left behind.
 */
export async function attempt(
  sink: Sink,
  batch: readonly OutboundEvent[],
  { name, timeoutMs, clock }: AttemptOptions,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const controller = new AbortController()
  using _parent = addAbortListener(signal, () => controller.abort(signal.reason))
  let timedOut = false
  using _timer = clock.after(timeoutMs, () => {
    timedOut = true
    controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError'))
  })
  const refusal = () => new DeliveryError('unavailable', `sink ${name} did not end an attempt when it was told to`)
  let answer: unknown
  try {
    answer = await withGrace(sink.deliver(batch, { signal: controller.signal }), { clock, refusal }, signal)
  } catch (error) {
    if (error instanceof DeliveryError) return { type: 'thrown', error, known: true }
    if (timedOut) {
      return { type: 'thrown', error: new DeliveryError('timeout', `no answer within ${timeoutMs} ms`), known: true }
    }
    // its message could hold anything, a payload too
    const what = error instanceof Error ? error.name : typeof error
    return unexpected(`sink ${name} threw an unexpected ${what}`, error)
  }
  const errors = new Map<number, DeliveryError>()
  if (!Array.isArray(answer))
    return unexpected(`sink ${name} answered with ${kindOf(answer)}, not with a list of failures`)
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

function unexpected(message: string, cause?: unknown): AttemptResult {
  return { type: 'thrown', error: new DeliveryError('failed', message, { cause }), known: false }
}

/** Never the text itself: it could be a payload. */
function kindOf(value: unknown): string {
  if (typeof value === 'number') return String(value)
  return value instanceof Error ? value.name : value === null ? 'null' : typeof value
}
