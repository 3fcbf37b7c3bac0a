/**
 * CloudEvents on the wire: the JSON format (structured, batched) and the HTTP binding (binary). Pure functions.
 *
 * All of them: leave out undefined attributes; put U+FFFD for characters that an attribute may not hold (`cleanText`);
 * copy `data`, which is JSON text that was serialised once, as it is. Attribute names are those of the definition.
 * Source: CloudEvents 1.0.2 JSON Format and HTTP Protocol Binding.
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

/** No escape is needed in a header value. */
const HEADER_PLAIN = /^[!#$&-~]*$/
const HEADER_ESCAPED = /[^!#$&-~]+/g

function headerName(attribute: string): string {
  return attribute === 'datacontenttype' ? 'content-type' : `ce-${attribute}`
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
