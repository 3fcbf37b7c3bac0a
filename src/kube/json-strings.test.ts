import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nestsDeeper, StringCollector } from './json-strings.ts'

const PATHS = ['a', 'b.c', 'b.d.e']

function collect(text: string, size = text.length): Record<string, string> {
  const collector = new StringCollector(PATHS)
  const bytes = Buffer.from(text)
  for (let start = 0; start < bytes.length; start += size) collector.push(bytes.subarray(start, start + size))
  return Object.fromEntries(collector.found)
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('depth is counted outside strings only', () => {
  const table: readonly (readonly [string, number])[] = [
    ['1', 0],
    ['{}', 1],
    ['[[1]]', 2],
    ['["[[[[", "\\"[[", "\\\\", [1]]', 2],
    ['{"a":[{"b":[]}],"c":{}}', 4],
  ]
  for (const [text, depth] of table) {
    assert.equal(nestsDeeper(Buffer.from(text), depth), false, text)
    if (depth > 0) assert.equal(nestsDeeper(Buffer.from(text), depth - 1), true, text)
  }
})

test('depth agrees with that of the parsed value', () => {
  const property = fc.property(fc.json({ maxDepth: 8 }), (text) => {
    const depth = depthOf(JSON.parse(text))
    assert.equal(nestsDeeper(Buffer.from(text), depth), false)
    if (depth > 0) assert.equal(nestsDeeper(Buffer.from(text), depth - 1), true)
  })
  fc.assert(property, { numRuns: 500 })
})

test('depth is counted wherever its brackets stand, aligned or not', () => {
  for (let offset = 0; offset < 8; offset++) {
    for (const [opener, closer] of ['[]', '{}']) {
      for (const length of [8, 9, 10, 11]) {
        const text = `${'x'.repeat(offset)}${opener?.repeat(length)}${closer?.repeat(length)}${' '.repeat(offset % 3)}`
        const bytes = Buffer.from(text).subarray(offset)
        assert.equal(nestsDeeper(bytes, length), false, text)
        assert.equal(nestsDeeper(bytes, length - 1), true, text)
        const inString = Buffer.from(`${' '.repeat(offset)}"${opener?.repeat(4 * length)}"`).subarray(offset)
        assert.equal(nestsDeeper(inString, 1), false, text)
      }
    }
  }
})

test('strings are found by path only: not in arrays, not as keys, not deeper, not under a key with dots', () => {
  const text = JSON.stringify({
    'b.c': 'dotted',
    x: { a: 'elsewhere' },
    a: '1 "quoted" \\ é 😀 \u2028',
    list: [{ a: 'x' }, ['a'], { b: { c: 'x' } }],
    b: { a: 'no', list: ['c'], d: { e: 'three', f: { e: 'x' } }, c: 'two' },
    c: { c: 'x' },
  })
  const expected = { a: '1 "quoted" \\ é 😀 \u2028', 'b.d.e': 'three', 'b.c': 'two' }
  for (const size of [1, 2, 3, 1000]) assert.deepEqual(collect(text, size), expected)
})

test('what is no string, or longer than an identity can be, is left out', () => {
  assert.deepEqual(collect('{"a": 1, "b": {"c": null, "d": {"e": true}}}'), {})
  assert.deepEqual(collect(`{"a": "${'x'.repeat(2000)}", "b": {"c": "two"}}`), { 'b.c': 'two' })
  assert.deepEqual(collect(`{"${'a'.repeat(2000)}": "x", "a": "one"}`), { a: 'one' })
})

test('text that is no JSON finds nothing or something, but never throws', () => {
  const property = fc.property(
    fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', 'a', 'b') }),
    (text) => {
      collect(text, 1)
    },
  )
  fc.assert(property, { numRuns: 500 })
})
