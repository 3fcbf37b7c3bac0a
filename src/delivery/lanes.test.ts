import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { Entry } from './entry.ts'
import { type Lane, Lanes } from './lanes.ts'
import { event } from './scripted-sink.ts'

const limits = { events: 1, bytes: 1000 }
const entry = (id: string) => new Entry(event(id, id), 10, 0, () => {})

function lanes() {
  const clock = new ManualClock()
  const woken: Lane[] = []
  return { clock, woken, all: new Lanes({ sameKeyInBatch: false, clock, onWake: (lane) => woken.push(lane) }) }
}

test('P7 a lane that is empty is gone when its attempt is over; a key that comes again has a new one', () => {
  const { all } = lanes()
  const first = all.append(entry('1'), 'a')
  assert.equal(all.append(entry('2'), 'a'), first)
  all.take(limits)
  all.release(first)
  assert.equal(first.state, 'ready')
  all.take(limits)
  all.release(first)
  assert.equal(first.state, 'gone')
  assert.notEqual(all.append(entry('3'), 'a'), first)
})

test('a lane in back-off is no work for anybody until its time is over', async () => {
  const { all, clock, woken } = lanes()
  const lane = all.append(entry('1'), 'a')
  const [taken] = all.take(limits)
  assert.ok(taken)
  lane.unshift(taken)
  all.retreat(lane, 1000)
  assert.deepEqual([all.waiting, all.readyEvents, clock.pending], [1, 0, 1])
  assert.deepEqual(all.take(limits), [])
  await clock.advance(1000)
  assert.deepEqual([woken, all.waiting, clock.pending], [[lane], 0, 0])
})
