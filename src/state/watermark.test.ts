import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { resourceVersion as rv, type Timestamp } from '../kube/object.ts'
import { type Slot, Watermark } from './watermark.ts'

test('P1 the watermark stands before the oldest unsettled slot, whatever settled behind it', () => {
  const watermark = new Watermark()
  const [five, seven, nine, ten] = ['5', '7', '9', '10'].map((text) => watermark.open(rv(text)))
  assert.ok(five && seven && nine && ten)
  watermark.settle(seven)
  watermark.settle(ten)
  assert.equal(watermark.value, undefined)
  watermark.settle(five)
  assert.equal(watermark.value, '7')
  watermark.settle(nine)
  assert.equal(watermark.value, '9', 'more may come at 10')
  watermark.complete(rv('12'))
  assert.equal(watermark.value, '12')
  assert.equal(watermark.lag, 0)
})

test('P7 behind one that is never settled, settled slots take no room, and no position is reached too early', () => {
  const watermark = new Watermark()
  watermark.complete(rv('1'))
  const first = watermark.open(rv('2'))
  for (let position = 3; position < 100_000; position++) watermark.settle(watermark.open(rv(`${position}`)))
  assert.ok(watermark.lag < 3_000, `${watermark.lag} slots`)
  const second = watermark.open(rv('100000'))
  for (let position = 100_001; position < 110_000; position++) watermark.settle(watermark.open(rv(`${position}`)))
  assert.equal(watermark.value, '1')
  watermark.settle(first)
  assert.equal(watermark.value, '99999')
  watermark.settle(second)
  assert.equal(watermark.value, '109998')
})

test('what is behind the watermark counts from the oldest unsettled slot, whatever settled behind it', () => {
  const watermark = new Watermark()
  const none = { slots: 0, since: undefined }
  const second = (n: number) => `2026-01-01T00:00:0${n}Z` as Timestamp
  assert.deepEqual(watermark.behind, none)
  const [one, two, three] = [1, 2, 3].map((n) => watermark.open(rv(`${n}`), second(n)))
  assert.ok(one && two && three)
  watermark.settle(two)
  assert.deepEqual(watermark.behind, { slots: 3, since: second(1) })
  watermark.settle(one)
  assert.deepEqual(watermark.behind, { slots: 1, since: second(3) })
  watermark.settle(three)
  assert.deepEqual(watermark.behind, none, 'that more may come at 3 is no lag')
  const first = watermark.open(rv('4'), second(4))
  for (let position = 5; position < 5000; position++) watermark.settle(watermark.open(rv(`${position}`), second(5)))
  assert.deepEqual(watermark.behind, { slots: 4996, since: second(4) }, 'also of those that are not kept')
  watermark.settle(first)
  assert.deepEqual(watermark.behind, none)
  watermark.open(rv('6000'), second(6))
  watermark.restart()
  assert.deepEqual(watermark.behind, none)
})

test('P1 a position is reached with the last of its slots: a delta that gives two events is settled after both', () => {
  const watermark = new Watermark()
  const slots = ['5', '5', '5'].map((text) => watermark.open(rv(text)))
  for (const slot of slots) watermark.settle(slot)
  assert.equal(watermark.value, undefined)
  const late = watermark.open(rv('5'))
  watermark.open(rv('6'))
  assert.equal(watermark.value, undefined)
  watermark.settle(late)
  assert.equal(watermark.value, '5')
})

test('a position that the server repeats holds what comes after it, and takes nothing back', () => {
  const watermark = new Watermark()
  watermark.settle(watermark.open(rv('10')))
  watermark.complete(rv('10'))
  const repeated = watermark.open(rv('9'))
  const next = watermark.open(rv('11'))
  watermark.settle(next)
  watermark.complete(rv('11'))
  assert.equal(watermark.value, '10')
  watermark.settle(repeated)
  assert.equal(watermark.value, '11')
})

test('what was held back for long is settled up to where all was over, though something of later is on its way', () => {
  const watermark = new Watermark()
  watermark.complete(rv('100'))
  const held = watermark.open(rv('100'))
  watermark.complete(rv('200'))
  const next = watermark.open(rv('201'))
  watermark.complete(rv('201')) // all that was read at it is offered
  watermark.settle(held)
  assert.equal(watermark.value, '200')
  watermark.settle(next)
  assert.equal(watermark.value, '201')
})

test('after a restart lower positions count and old slots do not', () => {
  const watermark = new Watermark()
  const old = watermark.open(rv('10'))
  watermark.restart()
  const young = watermark.open(rv('3'))
  watermark.settle(old)
  watermark.complete(rv('3'))
  assert.equal(watermark.value, undefined)
  watermark.settle(young)
  assert.equal(watermark.value, '3')
})

test('P1 in any order of settling, nothing at or below the watermark is unsettled or still to come', () => {
  const step = fc.record({
    type: fc.constantFrom('open', 'settle', 'settle', 'complete'),
    gap: fc.nat(2),
    pick: fc.nat(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (history) => {
      const watermark = new Watermark()
      const slots: Slot[] = []
      let position = 1
      const completed = [0]
      for (const { type, gap, pick } of history) {
        if (type === 'open') {
          position = Math.max(position + gap, (completed.at(-1) ?? 0) + 1)
          slots.push(watermark.open(rv(String(position))))
        } else if (type === 'complete') {
          position += gap // a bookmark, or the end of a list
          completed.push(position)
          watermark.complete(rv(String(position)))
        } else if (slots.length > 0) {
          watermark.settle(slots[pick % slots.length] as Slot)
        }
        assert.equal(Number(watermark.value ?? 0), expected(slots, completed))
      }
    }),
  )
})

/** The definition, slowly: the highest position that is over and before every unsettled slot. */
function expected(slots: readonly Slot[], completed: readonly number[]): number {
  const unsettled = slots.filter((slot) => !slot.settled).map((slot) => Number(slot.position))
  const last = Number(slots.at(-1)?.position ?? 0)
  const over = [...completed, ...slots.map((slot) => Number(slot.position)).filter((position) => position < last)]
  return Math.max(0, ...over.filter((position) => unsettled.every((open) => open > position)))
}
