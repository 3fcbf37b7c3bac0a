import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudEvent, HTTP, Kafka } from 'cloudevents'
import fc from 'fast-check'
import { cleanText } from '../lib/clean-text.ts'
import { assertValidAttributes } from './attributes.ts'
import { decodeBatched, decodeHeaderValue, decodeHttpBinary, decodeStructured } from './decode.ts'
import {
  batched,
  binarySize,
  type CloudEventAttributes,
  encodeHeaderValue,
  httpBinary,
  type KafkaRecord,
  kafkaBinary,
  kafkaBinarySize,
  kafkaStructured,
  kafkaStructuredSize,
  structured,
  structuredContentType,
  structuredSize,
} from './encode.ts'

const plain: CloudEventAttributes = {
  specversion: '1.0',
  id: '9a2c:4711',
  source: 'kubernetes://prod-eu/api/v1/pods',
  type: 'io.deltawire.object.updated.v1',
  datacontenttype: 'application/json',
  dataschema: 'urn:deltawire:schema:object:v1',
  time: '2026-01-01T00:00:00.123Z',
  subject: 'shop/web',
}

const vectors = [
  ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
  ['naïve "x" %', 'na%C3%AFve%20%22x%22%20%25'],
  ['system:node/π', 'system:node/%CF%80'],
  ["!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"],
  ['', ''],
] as const

for (const [text, header] of vectors) {
  test(`as a header ${JSON.stringify(text)} is ${JSON.stringify(header)}, and the other way round`, () => {
    assert.equal(encodeHeaderValue(text), header)
    assert.equal(decodeHeaderValue(header), text)
  })
}

test('a header is decoded exactly once, also with lower-case hex, needless escapes, spaces and quotes', () => {
  assert.equal(decodeHeaderValue('%2541'), '%41')
  assert.equal(decodeHeaderValue('%e2%82%ac%41'), '€A')
  assert.equal(decodeHeaderValue('a b'), 'a b')
  assert.equal(decodeHeaderValue('"a \\"b\\" %E2%82%AC"'), 'a "b" €')
})

for (const [header, fault] of [
  ['%C0%A0', 'an overlong form'],
  ['%C3', 'half a character'],
  ['%ED%A0%80', 'a surrogate'],
  ['%F4%90%80%80', 'beyond U+10FFFF'],
  ['100%', 'a broken escape'],
  ['%zz', 'a broken escape'],
  ['na\u00EFve', 'a raw byte outside ASCII'],
  ['a\nb', 'a line break'],
] as const) {
  test(`decoding ${JSON.stringify(header)} is an error: ${fault}`, () => {
    assert.throws(() => decodeHeaderValue(header), { name: 'TypeError', message: /header value/ })
  })
}

test('a Boolean is true in JSON and "true" in a header, and comes back as a Boolean from both', () => {
  const attributes = { ...plain, collapsed: true }
  assert.match(structured(attributes, '{}'), /"collapsed":true,/)
  const { headers, body } = httpBinary(attributes, '{}')
  assert.equal(headers['ce-collapsed'], 'true')
  assert.equal(decodeStructured(structured(attributes, '{}')).attributes.collapsed, true)
  assert.equal(decodeHttpBinary(headers, body).attributes.collapsed, true)
})

test('in HTTP binary mode datacontenttype is the content-type and no ce- header', () => {
  const { headers } = httpBinary(plain, '{}')
  assert.equal(headers['content-type'], 'application/json')
  assert.deepEqual(
    Object.keys(headers).filter((name) => name.includes('datacontenttype')),
    [],
  )
})

test('undefined attributes are no attributes', () => {
  const attributes = { ...plain, snapshotid: undefined }
  assert.equal(structured(attributes, '1'), structured(plain, '1'))
  assert.deepEqual(httpBinary(attributes, '1'), httpBinary(plain, '1'))
})

test('data null is data, absent data is not', () => {
  assert.deepEqual(decodeStructured(structured(plain, 'null')), { attributes: plain, data: null })
  assert.deepEqual(decodeStructured(structured(plain, undefined)), { attributes: plain })
  assert.deepEqual(decodeHttpBinary(httpBinary(plain, 'null').headers, 'null'), { attributes: plain, data: null })
  assert.deepEqual(decodeHttpBinary(httpBinary(plain, undefined).headers, undefined), { attributes: plain })
})

