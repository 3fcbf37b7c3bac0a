import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isExactNumber, parseExactly } from './exact-json.ts'

const through = (text: string) => JSON.stringify(parseExactly(Buffer.from(text)))

test('numbers that a double cannot hold keep every digit', () => {
  for (const number of [
    '9223372036854775807',
    '-9223372036854775808',
    '12345678901234567890123',
    '0.12345678901234567890',
    '9007199254740993',
  ]) {
    assert.equal(through(`{"a":[${number}]}`), `{"a":[${number}]}`)
  }
})

test('numbers that a double can hold are plain numbers, beside others too', () => {
  const { a, b } = parseExactly(Buffer.from('{"a":42,"b":9223372036854775807}')) as {
    readonly a: unknown
    readonly b: unknown
  }
  assert.deepEqual([a, isExactNumber(a), isExactNumber(b)], [42, false, true])
})

test('long digits in strings are strings', () => {
  assert.deepEqual(parseExactly(Buffer.from('{"rv":"12345678901234567890"}')), { rv: '12345678901234567890' })
})

test('every 64-bit integer comes through, wherever it stands', () => {
  const value = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n })
  fc.assert(
    fc.property(fc.string(), value, fc.nat(40), (name, number, padding) => {
      const text = `{${JSON.stringify(`${' '.repeat(padding)}${name}`)}:${number},"after":{"list":[${number}]}}`
      assert.equal(through(text), text)
    }),
  )
})

test('what is no JSON is refused', () => {
  for (const text of ['', '{', '{"a":1234567890123456789', '[12345678901234567890,]']) {
    assert.throws(() => parseExactly(Buffer.from(text)), SyntaxError)
  }
})
