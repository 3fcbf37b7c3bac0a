import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type DeadLetter, DeadLetterRing } from './dead-letters.ts'
import { deliveryErrors } from './errors.ts'
import { event } from './scripted-sink.ts'

function letter(id: string, dataBytes = 10): DeadLetter {
  const time = '2026-01-01T00:00:00.000Z'
  return { sink: 'audit', code: 'rejected', reason: '400', attempts: 1, time, event: event(id, 'a', { dataBytes }) }
}

const ids = (ring: DeadLetterRing) => ring.list().map((one) => one.event.attributes.id)

test('P7 the ring keeps the newest dead letters, drops the oldest and counts them', () => {
  const ring = new DeadLetterRing({ events: 3, bytes: 1_000_000 })
  for (const id of ['1', '2', '3', '4', '5']) ring.add(letter(id))
  assert.deepEqual(ids(ring), ['3', '4', '5'])
  assert.equal(ring.length, 3)
  assert.equal(ring.total, 5)
  assert.equal(ring.dropped, 2)
})

test('P7 the ring is bounded in bytes, even against one letter that is larger than all of it', () => {
  const ring = new DeadLetterRing({ events: 100, bytes: 10_000 })
  for (const id of ['1', '2', '3']) ring.add(letter(id, 3000))
  assert.deepEqual(ids(ring), ['2', '3'])
  assert.ok(ring.bytes <= 10_000)
  ring.add(letter('4', 20_000))
  assert.deepEqual(ids(ring), [])
  assert.equal(ring.bytes, 0)
  assert.equal(ring.dropped, 4)
})

test('P7 many more dead letters than the ring holds leave nothing behind', () => {
  const ring = new DeadLetterRing({ events: 1000, bytes: 100_000_000 })
  for (let n = 0; n < 100_000; n++) ring.add(letter(`${n}`))
  assert.deepEqual([ids(ring)[0], ids(ring).at(-1), ring.length], ['99000', '99999', 1000])
})

test('docs/delivery.md names every reason for a dead letter', () => {
  const document = readFileSync(new URL('../../docs/delivery.md', import.meta.url), 'utf8')
  const [, rows = ''] = /^\| reason \|.*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(document) ?? []
  const named = rows.split('\n').flatMap((row) => row.split('|')[1]?.match(/[a-z-]+/g) ?? [])
  assert.deepEqual(named.sort(), [...Object.keys(deliveryErrors), 'lane-full'].sort())
})
