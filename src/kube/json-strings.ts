/**
 * Reads JSON byte by byte without building values: how deep it nests, and the few strings by which an object is known.
 * Iterative and of constant size, so that neither a nesting of 100,000 nor a length of a gigabyte hurts.
 */

export const QUOTE = 0x22
export const BACKSLASH = 0x5c
const COLON = 0x3a
/** `[` and `{` differ in one bit, and so do `]` and `}`. */
export const isOpener = (byte: number): boolean => (byte & 0xdf) === 0x5b
export const isCloser = (byte: number): boolean => (byte & 0xdf) === 0x5d
const OPEN_BRACE = 0x7b

/** True if arrays and objects nest deeper than `limit`: `[[1]]` has depth 2. About 0.6 ns per byte, or 2 if it may. */
export function nestsDeeper(bytes: Uint8Array, limit: number): boolean {
  // what opens has to close, or it is no JSON at all
  if (bytes.length <= 2 * limit || !hasMoreOpeners(bytes, limit)) return false
  let depth = 0
  let inString = false
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0
    if (inString) {
      if (byte === BACKSLASH) index++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (isOpener(byte)) {
      if (++depth > limit) return true
    } else if (isCloser(byte)) depth--
  }
  return false
}

/**
 * Whether more than `limit` bytes may be openers, those in strings included: most objects have fewer, and this looks at
 * four bytes at a time. A byte that follows an opener may be counted as one, but none is missed.
 */
function hasMoreOpeners(bytes: Uint8Array, limit: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const inWords = bytes.length - (bytes.length % 4)
  let openers = bytes.length - inWords
  for (let index = 0; index < inWords; index += 4) {
    // zero where an opener stands; then the highest bit of each zero, as in "Bit Twiddling Hacks", haszero
    const zeros = (view.getInt32(index) & 0xdfdfdfdf) ^ 0x5b5b5b5b
    for (let bits = (zeros - 0x01010101) & ~zeros & 0x80808080; bits !== 0; bits &= bits - 1) openers++
  }
  return openers > limit
}

/** A longer string is no identity; it is left out. */
const MAX_STRING_BYTES = 1024

/** Collects the strings at the given paths (`metadata.name`) of a JSON object that arrives in pieces. The first one wins. */
export class StringCollector {
  readonly found = new Map<string, string>()
  readonly #paths: ReadonlySet<string>
  readonly #maxDepth: number
  /** By depth: the present key of that object, or `undefined` in an array. */
  readonly #keys: (string | undefined)[] = []
  #depth = 0
  #inString = false
  #escaped = false
  /** Raw bytes of the string being read, if it may be a key or value that counts. */
  #text: number[] | undefined
  #last: string | undefined
  /** In an object: the next string is a value. */
  #isValue = false

  constructor(paths: readonly string[]) {
    this.#paths = new Set(paths)
    this.#maxDepth = Math.max(...paths.map((path) => path.split('.').length))
  }

  push(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (this.#inString) this.#stringByte(byte)
      else if (byte === QUOTE) this.#openString()
      else if (isOpener(byte)) this.#open(byte)
      else if (isCloser(byte)) {
        this.#depth--
        this.#isValue = true
      } else if (byte === COLON) this.#colon()
      else if (byte === 0x2c) this.#isValue = false
    }
  }

  #open(byte: number): void {
    this.#depth++
    this.#isValue = false
    // '' is a key that no path has: what is inside an array is never collected
    if (this.#depth <= this.#maxDepth) this.#keys[this.#depth] = byte === OPEN_BRACE ? undefined : ''
  }

  #openString(): void {
    this.#inString = true
    this.#text = this.#depth <= this.#maxDepth ? [] : undefined
  }

  #stringByte(byte: number): void {
    if (!this.#escaped && byte === QUOTE) {
      this.#closeString()
      return
    }
    this.#escaped = !this.#escaped && byte === BACKSLASH
    this.#text?.push(byte)
    if (this.#text !== undefined && this.#text.length > MAX_STRING_BYTES) this.#text = undefined
  }

  #closeString(): void {
    this.#inString = false
    const text = this.#text
    this.#text = undefined
    this.#last = text === undefined ? undefined : decode(text)
    if (!this.#isValue || this.#last === undefined) return
    const path = this.#keys.slice(1, this.#depth + 1).join('.')
    if (this.#paths.has(path) && !this.found.has(path)) this.found.set(path, this.#last)
  }

  #colon(): void {
    // a key that holds a dot must not look like a path
    const key = this.#last === undefined || this.#last.includes('.') ? '' : this.#last
    if (this.#depth <= this.#maxDepth) this.#keys[this.#depth] = key
    this.#isValue = true
  }
}

function decode(raw: readonly number[]): string | undefined {
  try {
    return JSON.parse(`"${Buffer.from(raw).toString('utf8')}"`) as string
  } catch {
    return undefined // not JSON: whoever needs the string misses it
  }
}
