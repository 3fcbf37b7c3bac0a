/** Randomness that a seed repeats: uids and generated names are the same in every run with the same seed. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** Uniform in [0, 1). Source: the mulberry32 generator. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Uniform in 0 to `limit - 1`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** A version 4 UUID. */
  uid(): string {
    const hex = this.#text('0123456789abcdef', 32)
    const variant = '89ab'.charAt(this.below(4))
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  /** Characters as the API server appends them to a `generateName`: no vowels, so no words. */
  nameSuffix(length = 5): string {
    return this.#text('bcdfghjklmnpqrstvwxz2456789', length)
  }

  #text(alphabet: string, length: number): string {
    let text = ''
    for (let index = 0; index < length; index++) text += alphabet.charAt(this.below(alphabet.length))
    return text
  }
}