test('data and time pass as text: 64-bit integers, microseconds and spacing survive', () => {
  const attributes = { ...plain, time: '2026-01-01T00:00:00.123456+02:00' }
  const data = '{"n": 9223372036854775807}'
  assert.ok(structured(attributes, data).endsWith(`,"data":${data}}`))
  assert.match(structured(attributes, data), /"time":"2026-01-01T00:00:00\.123456\+02:00"/)
  assert.deepEqual(httpBinary(attributes, data).body, data)
  assert.equal(httpBinary(attributes, data).headers['ce-time'], '2026-01-01T00:00:00.123456+02:00')
})

test('a batch is an array, empty too', () => {
  assert.equal(batched([]), '[]')
  const other = { ...plain, id: '9a2c:4712' }
  assert.deepEqual(
    decodeBatched(
      batched([
        { attributes: plain, data: '[1]' },
        { attributes: other, data: undefined },
      ]),
    ),
    [{ attributes: plain, data: [1] }, { attributes: other }],
  )
})

test('U+FFFD stands for controls, lone surrogates and non-characters, and for nothing else', () => {
  assert.equal(cleanText('a\u0000b\nc\u007F\u0085d'), 'a\uFFFDb\uFFFDc\uFFFD\uFFFDd')
  assert.equal(cleanText('\uD800x\uDC00'), '\uFFFDx\uFFFD')
  assert.equal(cleanText('\uFDD0\uFDEF\uFFFE\uFFFF\u{1FFFE}\u{10FFFF}'), '\uFFFD'.repeat(6))
  const fine = 'system:node/π 😀 \u00A0\uFDCF\uFDF0\uFFFD\u{1FFFD} "\\%'
  assert.equal(cleanText(fine), fine)
})

/** Any sequence of UTF-16 code units, with those that need care more often than chance has them. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0x22, 0x25, 0x5c, 0x7f, 0xd83d, 0xde00)))
    .map((units) => String.fromCharCode(...units)),
)

/** A reader of its own: the bytes of a percent-encoded value, read as strict UTF-8. */
function readHeader(value: string): string {
  const bytes: number[] = []
  for (const [token] of value.matchAll(/%[0-9A-F]{2}|./gs)) {
    const code = token.charCodeAt(0)
    assert.ok(code >= 0x21 && code <= 0x7e && token !== '"' && token !== '%', `${token} may not be in a header`)
    bytes.push(token.length === 3 ? Number.parseInt(token.slice(1), 16) : code)
  }
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
}

