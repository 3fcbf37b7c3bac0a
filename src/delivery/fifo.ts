/** First in, first out; each operation takes constant time on average. */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  /** Everything before it was taken; cut off once it is half of the array. */
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  /** First to last. */
  toArray(): T[] {
    return this.#items.slice(this.#head) as T[]
  }

  /** Takes out all others. Takes time in proportion to the length. */
  retain(keep: (item: T) => boolean): void {
    this.#items = this.toArray().filter(keep)
    this.#head = 0
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }
}
