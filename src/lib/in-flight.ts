/** Work that is under way, for who must not end before it has: what is disposed waits for it. */
export class InFlight {
  readonly #work = new Set<Promise<unknown>>()

  /** Settles as `work` does. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work)
    try {
      return await work
    } finally {
      this.#work.delete(work)
    }
  }

  /** Resolves when all that is tracked now has settled, however that ended: whoever tracks it is told. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#work)
  }
}
