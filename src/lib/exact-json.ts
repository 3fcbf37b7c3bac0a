/**
 * JSON without loss: a number that a double cannot hold, such as the 64-bit integers of custom resources, keeps its
 * digits from parsing to stringifying. Source: TC39 "JSON.parse source text access".
 */
declare global {
  interface JSON {
    rawJSON(text: string): object
    isRawJSON(value: unknown): boolean
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown
  }
}

/** A number with fewer characters is exact as a double. */
const LONG = 16
const DOT = 0x2e
const isNumeral = (byte: number | undefined) => byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || byte === DOT)

/**
 * As `JSON.parse`, but a number that would change comes as an opaque value that `JSON.stringify` writes as it was.
 * Throws a SyntaxError, which quotes the text.
 */
export function parseExactly(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  return hasLongNumber(bytes) ? JSON.parse(text, exactly) : JSON.parse(text)
}

/** Whether the value stands for a number that a double cannot hold. */
export function isExactNumber(value: unknown): boolean {
  // asked of every object and list: almost none has no prototype, as raw JSON always has, and asking the engine takes 40 ns
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null && JSON.isRawJSON(value)
}

function exactly(_: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || source === undefined) return value
  return Number.isSafeInteger(value) || String(value) === source ? value : JSON.rawJSON(source)
}

/** Looks at every sixteenth byte: a run of sixteen numerals cannot hide between. Texts in strings count: they are rare. */
function hasLongNumber(bytes: Uint8Array): boolean {
  for (let probe = LONG - 1; probe < bytes.length; probe += LONG) {
    if (!isNumeral(bytes[probe])) continue
    let first = probe
    while (isNumeral(bytes[first - 1])) first--
    let last = probe
    while (isNumeral(bytes[last + 1])) last++
    if (last - first + 1 >= LONG) return true
  }
  return false
}
