/** Work of one key is done one after the other, in the order in which it came; of different keys at the same time. */
export class Turns {
  /** By key, what is last in line. A key that nobody waits for is forgotten. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** Resolves and rejects as `work` does, which begins when all before it has settled. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const turn = before.then(work)
    const settled = turn.catch(() => undefined) // whoever took the turn is told
    this.#last.set(key, settled)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key)
    }
  }
}
