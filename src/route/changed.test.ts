import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KubeObject } from '../kube/object.ts'
import { parseExactly } from '../lib/exact-json.ts'
import { changedPointers } from './changed.ts'

const object = (members: unknown): KubeObject => JSON.parse(JSON.stringify(members)) as KubeObject
const changed = (before: unknown, after: unknown) => changedPointers(object(before), object(after))

test('the deepest values that differ are named, values are not', () => {
  assert.deepEqual(
    changed(
      { spec: { replicas: 1, template: { image: 'a' } }, status: { ready: 0 } },
      { spec: { replicas: 2, template: { image: 'a' } }, status: { ready: 0, phase: 'x' } },
    ),
    ['/spec/replicas', '/status/phase'],
  )
})

test('members that are gone are named', () => {
  assert.deepEqual(changed({ data: { a: '1', b: '2' } }, { data: { b: '2' } }), ['/data/a'])
})

test('lists of equal length are compared element by element, others are named as a whole', () => {
  assert.deepEqual(changed({ c: [{ n: 1 }, { n: 2 }], l: [1] }, { c: [{ n: 1 }, { n: 3 }], l: [1, 2] }), [
    '/c/1/n',
    '/l',
  ])
})

test('what changes with every write is silent', () => {
  assert.deepEqual(
    changed(
      { metadata: { resourceVersion: '1', generation: 1, labels: { a: 'b' } } },
      { metadata: { resourceVersion: '2', generation: 2, labels: { a: 'c' } } },
    ),
    ['/metadata/labels/a'],
  )
})

test('names are escaped as RFC 6901 says', () => {
  assert.deepEqual(changed({ data: { 'a/b~c': '1' } }, { data: { 'a/b~c': '2' } }), ['/data/a~1b~0c'])
})

test('F57 a member named like one of Object.prototype is compared like any other', () => {
  assert.deepEqual(changed({ data: {} }, { data: { constructor: 'x', toString: 'y' } }), [
    '/data/constructor',
    '/data/toString',
  ])
  const hostile = JSON.parse('{"data":{"__proto__":"x"}}') as KubeObject
  assert.deepEqual(changedPointers(object({ data: {} }), hostile), ['/data/__proto__'])
})

test('integers that a double cannot hold are compared by their digits', () => {
  const at = (number: string) => parseExactly(Buffer.from(`{"spec":{"id":${number}}}`)) as KubeObject
  assert.deepEqual(changedPointers(at('9223372036854775806'), at('9223372036854775807')), ['/spec/id'])
  assert.deepEqual(changedPointers(at('9223372036854775807'), at('9223372036854775807')), [])
})

test('above a hundred pointers only the top level is named', () => {
  const many = (value: number) => Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, value]))
  assert.deepEqual(changed({ data: many(1), spec: 1 }, { data: many(2), spec: 2 }), ['/data', '/spec'])
})

test('nothing is named exactly when nothing differs', () => {
  fc.assert(
    fc.property(fc.object(), fc.object(), (a, b) => {
      const before = object({ spec: a })
      const after = object({ spec: b })
      const equal = JSON.stringify(sorted(before)) === JSON.stringify(sorted(after))
      assert.equal(changedPointers(before, after).length === 0, equal)
    }),
  )
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)])
}
