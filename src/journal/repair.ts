/** What is done to the last segment before a journal is used: only there can a crash have left half of something. */
import type { Loss } from './cursor.ts'
import type { Damage } from './damage.ts'
import type { DiskFile } from './disk.ts'
import { decodeHeader, HEADER_BYTES, HOLE, isIntact } from './frame.ts'
import { readFrames } from './segment.ts'
import type { Segments } from './segments.ts'

export interface Repaired {
  /** Where the log ends. */
  readonly end: number
  readonly damage: readonly Damage[]
}

/**
 * Cuts the last segment off behind its last whole frame. What was damaged later than it was written is set aside, once
 * `noteLoss` has resolved.
 */
export async function repair(
  segments: Segments,
  maxPayloadBytes: number,
  noteLoss: (loss: Loss) => Promise<void>,
): Promise<Repaired> {
  const first = segments.list.at(-1)
  if (first === undefined) return { end: 0, damage: [] }
  const path = segments.fileOf(first)
  const file = await segments.disk.open(path, 'write')
  try {
    const to = first + (await file.size())
    const reading = readFrames(file, { first, from: first, to }, maxPayloadBytes)
    let read = await reading.next()
    while (!read.done) read = await reading.next()
    const { type, offset } = read.value
    if (type === 'end') return { end: offset, damage: [] }
    if (type === 'hole') return { end: offset + HOLE.length, damage: [] }
    if (await isTorn(file, offset - first, maxPayloadBytes)) {
      await file.truncate(offset - first)
      await file.sync()
      return { end: offset, damage: [{ type: 'torn', file: path, offset, bytes: to - offset }] }
    }
    await noteLoss({ from: offset, to })
    const setAside = await segments.setAside(first, offset, 'keep-later')
    return { end: offset + HOLE.length, damage: [{ type: 'corrupt', file: path, offset, to, setAside }] }
  } finally {
    await file.close()
  }
}

/**
 * Whether an append that did not come to its end can have left this: a frame that is longer than what is there, or
 * zeros, which is what a file system leaves where a file grew and its content was not written. Not if a whole frame
 * stands behind it: then its length is what has changed.
 */
async function isTorn(file: DiskFile, position: number, maxPayloadBytes: number): Promise<boolean> {
  const left = (await file.size()) - position
  const head = new Uint8Array(HEADER_BYTES)
  const header = decodeHeader(head.subarray(0, await file.read(head, position)), maxPayloadBytes)
  if (left < HEADER_BYTES) return true
  const chunk = new Uint8Array(CHUNK_BYTES + HEADER_BYTES + SOUGHT_BYTES)
  const isLonger = header !== undefined && header.length > left - HEADER_BYTES
  for (let at = position; ; at += CHUNK_BYTES) {
    const bytes = chunk.subarray(0, await file.read(chunk, at))
    const isZero = bytes.every((byte) => byte === 0)
    if (!isZero && (!isLonger || holdsFrame(bytes))) return false
    if (bytes.length < chunk.length) return true
  }
}

/** Whether a whole frame begins in the first `CHUNK_BYTES`. Long ones are not looked for: that is quadratic. */
function holdsFrame(bytes: Uint8Array): boolean {
  for (let at = 0; at < Math.min(bytes.length - HEADER_BYTES, CHUNK_BYTES); at++) {
    const header = decodeHeader(bytes.subarray(at, at + HEADER_BYTES), SOUGHT_BYTES)
    const payload = at + HEADER_BYTES
    if (header && isIntact(bytes.subarray(payload, payload + header.length), header)) return true
  }
  return false
}

const CHUNK_BYTES = 2 ** 16
const SOUGHT_BYTES = 2 ** 16
