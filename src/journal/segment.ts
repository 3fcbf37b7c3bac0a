/** Files of a journal. Each is named by the offset of its first byte, so that an offset leads to its place. */
import type { DiskFile } from './disk.ts'
import { decodeHeader, HEADER_BYTES, isHole, isIntact } from './frame.ts'

/** One frame of the log, and where the one behind it begins. */
export interface Frame {
  readonly offset: number
  readonly payload: Uint8Array
  readonly next: number
}

/** A part of the log that is in one file, which begins at offset `first`. */
export interface Extent {
  readonly first: number
  readonly from: number
  readonly to: number
}

const DIGITS = 20
const CHUNK_BYTES = 2 ** 20

/** `00000000000000004096.log`. */
export function segmentName(first: number): string {
  return `${String(first).padStart(DIGITS, '0')}.log`
}

/** The offset in a segment's name; undefined for other files. */
export function firstOffsetOf(name: string): number | undefined {
  const [, digits] = /^(\d{20})\.log$/.exec(name) ?? []
  const first = Number(digits)
  return Number.isSafeInteger(first) ? first : undefined
}

/** Where the frames of an extent end, and why. */
export type ReadEnd =
  /** At its end. */
  | { readonly type: 'end'; readonly offset: number }
  /** What comes next in the segment was set aside. */
  | { readonly type: 'hole'; readonly offset: number }
  /** At a frame that is not whole. */
  | { readonly type: 'bad'; readonly offset: number }

/** The frames of an extent, many at a time; a payload stays as it is when the next ones are read. */
export async function* readFrames(
  file: DiskFile,
  { first, from, to }: Extent,
  maxPayloadBytes: number,
): AsyncGenerator<readonly Frame[], ReadEnd> {
  let offset = from
  let wanted = CHUNK_BYTES
  while (offset < to) {
    const chunk = new Uint8Array(Math.min(wanted, to - offset))
    const bytes = chunk.subarray(0, await file.read(chunk, offset - first))
    const { frames, rest, end } = framesIn(bytes, offset, maxPayloadBytes)
    if (frames.length > 0) yield frames
    offset += bytes.length - rest.length
    if (end) return { type: end, offset }
    const isCut = bytes.length < chunk.length || offset + rest.length >= to
    if (isCut) return { type: rest.length > 0 || offset < to ? 'bad' : 'end', offset }
    // it does not end in this chunk
    const size = HEADER_BYTES + (decodeHeader(rest, maxPayloadBytes)?.length ?? 0)
    wanted = Math.max(size, CHUNK_BYTES)
  }
  return { type: 'end', offset }
}

interface Parsed {
  readonly frames: readonly Frame[]
  /** Too little for a frame, or a good begin of one. */
  readonly rest: Uint8Array
  readonly end: 'hole' | 'bad' | undefined
}

function framesIn(bytes: Uint8Array, offset: number, maxPayloadBytes: number): Parsed {
  const frames: Frame[] = []
  let at = 0
  for (;;) {
    const rest = bytes.subarray(at)
    if (rest.length < HEADER_BYTES) return { frames, rest, end: undefined }
    if (isHole(rest)) return { frames, rest, end: 'hole' }
    const header = decodeHeader(rest, maxPayloadBytes)
    if (!header) return { frames, rest, end: 'bad' }
    const size = HEADER_BYTES + header.length
    if (rest.length < size) return { frames, rest, end: undefined }
    const payload = rest.subarray(HEADER_BYTES, size)
    if (!isIntact(payload, header)) return { frames, rest, end: 'bad' }
    frames.push({ offset: offset + at, payload, next: offset + at + size })
    at += size
  }
}
