import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

const names = ['labelSelector', 'fieldSelector', 'name', 'warn', 'added', 'pods']

test('the nearest name is the one with the fewest edits', () => {
  const cases: [string, string | undefined][] = [
    ['labelSelctor', 'labelSelector'], // one letter missing
    ['labelSelecttor', 'labelSelector'], // one too many
    ['labelSelectro', 'labelSelector'], // two swapped
    ['lableSelectro', 'labelSelector'], // four of thirteen letters at other places, two swaps
    ['LABELSELECTOR', 'labelSelector'], // case costs nothing
    ['feildSelector', 'fieldSelector'],
    ['nam', 'name'],
    ['nome', 'name'],
    ['pod', 'pods'],
    ['warning', 'warn'], // a beginning
    ['add', 'added'],
    ['namespace', 'name'],
  ]
  for (const [word, expected] of cases) assert.equal(nearest(word, names), expected, word)
})

test('of a beginning and a longer name, the one with fewer letters of difference is taken', () => {
  assert.equal(nearest('namespace', ['name', 'resources', 'namespaces']), 'namespaces')
  assert.equal(nearest('warnings', ['warn', 'warning']), 'warning')
})

test('nothing is nearest to a word that shares little with all names', () => {
  for (const word of ['', 'x', 'brokers', 'nxmx', 'p', 'selector']) assert.equal(nearest(word, names), undefined, word)
  assert.equal(nearest('name', []), undefined)
})

test('of two equally near the first is taken', () => {
  assert.equal(nearest('cat', ['bat', 'hat']), 'bat')
  assert.equal(nearest('cat', ['hat', 'bat']), 'hat')
})

test('a word of any length is compared in bounded time', () => {
  assert.equal(nearest('a'.repeat(1_000_000), ['b'.repeat(1_000_000)]), undefined)
})
