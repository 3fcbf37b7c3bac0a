/** An event that waits on disk, as a record of a journal. */
import { decodeEvent, type EventHead, encodeEvent, readRecord } from './event-record.ts'
import type { OutboundEvent } from './sink.ts'

export interface SpoolRecord {
  readonly event: OutboundEvent
  /** When it was offered, in ms since 1970. */
  readonly at: number
}

interface SpoolHead extends EventHead {
  readonly v: 1
  readonly at: number
  /** Of an `end`: what goes out in its place once the process has ended that counted for it. */
  readonly aborted?: Pick<OutboundEvent, 'attributes' | 'key' | 'kind' | 'data' | 'dataBytes'>
}

export const RESTARTED = 'the bridge was restarted before this snapshot had ended'

export function encodeSpooled(event: OutboundEvent, at: number, maxBytes: number): Uint8Array {
  const { attributes, key, kind, data, dataBytes } = event.aborted?.(RESTARTED) ?? event
  const aborted = event.aborted && { aborted: { attributes, key, kind, data, dataBytes } }
  return encodeEvent({ v: 1, at, ...aborted }, event, maxBytes)
}

/** Undefined: a record of another version. */
export function decodeSpooled(payload: Uint8Array): SpoolRecord | undefined {
  const record = readRecord(payload)
  const head = record.head as SpoolHead | undefined // whoever writes version 1 writes this
  if (head?.v !== 1) return undefined
  const event = decodeEvent(head, record.data)
  const { at, aborted } = head
  if (!aborted) return { event, at }
  const { stream } = event
  const instead = (): OutboundEvent => ({ ...aborted, data: aborted.data, stream })
  return { event: { ...event, final: instead, aborted: instead }, at }
}

/** What has to be known of a record before its turn: `decodeSpooled` without the data. */
export function headOf(payload: Uint8Array): EventHead['event'] | undefined {
  const head = readRecord(payload).head as SpoolHead | undefined
  return head?.v === 1 ? head.event : undefined
}
