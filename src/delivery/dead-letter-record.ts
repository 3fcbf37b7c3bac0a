/** A dead letter as a record of a journal: a line of JSON, and behind it the event's data as it is. */
import type { DeadLetter } from './dead-letters.ts'
import type { OutboundEvent } from './sink.ts'

export type DeadLetterRecord =
  | { readonly type: 'letter'; readonly letter: DeadLetter }
  /** Those at these offsets are done with. */
  | { readonly type: 'removed'; readonly offsets: readonly number[] }

type Attributes = OutboundEvent['attributes']

interface LetterHead extends Omit<DeadLetter, 'event'> {
  readonly v: 1
  readonly event: Pick<OutboundEvent, 'attributes' | 'key' | 'stream' | 'kind' | 'supersedes'>
  /** What the event becomes if it does not fit. */
  readonly smallest?: { readonly attributes: Attributes; readonly data: string | undefined }
  readonly hasData: boolean
}

interface RemovedHead {
  readonly v: 1
  readonly removed: readonly number[]
}

const NEWLINE = 10

/**
 * At most `maxBytes`: if it must be, with the event in a smaller form. The closures of an event do not survive: of its
 * smaller forms the last one is kept.
 */
export function encodeLetter(letter: DeadLetter, maxBytes: number): Uint8Array {
  const { event, ...about } = letter
  const smallest = lastForm(event)
  const bytes = encode(event, smallest, about)
  return bytes.length <= maxBytes || !smallest ? bytes : encode(smallest, undefined, about)
}

function encode(
  event: OutboundEvent,
  smallest: OutboundEvent | undefined,
  about: Omit<DeadLetter, 'event'>,
): Uint8Array {
  const { attributes, key, stream, kind, supersedes, data } = event
  const head: LetterHead = {
    v: 1,
    ...about,
    event: { attributes, key, stream, kind, ...(supersedes && { supersedes }) },
    ...(smallest && { smallest: { attributes: smallest.attributes, data: smallest.data } }),
    hasData: data !== undefined,
  }
  return Buffer.from(`${JSON.stringify(head)}\n${data ?? ''}`)
}

function lastForm(event: OutboundEvent): OutboundEvent | undefined {
  let last: OutboundEvent | undefined
  for (let next = event.smaller?.(); next; next = next.smaller?.()) last = next
  return last
}

export function encodeRemoved(offsets: readonly number[]): Uint8Array {
  const head: RemovedHead = { v: 1, removed: offsets }
  return Buffer.from(`${JSON.stringify(head)}\n`)
}

/** Undefined: a record of another version, or of somebody else. The journal has checked that it is what was written. */
export function decodeRecord(payload: Uint8Array): DeadLetterRecord | undefined {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const end = bytes.indexOf(NEWLINE)
  const head = headOf(bytes.toString('utf8', 0, Math.max(0, end)))
  if (head?.v !== 1) return undefined
  if ('removed' in head) return { type: 'removed', offsets: head.removed }
  const { v: _, event, smallest, hasData, ...about } = head
  const data = hasData ? bytes.toString('utf8', end + 1) : undefined
  const dataBytes = hasData ? bytes.length - end - 1 : 0
  return { type: 'letter', letter: { ...about, event: { ...event, data, dataBytes, ...fallback(event, smallest) } } }
}

function headOf(line: string): LetterHead | RemovedHead | undefined {
  try {
    return JSON.parse(line) as LetterHead | RemovedHead // whoever writes version 1 writes this
  } catch {
    return undefined
  }
}

function fallback(event: LetterHead['event'], smallest: LetterHead['smallest']): Pick<OutboundEvent, 'smaller'> {
  if (!smallest) return {}
  const { attributes, data } = smallest
  const dataBytes = data === undefined ? 0 : Buffer.byteLength(data)
  return { smaller: () => ({ ...event, attributes, data, dataBytes }) }
}
