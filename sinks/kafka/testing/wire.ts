/**
 * The primitive types of the Kafka protocol, for brokers and clients of tests. Only what the classic (not the flexible)
 * versions of its messages use, and what records use. Source: "Kafka protocol guide", Protocol Primitive Types.
 */

/** Reads one after the other. Throws a RangeError beyond the end. */
export class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  int8(): number {
    return this.#bytes.readInt8(this.#skip(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#skip(4))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#skip(8))
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  string(): string {
    return this.take(this.int16()).toString('utf8')
  }

  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.take(length).toString('utf8')
  }

  bytes(): Buffer {
    return this.take(this.int32())
  }

  array<T>(item: () => T): readonly T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, item)
  }

  /** Null is another thing than an empty array: of topics it means all. */
  nullableArray<T>(item: () => T): readonly T[] | null {
    const length = this.int32()
    return length < 0 ? null : Array.from({ length }, item)
  }

  /** Zigzag, up to 64 bits. */
  varint(): number {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#bytes.readUInt8(this.#skip(1))
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) break
      if (shift > 56n) throw new RangeError('a variable-length integer has more than 64 bits')
    }
    return Number((value >> 1n) ^ -(value & 1n))
  }

  varBytes(): Buffer | null {
    const length = this.varint()
    return length < 0 ? null : this.take(length)
  }

  take(length: number): Buffer {
    const start = this.#skip(length)
    return this.#bytes.subarray(start, start + length)
  }

  #skip(length: number): number {
    if (length < 0 || length > this.left)
      throw new RangeError(`${length} bytes are announced at ${this.#at}, ${this.left} are left`)
    const start = this.#at
    this.#at += length
    return start
  }
}

/** Writes one after the other. */
export class Writer {
  readonly #parts: Buffer[] = []

  int8(value: number): this {
    return this.#fixed(1, (bytes) => bytes.writeInt8(value))
  }

  int16(value: number): this {
    return this.#fixed(2, (bytes) => bytes.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.#fixed(4, (bytes) => bytes.writeInt32BE(value))
  }

  int64(value: bigint): this {
    return this.#fixed(8, (bytes) => bytes.writeBigInt64BE(value))
  }

  boolean(value: boolean): this {
    return this.int8(Number(value))
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const text = Buffer.from(value)
    return this.int16(text.length).raw(text)
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value)
  }

  array<T>(items: readonly T[] | null, write: (writer: this, item: T) => unknown): this {
    this.int32(items === null ? -1 : items.length)
    for (const item of items ?? []) write(this, item)
    return this
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes)
    return this
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #fixed(length: number, write: (bytes: Buffer) => void): this {
    const bytes = Buffer.alloc(length)
    write(bytes)
    return this.raw(bytes)
  }
}
