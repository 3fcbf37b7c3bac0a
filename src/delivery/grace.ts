import { addAbortListener } from 'node:events'
import type { Clock } from '../lib/clock.ts'

/** What a sink may take to settle once the worker has ended. A pod has 10 s for all of it. */
export const GRACE_MS = 3_000

/**
 * The outcome of a sink's work; or, when it has not settled `GRACE_MS` after `signal` aborted, a rejection with what is
 * made then: a sink that heeds no signal must not keep the process. Only for a signal after which nothing is sent any
 * more: work that is left behind may still land.
 */
export async function withGrace<T>(
  work: T | PromiseLike<T>,
  { clock, refusal }: { readonly clock: Clock; readonly refusal: () => Error },
  signal: AbortSignal,
): Promise<T> {
  const over = Promise.withResolvers<never>()
  let timer: Disposable | undefined
  const begin = () => {
    timer ??= clock.after(GRACE_MS, () => over.reject(refusal()))
  }
  using _ = signal.aborted ? undefined : addAbortListener(signal, begin)
  if (signal.aborted) begin()
  try {
    return await Promise.race([work, over.promise])
  } finally {
    timer?.[Symbol.dispose]()
  }
}
