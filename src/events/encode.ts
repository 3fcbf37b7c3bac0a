/**
 * CloudEvents on the wire: the JSON format (structured, batched), the HTTP binding (binary) and the Kafka binding (binary
 * and structured). Pure functions.
 *
 * All of them: leave out undefined attributes; put U+FFFD for characters that an attribute may not hold (`cleanText`);
 * copy `data`, which is JSON text that was serialised once, as it is. Attribute names are those of the definition.
 * Source: CloudEvents 1.0.2 JSON Format, HTTP Protocol Binding and Kafka Protocol Binding.
 */
import { cleanText } from '../lib/clean-text.ts'
import type { CloudEventAttributes } from './attributes.ts'

export type { CloudEventAttributes } from './attributes.ts'

/** Without a charset: JSON is UTF-8, and receivers exist that compare the whole header (the JavaScript SDK is one). */
export const structuredContentType = 'application/cloudevents+json'
export const batchedContentType = 'application/cloudevents-batch+json'

/** One event before it is encoded. `data` is JSON text; undefined: an event without data, which `null` is not. */
export interface Encodable {
  readonly attributes: CloudEventAttributes
  readonly data: string | undefined
}

/** The event as one JSON object: the attributes' JSON, open at its end, with the data put in. */
export function structured(attributes: CloudEventAttributes, data: string | undefined): string {
  let envelope = JSON.stringify(attributes)
  if (!JSON_PLAIN.test(envelope)) envelope = JSON.stringify(attributes, cleaned)
  return data === undefined ? envelope : `${envelope.slice(0, -1)},"data":${data}}`
}

/** Exactly the UTF-8 bytes of `structured`, without building it. `dataBytes`: those of data; undefined without data. */
export function structuredSize(attributes: CloudEventAttributes, dataBytes: number | undefined): number {
  let bytes = dataBytes === undefined ? 1 : 9 + dataBytes // {} less the first comma; ,"data":
  for (const name in attributes) {
    const value = attributes[name]
    if (value !== undefined)
      bytes += name.length + 4 + (typeof value === 'string' ? quotedSize(value) : `${value}`.length)
  }
  return bytes
}

/** Events as one JSON array; `[]` for none. Only for receivers that asked for batches. */
export function batched(events: readonly Encodable[]): string {
  return `[${events.map(({ attributes, data }) => structured(attributes, data)).join(',')}]`
}

/**
 * The attributes as HTTP headers (lower-case names, values in U+0021-7E) and the data as the body.
 * `datacontenttype` is the header `content-type`.
 */
export function httpBinary(
  attributes: CloudEventAttributes,
  data: string | undefined,
): { headers: Record<string, string>; body: string | undefined } {
  const headers: Record<string, string> = {}
  for (const name in attributes) {
    const value = attributes[name]
    if (value !== undefined) headers[headerName(name)] = encodeHeaderValue(`${value}`)
  }
  return { headers, body: data }
}

/** Exactly the bytes of `httpBinary` in HTTP/1.1: `name: value` and a line end for each header, and the body. */
export function binarySize(attributes: CloudEventAttributes, dataBytes: number | undefined): number {
  let bytes = dataBytes ?? 0
  for (const name in attributes) {
    const value = attributes[name]
    if (value !== undefined) bytes += headerName(name).length + 4 + encodeHeaderValue(`${value}`).length
  }
  return bytes
}

/**
 * Percent-encodes space, `"`, `%` and everything outside U+0021-7E, per character as UTF-8 in upper-case hex.
 * `naïve "x" %` becomes `na%C3%AFve%20%22x%22%20%25`. Source: HTTP Protocol Binding, 3.1.3.2.
 */
export function encodeHeaderValue(text: string): string {
  return HEADER_PLAIN.test(text) ? text : cleanText(text).replace(HEADER_ESCAPED, encodeURIComponent)
}

/** A Kafka record, without its key: that is no part of the event, and no attribute is made of it. */
export interface KafkaRecord {
  /** Values are UTF-8. */
  readonly headers: { readonly [name: string]: Buffer }
  /** Null: an event without data, which a compacted topic takes for a tombstone. */
  readonly value: string | null
}

