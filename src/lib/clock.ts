/**
 * Time as a dependency: whoever waits or stamps takes a `Clock`, so that tests advance time instead of sleeping.
 * `ManualClock` (manual-clock.ts) is the one for tests.
 */
export interface Clock {
  /** Milliseconds that only go forward, also when the wall clock is set. For durations. */
  monotonic(): number
  /** The wall clock. For stamps that people read. */
  now(): Date
  /**
   * Calls `callback` once after `delayMs` (at once, but never synchronously, for 0 and less).
   * Disposing the result before that cancels it; disposing it later does nothing.
   */
  after(delayMs: number, callback: () => void): Disposable
}

/** The process's own clock. A pending `after` keeps the process alive. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  now: () => new Date(),
  after(delayMs, callback) {
    // setTimeout fires at once for delays above 2^31 - 1 ms
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), 2_147_483_647))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}
