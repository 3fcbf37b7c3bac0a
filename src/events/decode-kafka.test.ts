import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeKafka } from './decode.ts'

const headers = {
  'content-type': Buffer.from('application/json'),
  ce_specversion: Buffer.from('1.0'),
  ce_id: Buffer.from('a1:7'),
  ce_source: Buffer.from('kubernetes://test/api/v1/pods'),
  ce_type: Buffer.from('io.deltawire.object.updated.v1'),
  ce_fieldmanager: Buffer.from('50% äöü'),
  ce_collapsed: Buffer.from('true'),
  other: Buffer.from('of somebody else'),
}
const attributes = {
  datacontenttype: 'application/json',
  specversion: '1.0',
  id: 'a1:7',
  source: 'kubernetes://test/api/v1/pods',
  type: 'io.deltawire.object.updated.v1',
  fieldmanager: '50% äöü',
  collapsed: true,
}

test('a Kafka message in binary mode: ce_ headers, as they are, and the value', () => {
  const value = Buffer.from('{"object":{"kind":"Pod"}}')
  assert.deepEqual(decodeKafka({ headers, value }), { attributes, data: { object: { kind: 'Pod' } } })
})

test('a Kafka message with the value null is an event without data, one with the text null has data', () => {
  assert.deepEqual(decodeKafka({ headers, value: null }), { attributes })
  assert.deepEqual(decodeKafka({ headers, value: 'null' }), { attributes, data: null })
})

test('a Kafka message in structured mode is its value alone', () => {
  const structured = { 'content-type': 'application/cloudevents+json; charset=UTF-8', ce_id: 'ignored' }
  const value = JSON.stringify({ ...attributes, data: 1 })
  assert.deepEqual(decodeKafka({ headers: structured, value }), { attributes, data: 1 })
})

test('a Kafka message that is no CloudEvent is refused, without a word of its value', () => {
  const refused = (message: Parameters<typeof decodeKafka>[0], reason: RegExp) =>
    assert.throws(
      () => decodeKafka(message),
      (error) => error instanceof TypeError && reason.test(error.message) && !error.message.includes('secret'),
    )
  refused({ value: 'secret' }, /specversion/)
  refused({ headers, value: 'secret' }, /not JSON/)
  refused(
    { headers: { ...headers, ce_id: [Buffer.from('a'), Buffer.from('b')] }, value: null },
    /ce_id came more than once/,
  )
  refused({ headers: { ...headers, ce_collapsed: 'secret' }, value: null }, /collapsed is a Boolean/)
  refused({ headers: { 'content-type': 'application/cloudevents+json' }, value: null }, /not JSON/)
})