/**
 * The attributes as headers `ce_<name>`, not percent-encoded, and the data as the value.
 * `datacontenttype` is the header `content-type`.
 */
export function kafkaBinary(attributes: CloudEventAttributes, data: string | undefined): KafkaRecord {
  const headers: Record<string, Buffer> = {}
  for (const name in attributes) {
    const value = attributes[name]
    if (value !== undefined) headers[kafkaHeaderName(name)] = Buffer.from(cleanText(`${value}`))
  }
  return { headers, value: data ?? null }
}

/** The whole event as the value, which is never null: no tombstone. */
export function kafkaStructured(attributes: CloudEventAttributes, data: string | undefined): KafkaRecord {
  return { headers: KAFKA_STRUCTURED_HEADERS, value: structured(attributes, data) }
}

/**
 * Bytes that a record of `kafkaBinary` takes in a batch: never fewer than Kafka counts before compression, and at most 30
 * more, because what depends on its place in the batch is counted at its largest.
 */
export function kafkaBinarySize(attributes: CloudEventAttributes, key: string, dataBytes: number | undefined): number {
  let bytes = kafkaRecordSize(key, dataBytes ?? 0)
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    bytes += kafkaHeaderSize(kafkaHeaderName(name), Buffer.byteLength(cleanText(`${value}`)))
  }
  return bytes
}

/** The same for `kafkaStructured`. */
export function kafkaStructuredSize(
  attributes: CloudEventAttributes,
  key: string,
  dataBytes: number | undefined,
): number {
  return kafkaRecordSize(key, structuredSize(attributes, dataBytes)) + KAFKA_STRUCTURED_HEADERS_SIZE
}

/** No escape is needed in a header value. */
const HEADER_PLAIN = /^[!#$&-~]*$/
const HEADER_ESCAPED = /[^!#$&-~]+/g

function headerName(attribute: string): string {
  return attribute === 'datacontenttype' ? 'content-type' : `ce-${attribute}`
}

const KAFKA_STRUCTURED_TYPE = `${structuredContentType}; charset=UTF-8`
const KAFKA_STRUCTURED_HEADERS = { 'content-type': Buffer.from(KAFKA_STRUCTURED_TYPE) } as const
const KAFKA_STRUCTURED_HEADERS_SIZE = kafkaHeaderSize('content-type', KAFKA_STRUCTURED_TYPE.length)

function kafkaHeaderName(attribute: string): string {
  return attribute === 'datacontenttype' ? 'content-type' : `ce_${attribute}`
}

/**
 * A record without headers. At its largest: its length 5, attributes 1, timestamp 10, offset 5, length of the key 5, of
 * the value 5, number of headers 2.
 * Source: Kafka protocol, "Record Format" (lengths are zig-zag varints).
 */
function kafkaRecordSize(key: string, valueBytes: number): number {
  return 33 + Buffer.byteLength(key) + valueBytes
}

function kafkaHeaderSize(name: string, valueBytes: number): number {
  return varintSize(name.length) + name.length + varintSize(valueBytes) + valueBytes
}

/** Bytes of a zig-zag varint. */
function varintSize(value: number): number {
  if (value < 2 ** 6) return 1
  if (value < 2 ** 13) return 2
  return value < 2 ** 20 ? 3 : 5
}

/** ASCII without backslash: nothing was escaped, so nothing needs to be cleaned either. */
const JSON_PLAIN = /^[ -[\]-~]*$/
/** The same inside a JSON string, where a quote would be escaped. */
const STRING_PLAIN = /^[ !#-[\]-~]*$/

function cleaned(_name: string, value: unknown): unknown {
  return typeof value === 'string' ? cleanText(value) : value
}

function quotedSize(text: string): number {
  return STRING_PLAIN.test(text) ? text.length + 2 : Buffer.byteLength(JSON.stringify(cleanText(text)))
}
