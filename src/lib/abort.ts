import { addAbortListener } from 'node:events'
import type { Clock } from './clock.ts'

/**
 * Resolves after `delayMs`; rejects with `signal.reason` as soon as the signal aborts.
 * Leaves neither timer nor listener behind.
 */
export function sleep(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const listener = addAbortListener(signal, () => {
      timer[Symbol.dispose]()
      reject(signal.reason)
    })
    const timer = clock.after(delayMs, () => {
      listener[Symbol.dispose]()
      resolve()
    })
  })
}

/**
 * The promise's outcome, or a rejection with `signal.reason` if the signal aborts first.
 * The work behind `promise` goes on; a later rejection of it is swallowed because nobody waits for it any more.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {})
    throw signal.reason
  }
  const aborted = Promise.withResolvers<never>()
  using _ = addAbortListener(signal, () => aborted.reject(signal.reason))
  return await Promise.race([promise, aborted.promise])
}

/** Runs `work` with a signal that aborts with the parent or after `timeoutMs` (with a `TimeoutError`). */
export async function withTimeout<T>(
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  using _parent = addAbortListener(signal, () => controller.abort(signal.reason))
  using _timer = clock.after(timeoutMs, () =>
    controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')),
  )
  return await work(controller.signal)
}
