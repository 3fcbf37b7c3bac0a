import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

const bytes = (text: string) => Buffer.from(text)

test('the check value of CRC-32C, and the vectors of RFC 3720', () => {
  assert.equal(crc32c(bytes('123456789')), 0xe3069283)
  assert.equal(crc32c(bytes('')), 0)
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e)
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c)
})

test('it is the same byte by byte, for every length and every place in a buffer', () => {
  const all = Uint8Array.from({ length: 300 }, (_, index) => (index * 7919) & 0xff)
  for (let from = 0; from < 9; from++) {
    for (let length = 0; length < 60; length++) {
      const part = all.subarray(from, from + length)
      assert.equal(crc32c(part), slow(part), `${length} bytes from ${from}`)
    }
  }
})

/** By the definition. */
function slow(part: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of part) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
