import { hash } from 'node:crypto'

const FIRST_SLOTS = 1 << 12
/** 32-bit words of a fingerprint. */
const WORDS = 4

/**
 * Which texts were seen, in 22 to 64 bytes for each, however long they are: their SHA-256, cut to 128 bits. Two texts are taken
 * for one with a chance of 1 in 10^26 among a million.
 */
export class Seen {
  /** Open addressing: a slot of zeros is free, and at most three in four are taken. */
  #slots = new Uint32Array(FIRST_SLOTS * WORDS)
  #size = 0
  /** Of the text that is looked at. */
  readonly #fingerprint = new Uint32Array(WORDS)

  /** Whether it is new. */
  add(text: string): boolean {
    const digest = hash('sha256', text, 'hex')
    for (let word = 0; word < WORDS; word++)
      this.#fingerprint[word] = Number(`0x${digest.slice(word * 8, word * 8 + 8)}`)
    if (!insert(this.#slots, this.#fingerprint, 0)) return false
    this.#size++
    if (this.#size * WORDS * 4 > this.#slots.length * 3) this.#grow()
    return true
  }

  #grow(): void {
    const larger = new Uint32Array(this.#slots.length * 2)
    for (let slot = 0; slot < this.#slots.length; slot += WORDS) {
      if (!isFree(this.#slots, slot)) insert(larger, this.#slots, slot)
    }
    this.#slots = larger
  }
}

/** False if it is there already. */
function insert(slots: Uint32Array, from: Uint32Array, at: number): boolean {
  const count = slots.length / WORDS // a power of two
  for (let slot = ((from[at] ?? 0) & (count - 1)) * WORDS; ; slot = (slot + WORDS) % slots.length) {
    if (isFree(slots, slot)) {
      slots.set(from.subarray(at, at + WORDS), slot)
      return true
    }
    if (isSame(slots, slot, from, at)) return false
  }
}

function isFree(slots: Uint32Array, slot: number): boolean {
  return slots[slot] === 0 && slots[slot + 1] === 0 && slots[slot + 2] === 0 && slots[slot + 3] === 0
}

function isSame(a: Uint32Array, at: number, b: Uint32Array, from: number): boolean {
  for (let word = 0; word < WORDS; word++) if (a[at + word] !== b[from + word]) return false
  return true
}
