import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBytes, parseDuration } from './units.ts'

test('a duration is one number and one unit, in milliseconds', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['15s', 15_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1.5h', 5_400_000],
  ]
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text)
})

test('a size is one number and one unit, in whole bytes', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['512B', 512],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['1GiB', 1_073_741_824],
    ['10kB', 10_000],
    ['1MB', 1_000_000],
    ['1.5KiB', 1536],
  ]
  for (const [text, bytes] of cases) assert.equal(parseBytes(text), bytes, text)
})

test('what is not a duration or a size is refused, with the text and the way to write it', () => {
  for (const text of ['', '15', '15 s', '-1s', '1e3s', 's', '1h30m', '15S', '1constructor', '9999999999999999h']) {
    assert.throws(() => parseDuration(text), { name: 'RangeError', message: /not a duration: .* write it like 500ms/ })
  }
  for (const text of ['', '1', '1 KiB', '1kib', '-1B', '1K', '1toString']) {
    assert.throws(() => parseBytes(text), { name: 'RangeError', message: /not a size: .* write it like 64KiB/ })
  }
})
