/** Record batches (format 2), decoded as strictly as a broker does. Source: Kafka documentation, Message Format. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { crc32c } from './crc32c.ts'
import type { KafkaErrorName } from './protocol.ts'
import { Reader } from './wire.ts'

export interface BatchRecord {
  readonly key: string | null
  readonly headers: Readonly<Record<string, string | null>>
  /** Null: a tombstone. */
  readonly value: string | null
  /** Milliseconds. */
  readonly timestamp: number
}

export type DecodedBatch =
  | { readonly type: 'records'; readonly records: readonly BatchRecord[] }
  /** Why a broker refuses it. */
  | { readonly type: 'refused'; readonly error: KafkaErrorName }

const COMPRESSION_MASK = 7
const decompress: Readonly<Record<number, (bytes: Buffer) => Buffer>> = {
  0: (bytes) => bytes,
  1: gunzipSync,
  4: zstdDecompressSync,
}

/**
 * Stricter than a broker in one thing: a record has to say its place in the batch right. Snappy and LZ4 are refused, which
 * nothing here sends.
 */
export function decodeBatch(bytes: Buffer): DecodedBatch {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof RangeError) return { type: 'refused', error: 'INVALID_RECORD' } // a length leads beyond the end
    return { type: 'refused', error: 'UNKNOWN_SERVER_ERROR' } // it cannot be decompressed
  }
}

function decode(bytes: Buffer): DecodedBatch {
  const batch = new Reader(bytes)
  batch.int64() // offset: the broker's
  const length = batch.int32()
  if (length !== batch.left) return { type: 'refused', error: 'INVALID_RECORD' } // none that is whole, or several
  batch.int32() // epoch of the leader: the broker's
  if (batch.int8() !== 2) return { type: 'refused', error: 'INVALID_RECORD' }
  const crc = batch.uint32()
  if (crc32c(bytes.subarray(bytes.length - batch.left)) !== crc) return { type: 'refused', error: 'CORRUPT_MESSAGE' }
  const attributes = batch.int16()
  const lastDelta = batch.int32()
  const firstTimestamp = Number(batch.int64())
  batch.int64() // newest timestamp
  batch.take(14) // of an idempotent producer
  const count = batch.int32()
  const unpack = decompress[attributes & COMPRESSION_MASK]
  if (!unpack) return { type: 'refused', error: 'UNKNOWN_SERVER_ERROR' }
  if (count !== lastDelta + 1 || count < 1) return { type: 'refused', error: 'INVALID_RECORD' }
  const body = new Reader(unpack(batch.take(batch.left)))
  const records = Array.from({ length: count }, (_, index) => readRecord(body, firstTimestamp, index))
  if (body.left > 0 || records.includes(undefined)) return { type: 'refused', error: 'INVALID_RECORD' }
  return { type: 'records', records: records.filter((record) => record !== undefined) }
}

/** Undefined if its length or its place is not what it says. */
function readRecord(body: Reader, firstTimestamp: number, index: number): BatchRecord | undefined {
  const record = new Reader(body.take(body.varint()))
  record.int8() // attributes: none are defined
  const timestamp = firstTimestamp + record.varint()
  const delta = record.varint()
  const key = text(record.varBytes())
  const value = text(record.varBytes())
  const headers: Record<string, string | null> = {}
  const count = record.varint()
  for (let header = 0; header < count; header++) {
    const name = record.take(record.varint()).toString('utf8')
    headers[name] = text(record.varBytes())
  }
  if (record.left > 0 || delta !== index) return undefined
  return { key, headers, value, timestamp }
}

function text(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('utf8')
}
