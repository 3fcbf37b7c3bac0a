/**
 * CloudEvents from the wire, strictly: for consumers in this language, and to prove the encoders.
 * All of them throw a TypeError that says what is wrong and never quotes a payload.
 */
import { attributes as definitions } from './definition.ts'
import type { CloudEventAttributes } from './encode.ts'

/** One event as it arrived. `data` is the parsed JSON; absent: the event has none (`null` is data). */
export interface Decoded {
  readonly attributes: CloudEventAttributes
  readonly data?: unknown
}

/** The inverse of `structured`. An attribute that is `null` is unset; an Integer becomes its text, as in a header. */
export function decodeStructured(text: string): Decoded {
  return decodedObject(parsed(text))
}

/** The inverse of `batched`. */
export function decodeBatched(text: string): readonly Decoded[] {
  const events = parsed(text)
  if (!Array.isArray(events)) throw invalid('a batch is a JSON array')
  return events.map(decodedObject)
}

/**
 * The inverse of `httpBinary`. `headers` as node:http and undici give them: lower-case names; others than `ce-…` and
 * `content-type` are left out.
 */
export function decodeHttpBinary(
  headers: { readonly [name: string]: string | readonly string[] | undefined },
  body: string | undefined,
): Decoded {
  const attributes: Record<string, string | boolean> = {}
  for (const [header, value] of Object.entries(headers)) {
    const name = header === 'content-type' ? 'datacontenttype' : header.startsWith('ce-') ? header.slice(3) : undefined
    if (name === undefined || value === undefined) continue
    if (typeof value !== 'string') throw invalid(`the header ${header} came more than once`)
    const text = name === 'datacontenttype' ? value : decodeHeaderValue(value)
    attributes[name] = BOOLEANS.has(name) ? booleanOf(name, text) : text
  }
  return { attributes: checked(attributes), ...(body && { data: parsed(body) }) }
}

/**
 * The inverse of `kafkaBinary` and of `kafkaStructured`: the header `content-type` tells which. `message` as a Kafka client
 * for Node gives it; headers that are neither `ce_…` nor `content-type` are left out. A value of null is no data.
 */
export function decodeKafka(message: KafkaMessage): Decoded {
  const { headers = {}, value } = message
  const attributes: Record<string, string | boolean> = {}
  for (const [header, bytes] of Object.entries(headers)) {
    const name = header === 'content-type' ? 'datacontenttype' : header.startsWith('ce_') ? header.slice(3) : undefined
    if (name === undefined || bytes === undefined) continue
    if (typeof bytes !== 'string' && !Buffer.isBuffer(bytes)) throw invalid(`the header ${header} came more than once`)
    const text = bytes.toString()
    if (name === 'datacontenttype' && text.startsWith('application/cloudevents+json'))
      return decodeStructured(value?.toString() ?? '')
    attributes[name] = BOOLEANS.has(name) ? booleanOf(name, text) : text
  }
  return { attributes: checked(attributes), ...(value !== null && { data: parsed(value.toString()) }) }
}

/** What `decodeKafka` reads of a message. */
export interface KafkaMessage {
  readonly headers?: { readonly [name: string]: Buffer | string | readonly (Buffer | string)[] | undefined } | undefined
  readonly value: Buffer | string | null
}

/**
 * The text of one `ce-` header: unquoted, then exactly one round of percent-decoding. Takes lower-case hex, needless
 * escapes and, as older senders wrote it, spaces. Refuses a broken escape, bytes that are no UTF-8 (`%C0%A0`) and
 * characters outside U+0020-7E. Source: CloudEvents 1.0.2 HTTP Protocol Binding, 3.1.3.2.
 */
export function decodeHeaderValue(value: string): string {
  if (!HEADER_TEXT.test(value)) throw invalid('a header value holds a character outside U+0020-7E')
  const quoted = QUOTED.exec(value)?.[1]
  try {
    return decodeURIComponent(quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1'))
  } catch (cause) {
    throw invalid('a header value is not percent-encoded UTF-8', cause)
  }
}

const HEADER_TEXT = /^[ -~]*$/
const QUOTED = /^"((?:[^"\\]|\\.)*)"$/

/** A header has no type: which attributes are Booleans is known from the definition. */
const BOOLEANS = new Set(
  Object.entries(definitions).flatMap(([name, { schema }]) => (typeof schema.examples[0] === 'boolean' ? [name] : [])),
)

function booleanOf(name: string, text: string): boolean {
  if (text !== 'true' && text !== 'false') throw invalid(`${name} is a Boolean: true or false`)
  return text === 'true'
}

function decodedObject(event: unknown): Decoded {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) throw invalid('an event is a JSON object')
  const attributes: Record<string, string | boolean> = {}
  let data: { data?: unknown } = {}
  for (const [name, value] of Object.entries(event)) {
    if (name === 'data') data = { data: value }
    else if (name === 'data_base64') throw invalid('data_base64: the data of these events is JSON')
    else if (typeof value === 'string' || typeof value === 'boolean') attributes[name] = value
    else if (Number.isInteger(value)) attributes[name] = `${value}`
    else if (value !== null) throw invalid(`the attribute ${name} is neither a String, a Boolean nor an Integer`)
  }
  return { attributes: checked(attributes), ...data }
}

/** What every receiver must be able to rely on, before it looks at anything else. */
function checked(attributes: Record<string, string | boolean>): CloudEventAttributes {
  if (attributes.specversion !== '1.0') throw invalid('specversion is not 1.0')
  for (const name of ['id', 'source', 'type']) {
    if (typeof attributes[name] !== 'string' || attributes[name] === '') throw invalid(`${name} is missing`)
  }
  return attributes as CloudEventAttributes
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('it is not JSON') // the parser's own message quotes the text
  }
}

function invalid(reason: string, cause?: unknown): TypeError {
  return new TypeError(`not a CloudEvent of Deltawire: ${reason}`, cause === undefined ? undefined : { cause })
}
