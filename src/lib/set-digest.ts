import { hash } from 'node:crypto'

const BITS = 256

/**
 * Digest of a set of texts: the sum modulo 2^256 of their SHA-256, so order does not matter and adding or removing one
 * costs one hash. Two equal digests mean equal sets, but for an adversary who may choose the texts.
 */
export class SetDigest {
  #sum = 0n

  add(text: string): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum + digest(text))
  }

  /** Undoes one `add` of the same text. */
  remove(text: string): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum - digest(text))
  }

  /** 64 lower-case hex digits. */
  toString(): string {
    return this.#sum.toString(16).padStart(BITS / 4, '0')
  }
}

function digest(text: string): bigint {
  return BigInt(`0x${hash('sha256', text, 'hex')}`)
}
