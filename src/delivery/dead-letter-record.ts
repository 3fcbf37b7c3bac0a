/** A dead letter as a record of a journal. */
import type { DeadLetter } from './dead-letters.ts'
import { decodeEvent, type EventHead, encodeEvent, encodeLine, readRecord } from './event-record.ts'

export type DeadLetterRecord =
  | { readonly type: 'letter'; readonly letter: DeadLetter }
  /** Those at these offsets are done with. */
  | { readonly type: 'removed'; readonly offsets: readonly number[] }

interface LetterHead extends Omit<DeadLetter, 'event'>, EventHead {
  readonly v: 1
}

interface RemovedHead {
  readonly v: 1
  readonly removed: readonly number[]
}

/** At most `maxBytes`, see `encodeEvent`. */
export function encodeLetter(letter: DeadLetter, maxBytes: number): Uint8Array {
  const { event, ...about } = letter
  return encodeEvent({ v: 1, ...about }, event, maxBytes)
}

export function encodeRemoved(offsets: readonly number[]): Uint8Array {
  const head: RemovedHead = { v: 1, removed: offsets }
  return encodeLine(head)
}

/** Undefined: a record of another version, or of somebody else. The journal has checked that it is what was written. */
export function decodeRecord(payload: Uint8Array): DeadLetterRecord | undefined {
  const record = readRecord(payload)
  const head = record.head as LetterHead | RemovedHead | undefined // whoever writes version 1 writes this
  if (head?.v !== 1) return undefined
  if ('removed' in head) return { type: 'removed', offsets: head.removed }
  const { v: _v, event: _event, smallest: _smallest, hasData: _hasData, ...about } = head
  return { type: 'letter', letter: { ...about, event: decodeEvent(head, record.data) } }
}