test('P4 every text arrives as it was, but for what no attribute may hold, in both modes', () => {
  fc.assert(
    fc.property(text, text, (subject, fieldmanager) => {
      const attributes = { ...plain, subject, fieldmanager }
      const expected = { ...plain, subject: cleanText(subject), fieldmanager: cleanText(fieldmanager) }
      assert.deepEqual(JSON.parse(structured(attributes, '[]')), { ...expected, data: [] })
      const { headers, body } = httpBinary(attributes, '[]')
      assert.equal(readHeader(headers['ce-subject'] ?? ''), expected.subject)
      assert.deepEqual(decodeHttpBinary(headers, body), { attributes: expected, data: [] })
      assert.deepEqual(decodeStructured(structured(attributes, '[]')), { attributes: expected, data: [] })
      if (subject !== '' && fieldmanager !== '') {
        assertValidAttributes(decodeStructured(structured(attributes, '[]')).attributes)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('the sizes are the exact bytes, for every text, with and without data', () => {
  const data = fc.option(fc.json(), { nil: undefined })
  fc.assert(
    fc.property(text, fc.boolean(), data, (subject, collapsed, body) => {
      const attributes = { ...plain, subject, collapsed, snapshotid: undefined }
      const dataBytes = body === undefined ? undefined : Buffer.byteLength(body)
      assert.equal(structuredSize(attributes, dataBytes), Buffer.byteLength(structured(attributes, body)))
      const message = Object.entries(httpBinary(attributes, body).headers).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      )
      assert.equal(binarySize(attributes, dataBytes), Buffer.byteLength(message.join('') + (body ?? '')))
    }),
    { numRuns: 1_000 },
  )
})

const ascii = fc.stringMatching(/^[!#$&-~]{1,40}$/)

test('the CloudEvents SDK reads the same event from both modes (ASCII, times in milliseconds)', () => {
  fc.assert(
    fc.property(ascii, ascii, fc.object(), (id, subject, value) => {
      const attributes = { ...plain, id, subject, stream: 'workloads/pods' }
      const data = JSON.stringify(value)
      const expected = { ...attributes, data: JSON.parse(data) }
      const headers = { 'content-type': structuredContentType }
      assert.deepEqual(read(HTTP.toEvent({ headers, body: structured(attributes, data) })), expected)
      assert.deepEqual(read(HTTP.toEvent(httpBinary(attributes, data))), expected)
    }),
  )
})

test('what the CloudEvents SDK writes in both modes is read as the same event', () => {
  const data = { object: { spec: { replicas: 3 } } }
  const sent = new CloudEvent({ ...plain, data })
  const binary = HTTP.binary(sent)
  assert.deepEqual(decodeStructured(String(HTTP.structured(sent).body)), { attributes: plain, data })
  assert.deepEqual(decodeHttpBinary(lowerCase(binary.headers), String(binary.body)), {
    attributes: plain,
    data,
  })
})

for (const [text] of vectors) {
  test(`as a Kafka header ${JSON.stringify(text)} is its UTF-8 bytes, without escapes`, () => {
    const { headers } = kafkaBinary({ ...plain, subject: text }, '{}')
    assert.deepEqual(headers.ce_subject, Buffer.from(text, 'utf8'))
  })
}

test('a Kafka record in binary mode has a header for each attribute that there is, and the data as its value', () => {
  const attributes = { ...plain, collapsed: true, snapshotid: undefined }
  const { headers, value } = kafkaBinary(attributes, '{"object":{}}')
  assert.deepEqual(texts(headers), {
    ce_specversion: '1.0',
    ce_id: '9a2c:4711',
    ce_source: 'kubernetes://prod-eu/api/v1/pods',
    ce_type: 'io.deltawire.object.updated.v1',
    'content-type': 'application/json',
    ce_dataschema: 'urn:deltawire:schema:object:v1',
    ce_time: '2026-01-01T00:00:00.123Z',
    ce_subject: 'shop/web',
    ce_collapsed: 'true',
  })
  assert.equal(value, '{"object":{}}')
})

test('a Kafka record in binary mode without data has no value, which data null is not', () => {
  assert.equal(kafkaBinary(plain, undefined).value, null)
  assert.equal(kafkaBinary(plain, 'null').value, 'null')
})

test('a Kafka record in structured mode is the whole event, and never without a value', () => {
  const { headers, value } = kafkaStructured(plain, undefined)
  assert.deepEqual(texts(headers), { 'content-type': 'application/cloudevents+json; charset=UTF-8' })
  assert.equal(value, structured(plain, undefined))
})

test('a Kafka header holds no character that an attribute may not', () => {
  const attributes = { ...plain, subject: 'a\u0000b\uD800' }
  assert.equal(texts(kafkaBinary(attributes, '1').headers).ce_subject, 'a\uFFFDb\uFFFD')
})

test('a Kafka record is never larger than its size says, and at most 30 bytes smaller', () => {
  const body = fc.option(fc.json(), { nil: undefined })
  fc.assert(
    fc.property(text, text, fc.boolean(), body, (key, subject, collapsed, data) => {
      const attributes = { ...plain, subject, collapsed, snapshotid: undefined }
      const dataBytes = data === undefined ? undefined : Buffer.byteLength(data)
      for (const [size, record] of [
        [kafkaBinarySize(attributes, key, dataBytes), kafkaBinary(attributes, data)],
        [kafkaStructuredSize(attributes, key, dataBytes), kafkaStructured(attributes, data)],
      ] as const) {
        const smallest = recordBytes(key, record, 0)
        assert.ok(size >= recordBytes(key, record, 2 ** 20) && size <= smallest + 30, `${size} for ${smallest}`)
      }
    }),
    { numRuns: 1_000 },
  )
})

test('the CloudEvents SDK reads the same event from both modes of Kafka (ASCII, times in milliseconds)', () => {
  fc.assert(
    fc.property(ascii, ascii, fc.object(), (id, key, value) => {
      const attributes = { ...plain, id, partitionkey: key }
      const data = JSON.stringify(value)
      const expected = { ...attributes, data: JSON.parse(data) }
      for (const record of [kafkaBinary(attributes, data), kafkaStructured(attributes, data)]) {
        const message = { key, headers: texts(record.headers), value: record.value, body: record.value }
        assert.deepEqual(read(Kafka.toEvent(message)), expected)
      }
    }),
  )
})

test('the example of the JSON format is read: null is unset, an Integer becomes its text', () => {
  const example = `{
    "specversion" : "1.0", "type" : "com.example.someevent", "source" : "/mycontext", "subject": null,
    "id" : "C234-1234-1234", "time" : "2018-04-05T17:31:00Z", "comexampleextension1" : "value",
    "comexampleothervalue" : 5, "datacontenttype" : "application/json",
    "data" : { "appinfoA" : "abc", "appinfoB" : 123, "appinfoC" : true }
  }`
  assert.deepEqual(decodeStructured(example), {
    attributes: {
      specversion: '1.0',
      type: 'com.example.someevent',
      source: '/mycontext',
      id: 'C234-1234-1234',
      time: '2018-04-05T17:31:00Z',
      comexampleextension1: 'value',
      comexampleothervalue: '5',
      datacontenttype: 'application/json',
    },
    data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true },
  })
})

for (const [body, fault] of [
  ['{"secret"', /it is not JSON$/],
  ['[]', /an event is a JSON object/],
  ['{"specversion":"0.3"}', /specversion is not 1\.0/],
  ['{"specversion":"1.0","id":"","source":"a","type":"b"}', /id is missing/],
  ['{"specversion":"1.0","id":"1","source":"a","type":"b","data_base64":""}', /data_base64/],
  ['{"specversion":"1.0","id":"1","source":"a","type":"b","x":{}}', /attribute x/],
] as const) {
  test(`reading ${body} is an error that names the fault`, () => {
    assert.throws(() => decodeStructured(body), { name: 'TypeError', message: fault })
  })
}

test('attributes that a strict receiver could refuse are all named at once', () => {
  assertValidAttributes(plain)
  assert.throws(
    () =>
      assertValidAttributes({
        ...plain,
        id: '',
        subject: '',
        time: 'yesterday',
        dataschema: 'object',
        Kind: 'Pod',
        name: 'a\nb',
        dataclassification: 'x',
      }),
    (error: Error) =>
      [
        /id is missing/,
        /subject is empty/,
        /time is not/,
        /dataschema is not/,
        /Kind is not a name/,
        /name holds/,
        /dataclassification must not/,
      ].every((fault) => fault.test(error.message)),
  )
})

/** The SDK's event as plain members; it writes times through Date. */
function read(event: unknown): Record<string, unknown> {
  assert.ok(event instanceof CloudEvent)
  return JSON.parse(JSON.stringify(event))
}

function texts(headers: KafkaRecord['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.toString('utf8')]))
}

/** The bytes of a record at a place of its batch, counted by the format of the protocol. */
function recordBytes(key: string, { headers, value }: KafkaRecord, offset: number): number {
  const counted = (bytes: number) => varint(bytes) + bytes
  let bytes = 1 + varint(offset) + varint(offset) + counted(Buffer.byteLength(key))
  bytes += value === null ? 1 : counted(Buffer.byteLength(value))
  bytes += varint(Object.keys(headers).length)
  for (const [name, header] of Object.entries(headers)) bytes += counted(name.length) + counted(header.length)
  return varint(bytes) + bytes
}

function varint(value: number): number {
  let bytes = 1
  for (let zigzag = value * 2; zigzag >= 128; zigzag = Math.floor(zigzag / 128)) bytes++
  return bytes
}

function lowerCase(headers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
}
