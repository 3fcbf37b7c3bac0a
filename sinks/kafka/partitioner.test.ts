import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { murmur2, partitionOf } from './partitioner.ts'

for (const [key, hash] of [
  ['21', -973932308],
  ['foobar', -790332482],
  ['abc', 479470107],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
] as const) {
  test(`the hash of ${key} is that of the Java client`, () => {
    assert.equal(murmur2(Buffer.from(key)), hash)
    assert.equal(partitionOf(key, 7), (hash & 0x7fffffff) % 7)
  })
}

test('every key has one of the partitions, by its UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 10_000 }), (key, partitions) => {
      const partition = partitionOf(key, partitions)
      assert.ok(Number.isInteger(partition) && partition >= 0 && partition < partitions)
    }),
  )
})
