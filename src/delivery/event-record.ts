/** An event as a record of a journal: a line of JSON, and behind it the event's data as it is. */
import type { OutboundEvent } from './sink.ts'

type Attributes = OutboundEvent['attributes']

/** What the line says of the event, besides what else it says. */
export interface EventHead {
  readonly event: Pick<OutboundEvent, 'attributes' | 'key' | 'stream' | 'kind' | 'supersedes'>
  /** What the event becomes if it does not fit. */
  readonly smallest?: { readonly attributes: Attributes; readonly data: string | undefined }
  readonly hasData: boolean
}

/** A record as it is read, whatever it is of. */
export interface ReadRecord {
  /** Whoever writes a version knows what is in it; undefined if it is no JSON. */
  readonly head: unknown
  readonly data: Buffer
}

const NEWLINE = 10

/**
 * At most `maxBytes`: if it must be, with the event in a smaller form. The closures of an event do not survive: of its
 * smaller forms the last one is kept.
 */
export function encodeEvent(about: object, event: OutboundEvent, maxBytes: number): Uint8Array {
  const smallest = lastForm(event)
  const bytes = encode(about, event, smallest)
  return bytes.length <= maxBytes || !smallest ? bytes : encode(about, smallest, undefined)
}

/** A record of nothing but a line. */
export function encodeLine(head: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(head)}\n`)
}

export function readRecord(payload: Uint8Array): ReadRecord {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const end = bytes.indexOf(NEWLINE)
  return { head: parse(bytes.toString('utf8', 0, Math.max(0, end))), data: bytes.subarray(end + 1) }
}

export function decodeEvent({ event, smallest, hasData }: EventHead, data: Buffer): OutboundEvent {
  const text = hasData ? data.toString('utf8') : undefined
  return { ...event, data: text, dataBytes: hasData ? data.length : 0, ...fallback(event, smallest) }
}

function encode(about: object, event: OutboundEvent, smallest: OutboundEvent | undefined): Uint8Array {
  const { attributes, key, stream, kind, supersedes, data } = event
  const head: EventHead = {
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

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function fallback(event: EventHead['event'], smallest: EventHead['smallest']): Pick<OutboundEvent, 'smaller'> {
  if (!smallest) return {}
  const { attributes, data } = smallest
  const dataBytes = data === undefined ? 0 : Buffer.byteLength(data)
  return { smaller: () => ({ ...event, attributes, data, dataBytes }) }
}
