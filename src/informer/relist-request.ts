/** Somebody wants a stream to be listed again, although its watch is in order. */
export class RelistRequest {
  #isAsked = false
  #wake = () => {}

  ask(): void {
    this.#isAsked = true
    this.#wake()
  }

  /** Whether it was asked for. Then it is taken, and has to be asked for again. */
  take(): boolean {
    const isAsked = this.#isAsked
    this.#isAsked = false
    return isAsked
  }

  /** The promise's outcome; `asked` if it is asked for first. What waits for so long is nothing that lives longer. */
  async before<T>(promise: Promise<T>): Promise<T | 'asked'> {
    const asked = Promise.withResolvers<'asked'>()
    this.#wake = () => asked.resolve('asked')
    if (this.#isAsked) this.#wake()
    return await Promise.race([asked.promise, promise])
  }
}
