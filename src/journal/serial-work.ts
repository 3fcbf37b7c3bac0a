/** Runs one piece of work after the other, in the order in which they were asked for. */
export class SerialWork {
  #last: Promise<unknown> = Promise.resolve()

  /** The outcome of `work`, which begins when all before it have ended, however they did. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined) // told to whoever asked for it
    return result
  }
}
