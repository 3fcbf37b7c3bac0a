import type { Dispatcher } from 'undici'
import type { Clock } from '../../src/delivery/sink.ts'

/** More of a body is not read. */
const BYTES = 4096
/** Nor longer. */
const TIME_MS = 1000
/** Nor of more answers at a time. */
const ANSWERS = 64

/**
 * What is left of an answer once its status and headers are in. It is read, because only then its connection can be used
 * again, but nobody waits for it: a body that is long, or does not end, costs its connection and no attempt.
 */
export class Leftovers implements Disposable {
  readonly #clock: Clock
  readonly #reading = new Set<AbortController>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async read(body: Dispatcher.ResponseData['body']): Promise<void> {
    const controller = new AbortController()
    this.#reading.add(controller)
    using _timer = this.#clock.after(TIME_MS, () => controller.abort())
    const read = body.dump({ limit: BYTES, signal: controller.signal })
    if (this.#reading.size > ANSWERS) controller.abort()
    await read.catch(() => undefined) // that it broke off changes nothing: the status has said it all
    this.#reading.delete(controller)
  }

  /** Closes the connections of what is not read yet. */
  [Symbol.dispose](): void {
    for (const controller of this.#reading) controller.abort()
  }
}
