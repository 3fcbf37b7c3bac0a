import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { httpBinary, structured } from '../../src/events/index.ts'
import { startReceiver } from './receiver.ts'

const attributes = {
  specversion: '1.0',
  id: 'u1:7',
  source: 'kubernetes://prod/api/v1/pods',
  type: 'io.deltawire.object.added.v1',
  datacontenttype: 'application/json',
  dataschema: 'urn:deltawire:schema:object:v1',
  time: '2026-01-01T00:00:00.000001Z',
  subject: 'shop/naïve "x" % 😀',
} as const
const data = '{"object":{"kind":"Pod"}}'
const json = { 'content-type': 'application/cloudevents+json' }

async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string | ReadableStream<Uint8Array>,
): Promise<number> {
  const response = await fetch(url, { method: 'POST', headers, body, duplex: 'half' })
  await response.arrayBuffer()
  return response.status
}

test('both modes are decoded to the same event by the SDK for Python', async () => {
  await using receiver = await startReceiver()
  const binary = httpBinary(attributes, data)
  assert.equal(await post(receiver.url, json, structured(attributes, data)), 204)
  assert.deepEqual(await receiver.modes(), new Set(['structured']))
  assert.equal(await post(receiver.url, { ...binary.headers }, binary.body ?? ''), 204)
  assert.deepEqual(await receiver.modes(), new Set(['structured', 'binary']))
  const event = { ...attributes, time: '2026-01-01T00:00:00.000001+00:00', data: { object: { kind: 'Pod' } } }
  assert.deepEqual(await receiver.until(2), [event, event])
})

test('what cannot be decoded is answered by 400, and fails whoever asks for the events', async () => {
  await using receiver = await startReceiver()
  assert.equal(await post(receiver.url, json, '{"specversion":"1.0","id":"1"}'), 400)
  await assert.rejects(receiver.events(), /could not be decoded.*source/s)
  await assert.rejects(receiver.until(5), /could not be decoded/)
})

test('the mode is told by the content type: a structured event of another type is not taken for one', async () => {
  await using receiver = await startReceiver()
  assert.equal(await post(receiver.url, { 'content-type': 'application/json' }, structured(attributes, data)), 400)
  await assert.rejects(receiver.events(), /could not be decoded/)
})

test('a body may come in chunks, and a connection that breaks harms no other', async () => {
  await using receiver = await startReceiver()
  const socket = connect(Number(new URL(receiver.url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{')
  socket.resetAndDestroy()
  const body = Buffer.from(structured(attributes, data))
  for (let time = 0; time < 2; time++) {
    const halves = ReadableStream.from([body.subarray(0, 40), body.subarray(40)])
    assert.equal(await post(receiver.url, json, halves), 204)
  }
  assert.equal((await receiver.until(2)).length, 2)
})

test('thousands of events over several connections arrive, each once, in the order of each connection', async () => {
  await using receiver = await startReceiver()
  const sendAll = async (lane: number) => {
    for (let n = 0; n < 250; n++) {
      const body = structured({ ...attributes, id: `${lane}:${n}` }, data)
      assert.equal(await post(receiver.url, json, body), 204)
    }
  }
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(sendAll))
  const ids = (await receiver.until(2000)).map(({ id }) => id)
  for (let lane = 0; lane < 8; lane++) {
    const ofLane = ids.filter((id) => id.startsWith(`${lane}:`))
    assert.deepEqual(
      ofLane,
      Array.from({ length: 250 }, (_, n) => `${lane}:${n}`),
    )
  }
})
