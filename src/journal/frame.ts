/**
 * A frame: `u32 length, u32 CRC-32C of the payload, payload`, little-endian.
 *
 * Length 0 is invalid: the checksum of nothing is 0, so a tail of zeros would read as frames without end.
 */
import { crc32c } from './crc32c.ts'

export const HEADER_BYTES = 8

/** Stands where the rest of a segment was set aside: the log goes on in the next one. No frame has this length. */
export const HOLE: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x68, 0x6f, 0x6c, 0x65)

/** Whether the next thing in `bytes` is a hole. */
export function isHole(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, HEADER_BYTES), HOLE) === 0
}

/** Throws a RangeError for an empty payload. */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  if (payload.length === 0) throw new RangeError('a frame holds at least one byte')
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  frame.writeUInt32LE(payload.length, 0)
  frame.writeUInt32LE(crc32c(payload), 4)
  frame.set(payload, HEADER_BYTES)
  return frame
}

export interface Header {
  readonly length: number
  readonly checksum: number
}

/** Of the first bytes of `bytes`. Undefined: not enough of them, or a length that no frame has. */
export function decodeHeader(bytes: Uint8Array, maxPayloadBytes: number): Header | undefined {
  if (bytes.length < HEADER_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  const length = view.getUint32(0, true)
  return length > 0 && length <= maxPayloadBytes ? { length, checksum: view.getUint32(4, true) } : undefined
}

export function isIntact(payload: Uint8Array, { length, checksum }: Header): boolean {
  return payload.length === length && crc32c(payload) === checksum
}
