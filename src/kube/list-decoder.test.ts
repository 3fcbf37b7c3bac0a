import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultLimits } from './bounded-text.ts'
import { KubeError } from './errors.ts'
import { ListDecoder } from './list-decoder.ts'
import { ListKind } from './list-kind.ts'
import type { ListPage } from './list-watch.ts'
import { type KubeObject, type Resource, unreadReason } from './object.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }

const item = (name: string, more: object = {}) => ({
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '5' },
  ...more,
})
const pod = (name: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'Pod', ...item(name, more) })
const list = (items: unknown, metadata: object = { resourceVersion: '10' }, kind = 'PodList') =>
  JSON.stringify({ kind, apiVersion: 'v1', metadata, items })

function decode(
  text: string | readonly Buffer[],
  { limits = defaultLimits, metadataOnly = false } = {},
): ListPage<KubeObject> {
  const expected = { resource: pods, metadataOnly }
  const decoder = new ListDecoder<KubeObject>(expected, limits, new ListKind(expected))
  for (const chunk of typeof text === 'string' ? [Buffer.from(text)] : text) decoder.push(chunk)
  return decoder.end()
}

const unusable = (message: RegExp) => (error: unknown) =>
  error instanceof KubeError && error.code === 'unusable' && message.test(error.message)

test('items get the apiVersion and kind that lists leave out', () => {
  assert.deepEqual(
    decode(list([item('a'), pod('b')], { resourceVersion: '10', continue: 'next', remainingItemCount: 4 })),
    {
      items: [pod('a'), pod('b')],
      resourceVersion: '10',
      continue: 'next',
    },
  )
})

test('an empty list is a list: [], null and nothing at all', () => {
  const empty = { items: [], resourceVersion: '10' }
  assert.deepEqual(decode(list([])), empty)
  assert.deepEqual(decode(list(null, { resourceVersion: '10', continue: '' })), empty)
  assert.deepEqual(decode('{"kind":"PodList","metadata":{"resourceVersion":"10"}}'), empty)
})

test('a list without a valid resourceVersion is unusable, empty or not', () => {
  for (const metadata of [{}, { resourceVersion: '' }, { resourceVersion: '0' }, { resourceVersion: '007' }]) {
    assert.throws(() => decode(list([], metadata)), unusable(/a list of pods has no usable resourceVersion/))
    assert.throws(() => decode(list([item('a')], metadata)), unusable(/a list of pods has no usable resourceVersion/))
  }
})

test('C23 a Table is rejected, and so is every other kind', () => {
  const table = { kind: 'Table', metadata: { resourceVersion: '10' }, columnDefinitions: [], rows: [{ cells: [1] }] }
  const cases: readonly (readonly [string, RegExp])[] = [
    [JSON.stringify(table), /came as Table, not as PodList/],
    [list([item('a')], undefined, 'SecretList'), /came as SecretList, not as PodList/],
    [list([pod('a', { kind: 'Secret' })]), /is of kind Secret, not Pod/],
    [JSON.stringify({ metadata: { resourceVersion: '10' }, items: [] }), /came as something/],
    [list({ a: 1 }), /has items that are no objects/],
    [list([1, 2]), /has items that are no objects/],
    [list([0]), /has items that are no objects/],
    [list([[]]), /is not a JSON object/],
    [list([{ metadata: { name: 'a', uid: 'u' } }]), /no usable resourceVersion/],
    [list([item('a')]).replace('}}]', '}}{}]'), /is not JSON|no metadata/],
    ['[]', /is not a JSON object/],
    ['', /is not JSON/],
    ['<html>', /is not JSON/],
  ]
  for (const [text, message] of cases) assert.throws(() => decode(text), unusable(message), text)
})

test('a custom resource may name its list as it likes, if its items say what they are', () => {
  assert.equal(decode(list([pod('a')], undefined, 'PodCollection')).items.length, 1)
  assert.throws(() => decode(list([item('a')], undefined, 'PodCollection')), unusable(/came as PodCollection/))
})

test('metadata alone comes as objects of the resource', () => {
  const partial = { ...pod('a'), kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
  const text = list([partial, item('b')], undefined, 'PartialObjectMetadataList')
  assert.deepEqual(decode(text, { metadataOnly: true }).items, [pod('a'), pod('b')])
  assert.throws(() => decode(list([pod('a')]), { metadataOnly: true }), unusable(/PartialObjectMetadata/))
})

test('cut at every byte, and byte by byte, a page is the same page', () => {
  const objects = [
    pod('a', { data: { 'items":[{"x': ['"items":[', '\\"', '{', ']', '😀\u2028'] } }),
    pod('b', { items: [[{}]] }),
  ]
  const text = JSON.stringify({
    items2: [{ a: 1 }],
    'z"items': [{ b: 2 }],
    metadata: { resourceVersion: '10', x: { items: [{}] } },
    items: objects,
    kind: 'PodList',
  })
  for (const bytes of [Buffer.from(text), Buffer.from(JSON.stringify(JSON.parse(text), undefined, 2))]) {
    const whole = decode([bytes])
    assert.deepEqual(whole.items, objects)
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.deepEqual(decode([bytes.subarray(0, cut), bytes.subarray(cut)]), whole, `cut at ${cut}`)
    }
    assert.deepEqual(decode([...bytes].map((byte) => Buffer.from([byte]))), whole)
  }
})

test('a page cut short is unusable wherever it is cut', () => {
  const bytes = Buffer.from(list([item('a'), item('b')]))
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decode([bytes.subarray(0, length)]), unusable(/./), `${length} bytes`)
  }
})

test('any objects come out of a page as JSON.parse would give them', () => {
  const data = fc.array(fc.jsonValue({ maxDepth: 5 }), { maxLength: 6 })
  const property = fc.property(data, fc.array(fc.nat(5000), { maxLength: 10 }), (values, cuts) => {
    const objects = values.map((value, index) => pod(`p${index}`, { value }))
    const bytes = Buffer.from(list(objects))
    const places = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length]
    const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end))
    assert.deepEqual(decode(chunks).items, JSON.parse(JSON.stringify(objects)))
  })
  fc.assert(property, { numRuns: 200 })
})

test('one object too long or too deep among others comes as its identity; the others are whole', () => {
  const deep = JSON.parse(`${'['.repeat(400)}${']'.repeat(400)}`)
  const text = list([item('a'), item('long', { data: 'x'.repeat(9000) }), item('deep', { data: deep }), item('b')])
  const page = decode(text, { limits: { frameBytes: 5000, depth: 300 } })
  assert.deepEqual(page.items.map(unreadReason), [undefined, 'size', 'depth', undefined])
  assert.deepEqual(JSON.parse(JSON.stringify(page.items)), [pod('a'), pod('long'), pod('deep'), pod('b')])
})

test('F55 a page with an object nested 100,000 deep is read', () => {
  const nest = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`
  const text = list([item('a'), item('deep', { data: 0 })]).replace('"data":0', `"data":${nest}`)
  assert.deepEqual(decode(text).items.map(unreadReason), [undefined, 'depth'])
})

test('what stands beside the items is bounded', () => {
  const text = JSON.stringify({ kind: 'PodList', rows: 'x'.repeat(2_000_000), items: [] })
  assert.throws(() => decode([Buffer.from(text)]), unusable(/bytes beside its items/))
})
