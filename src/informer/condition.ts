import { addAbortListener } from 'node:events'

interface Waiter {
  readonly holds: () => boolean
  readonly resolve: () => void
}

/** Lets tasks wait until something holds. Whoever changes what the predicates read calls `notify`. */
export class Condition {
  readonly #waiters = new Set<Waiter>()

  /** Resolves once `holds()` is true, at once if it is already. Rejects with `signal.reason`. Leaves no listener behind. */
  wait(holds: () => boolean, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (holds()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const listener = addAbortListener(signal, () => {
        this.#waiters.delete(waiter)
        reject(signal.reason)
      })
      const waiter: Waiter = {
        holds,
        resolve: () => {
          listener[Symbol.dispose]()
          resolve()
        },
      }
      this.#waiters.add(waiter)
    })
  }

  notify(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.holds()) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }
}
