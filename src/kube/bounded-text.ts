import { nestsDeeper, StringCollector } from './json-strings.ts'
import type { UnreadReason } from './object.ts'

/** What one object may be; checked on its bytes, before anything parses them. */
export interface ObjectLimits {
  /** Length of an object as JSON, in bytes. @default 4 MiB */
  readonly frameBytes: number
  /** Nesting of arrays and objects. @default 512 */
  readonly depth: number
}

export const defaultLimits: ObjectLimits = { frameBytes: 4 * 1024 * 1024, depth: 512 }

/** One JSON text: its bytes, or if it exceeds a limit, the strings that identify it. `length` is that of the whole text. */
export type BoundedText =
  | { readonly type: 'Whole'; readonly bytes: Buffer; readonly length: number }
  | {
      readonly type: 'Oversized'
      readonly reason: UnreadReason
      readonly strings: ReadonlyMap<string, string>
      readonly length: number
    }

/**
 * Collects one JSON text after the other from the pieces in which they arrive. Never holds more than `frameBytes`:
 * from there on a text is only read for the strings at `paths`.
 */
export class TextCollector {
  #parts: Buffer[] = []
  #length = 0
  #strings: StringCollector | undefined
  readonly #limits: ObjectLimits
  readonly #paths: readonly string[]

  constructor(limits: ObjectLimits, paths: readonly string[]) {
    this.#limits = limits
    this.#paths = paths
  }

  /** Bytes of the present text so far. */
  get length(): number {
    return this.#length
  }

  /** Keeps a reference to `part`. */
  append(part: Buffer): void {
    if (part.length === 0) return
    this.#length += part.length
    if (this.#strings === undefined) {
      this.#parts.push(part)
      if (this.#length <= this.#limits.frameBytes) return
      this.#strings = new StringCollector(this.#paths)
      for (const held of this.#parts) this.#strings.push(held)
      this.#parts = []
    } else this.#strings.push(part)
  }

  /** The text that ends here; the next `append` begins another. */
  take(): BoundedText {
    const [parts, length, strings] = [this.#parts, this.#length, this.#strings]
    this.#parts = []
    this.#length = 0
    this.#strings = undefined
    if (strings !== undefined) return { type: 'Oversized', reason: 'size', strings: strings.found, length }
    const [first = Buffer.alloc(0)] = parts
    const bytes = parts.length > 1 ? Buffer.concat(parts, length) : first
    if (!nestsDeeper(bytes, this.#limits.depth)) return { type: 'Whole', bytes, length }
    const collector = new StringCollector(this.#paths)
    collector.push(bytes)
    return { type: 'Oversized', reason: 'depth', strings: collector.found, length }
  }
}
