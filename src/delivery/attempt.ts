/** One call of a sink, with its time limit, and what came of it. */
import { addAbortListener } from 'node:events'
import type { Clock } from '../lib/clock.ts'
import { DeliveryError } from './errors.ts'
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
 * Never rejects. Settles only after the sink has: when the time is up the sink is told so, but as long as it does not
 * settle the attempt may still land, and what follows would overtake it.
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
  try {
    const failures = await sink.deliver(batch, { signal: controller.signal })
    const errors = new Map<number, DeliveryError>()
    for (const { index, error } of failures) {
      if (!batch[index]) throw new RangeError(`a failure names index ${index} of a batch of ${batch.length}`)
      errors.set(index, error)
    }
    return { type: 'answered', errors }
  } catch (error) {
    if (error instanceof DeliveryError) return { type: 'thrown', error, known: true }
    if (timedOut) {
      return { type: 'thrown', error: new DeliveryError('timeout', `no answer within ${timeoutMs} ms`), known: true }
    }
    // its message could hold anything, a payload too
    const what = error instanceof Error ? error.name : typeof error
    const message = `sink ${name} threw an unexpected ${what}`
    return { type: 'thrown', error: new DeliveryError('failed', message, { cause: error }), known: false }
  }
}
