/** What is persisted of streams, as facts: each says how something is now, so the last one of its kind holds. */
import type { Resource, ResourceVersion, Uid } from '../kube/object.ts'

/** Why a sink is owed a catch-up: deletes of what it should no longer hold, then a full snapshot. */
export type DebtKind =
  /** It is new to the stream, so it holds nothing. */
  | 'new'
  /** It missed something: its queue overflowed, its view was redefined, or its position is no longer known. */
  | 'missed'
  /** The server began another history: ids and sequences from before mean nothing. */
  | 'restored'

/** A sink of a stream, and the hash of what it sees of it. */
export interface SinkOfStream {
  readonly name: string
  readonly view: string
}

/**
 * What sinks may hold of an object.
 * Bits: 1 << index of the sink in the stream's list of sinks.
 */
export interface LedgerEntry {
  /** `<namespace>/<name>`, or `<name>`. Two uids may share one while the end of the older one is not settled. */
  readonly key: string
  /** The newest version that all required sinks have settled; undefined while there is none. */
  told: ResourceVersion | undefined
  /** Sinks that this object was, or is about to be, offered to, and that were not told of its end. */
  may: number
  /** Sinks that have settled a version of it. */
  has: number
}

/** Sinks per stream that a ledger can tell apart: bits of an integer. */
export const MOST_SINKS = 31

export type StateRecord =
  /** The stream, as it is defined now. Bits of entries before it are those of the sinks as they were listed before. */
  | {
      readonly type: 'stream'
      readonly stream: string
      readonly definition: string
      readonly sinks: readonly SinkOfStream[]
      /** What its objects are: once it is not served any more, nobody else knows. */
      readonly resource?: Resource
    }
  | ({ readonly type: 'entry'; readonly stream: string; readonly uid: Uid } & Readonly<LedgerEntry>)
  /** No sink holds it any more. */
  | { readonly type: 'gone'; readonly stream: string; readonly uid: Uid }
  /** Everything up to here is settled for this sink. */
  | {
      readonly type: 'watermark'
      readonly stream: string
      readonly sink: string
      readonly position: ResourceVersion
    }
  | { readonly type: 'debt'; readonly stream: string; readonly sink: string; readonly kind: DebtKind | undefined }
  /** The server began another history: positions and versions from before mean nothing. What sinks may hold, they may. */
  | { readonly type: 'restored'; readonly stream: string }

/** As JSON: an array with a letter for the type, without names, because there are hundreds of thousands of them. */
type Encoded =
  | readonly ['s', string, string, readonly (readonly [string, string])[], (Resource | null)?]
  | readonly ['e', string, string, string, string | null, number, number]
  | readonly ['g', string, string]
  | readonly ['w', string, string, string]
  | readonly ['d', string, string, DebtKind | null]
  | readonly ['r', string]

/** In front of the records of each write: a version that encodes them otherwise has another one. */
const FORMAT = 1

export function encodeRecords(records: readonly StateRecord[]): Uint8Array {
  return Buffer.from(JSON.stringify([FORMAT, ...records.map(encode)]))
}

/** Throws an Error for what `encodeRecords` did not write. */
export function decodeRecords(payload: Uint8Array): readonly StateRecord[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const [format, ...records] = JSON.parse(bytes.toString()) as readonly [unknown, ...Encoded[]]
  if (format !== FORMAT) throw new Error(`state in the format ${String(format).slice(0, 40)}: ${FORMAT} is known`)
  return records.map(decode)
}

function encode(record: StateRecord): Encoded {
  switch (record.type) {
    case 'stream': {
      const views = record.sinks.map(({ name, view }) => [name, view] as const)
      return ['s', record.stream, record.definition, views, record.resource ?? null]
    }
    case 'entry':
      return ['e', record.stream, record.uid, record.key, record.told ?? null, record.may, record.has]
    case 'gone':
      return ['g', record.stream, record.uid]
    case 'watermark':
      return ['w', record.stream, record.sink, record.position]
    case 'debt':
      return ['d', record.stream, record.sink, record.kind ?? null]
    case 'restored':
      return ['r', record.stream]
  }
}

function decode(encoded: Encoded): StateRecord {
  switch (encoded[0]) {
    case 's': {
      const [, stream, definition, sinks, resource] = encoded
      const views = sinks.map(([name, view]) => ({ name, view }))
      return { type: 'stream', stream, definition, sinks: views, ...(resource && { resource }) }
    }
    case 'e': {
      const [, stream, uid, key, told, may, has] = encoded
      return {
        type: 'entry',
        stream,
        uid: uid as Uid,
        key,
        told: (told ?? undefined) as ResourceVersion | undefined,
        may,
        has,
      }
    }
    case 'g':
      return { type: 'gone', stream: encoded[1], uid: encoded[2] as Uid }
    case 'w':
      return { type: 'watermark', stream: encoded[1], sink: encoded[2], position: encoded[3] as ResourceVersion }
    case 'd':
      return { type: 'debt', stream: encoded[1], sink: encoded[2], kind: encoded[3] ?? undefined }
    case 'r':
      return { type: 'restored', stream: encoded[1] }
    default:
      throw new Error(`an unknown record: ${JSON.stringify(encoded).slice(0, 40)}`)
  }
}
