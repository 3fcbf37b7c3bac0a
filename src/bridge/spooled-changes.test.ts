import assert from 'node:assert/strict'
import { test } from 'node:test'
import { event } from '../delivery/scripted-sink.ts'
import type { ResourceVersion } from '../kube/object.ts'
import { type Slot, Watermark } from '../state/watermark.ts'
import { SpooledChanges } from './spooled-changes.ts'

const rv = (n: number) => `${n}` as ResourceVersion
const at = '2026-01-01T00:00:00.000Z'

function bench() {
  const watermark = new Watermark()
  const lost: (Slot | undefined)[] = []
  const settled: string[] = []
  const changes = new SpooledChanges({
    settle: (slot) => watermark.settle(slot),
    onSettled: ({ attributes }) => settled.push(attributes.id),
    onLost: (slot) => lost.push(slot),
  })
  return { watermark, changes, lost, settled }
}

test('P1 P7 changes on disk hold the watermark until all of them are settled, with one slot', () => {
  const { watermark, changes, settled } = bench()
  watermark.settle(watermark.open(rv(1)))
  for (let n = 2; n <= 1001; n++) changes.add(watermark.open(rv(n)))
  watermark.complete(rv(2000))
  assert.equal(changes.isClosed, true)
  assert.ok(watermark.lag <= 1025, `${watermark.lag} slots`)
  for (let n = 2; n <= 1000; n++) changes.settle(event(`${n}`, 'a'), { type: 'delivered' }, at)
  assert.equal(watermark.value, '1')
  changes.settle(event('last', 'a'), { type: 'delivered' }, at)
  assert.equal(watermark.value, '2000')
  assert.equal(settled.length, 1000)
})

test('items among them have no slot, and what is settled takes no more in', () => {
  const { watermark, changes } = bench()
  changes.add(undefined)
  assert.equal(changes.isClosed, false)
  changes.add(watermark.open(rv(5)))
  watermark.complete(rv(5))
  changes.settle(event('item', 'a'), { type: 'delivered' }, at)
  assert.equal(watermark.value, undefined)
  changes.settle(event('change', 'a'), { type: 'delivered' }, at)
  assert.deepEqual([watermark.value, changes.isClosed], ['5', true])
})

test('what the disk has lost is not settled: whoever makes up for it has the slot', () => {
  const { watermark, changes, lost } = bench()
  const slot = watermark.open(rv(5))
  changes.add(slot)
  changes.add(watermark.open(rv(6)))
  watermark.complete(rv(6))
  changes.settle(event('5', 'a'), { type: 'delivered' }, at)
  changes.lose(1)
  assert.deepEqual([lost, watermark.value, changes.isClosed], [[slot], undefined, true])
})
