import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { event } from '../contract-kit.ts'
import { entrySize, toEntry } from './entry.ts'
import { bytesOf, type ReceivedEntry } from './testing/strict-service.ts'

const options = { bus: 'k8s', source: 'ce' }

test('an entry holds the whole CloudEvent, and repeats of it what rules are written with', () => {
  const one = event({ id: 'u1:7', time: '2026-01-01T00:00:00.123456Z', data: '{"object":{"n":1.0}}' })
  assert.deepEqual(toEntry(one, options), {
    EventBusName: 'k8s',
    Source: 'kubernetes://test/api/v1/pods',
    DetailType: 'io.deltawire.object.updated.v1',
    Detail:
      '{"specversion":"1.0","source":"kubernetes://test/api/v1/pods","type":"io.deltawire.object.updated.v1",' +
      '"subject":"shop/web","datacontenttype":"application/json","dataschema":"urn:deltawire:schema:object:v1",' +
      '"time":"2026-01-01T00:00:00.123456Z","partitionkey":"test/pods/shop/web","id":"u1:7","data":{"object":{"n":1.0}}}',
    Time: new Date('2026-01-01T00:00:00.123Z'),
    Resources: ['kubernetes://test/api/v1/pods/shop/web'],
  })
})

test('a fixed name stands for the source of all events, and the CloudEvent keeps its own', () => {
  const { Source, Detail, Resources } = toEntry(event({ id: '1' }), { bus: 'k8s', source: 'com.example' })
  assert.equal(Source, 'com.example')
  assert.equal(JSON.parse(Detail ?? '').source, 'kubernetes://test/api/v1/pods')
  assert.deepEqual(Resources, ['kubernetes://test/api/v1/pods/shop/web'])
})

test('a resource is a URI, whatever the name of the object; what is about no object has none', () => {
  const resources = (subject: string) => toEntry(event({ id: '1', subject }), options).Resources
  assert.deepEqual(resources('system:node/π 100%?#'), [
    'kubernetes://test/api/v1/pods/system:node/%CF%80%20100%25%3F%23',
  ])
  assert.deepEqual(resources('a\ud800b'), ['kubernetes://test/api/v1/pods/a%EF%BF%BDb'])
  const { subject: _subject, ...attributes } = event({ id: '1' }).attributes
  assert.ok(!('Resources' in toEntry({ ...event({ id: '1' }), attributes }, options)))
})

test('a trace goes on in X-Ray', () => {
  const header = (traceparent: string) => toEntry(event({ id: '1', traceparent }), options).TraceHeader
  assert.equal(
    header('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
    'Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1',
  )
  assert.match(header('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02') ?? '', /;Sampled=0$/)
  assert.equal(header('4bf92f3577b34da6'), undefined)
  assert.ok(!('TraceHeader' in toEntry(event({ id: '1' }), options)))
})

test('the size of an entry is what EventBridge counts, to the byte', () => {
  const text = fc.string({
    minLength: 1,
    unit: fc.oneof(fc.constantFrom('"', '\\', '\n', '\ud800', 'ü', '😀'), fc.string()),
  })
  fc.assert(
    fc.property(
      text,
      fc.option(text, { nil: undefined }),
      fc.option(fc.json(), { nil: undefined }),
      text,
      (id, subject, data, source) => {
        const made = event({ id, ...(subject !== undefined && { subject }), ...(data !== undefined && { data }) })
        const { subject: _subject, ...withoutSubject } = made.attributes
        const one = {
          ...made,
          ...(subject === undefined && { attributes: withoutSubject }),
          ...(data === undefined && { data: undefined, dataBytes: 0 }),
        }
        const entry = toEntry(one, { bus: 'k8s', source })
        // as it arrives: Time in seconds
        const received = { ...JSON.parse(JSON.stringify(entry)), Time: 1 } as ReceivedEntry
        assert.equal(entrySize(one, source), bytesOf(received))
      },
    ),
  )
})
