import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Copy } from './copy.ts'
import type { Decoded } from './decode.ts'
import { gapId } from './ids.ts'
import { aborted, begin, end, event, gone, item, left, put, rv, stream } from './scripted-events.ts'

const contents = (copy: Copy) =>
  Object.fromEntries([...copy.objects()].map((object) => [object.uid, object.resourceVersion]))

/** As it is sent: without digests. */
const partEnd = event(
  'snapshotEnd',
  'p:end',
  { at: 12, snapshotid: 'p' },
  { snapshot: { mode: 'part', items: 1, deadLettered: 0 } },
)

function copyOf(...events: readonly Decoded[]): Copy {
  const copy = new Copy()
  for (const each of events) copy.apply(each)
  return copy
}

test('added, updated and item put, deleted removes', () => {
  const copy = copyOf(
    put('added', 'a', 1),
    put('updated', 'a', 2),
    put('added', 'b', 3),
    item('c', 1, 3, 's'),
    gone('b', 4),
  )
  assert.deepEqual(contents(copy), { a: '2', c: '1' })
})

test('a known id and a lower sequence change nothing', () => {
  const copy = copyOf(put('added', 'a', 1), put('updated', 'a', 5))
  assert.deepEqual(copy.apply(put('updated', 'a', 5)), { type: 'ignored' })
  assert.deepEqual(copy.apply(put('updated', 'a', 4)), { type: 'ignored' })
  assert.deepEqual(contents(copy), { a: '5' })
})

test('what is served in another version from then on is the same stream, of another source', () => {
  const served = ({ attributes, data }: Decoded): Decoded => {
    const source = 'kubernetes://prod-eu/api/v2/pods'
    return { attributes: { ...attributes, source }, data }
  }
  const copy = copyOf(put('added', 'a', 1), put('added', 'b', 2), served(gone('a', 3)), served(put('updated', 'b', 4)))
  assert.deepEqual(contents(copy), { b: '4' })
  assert.deepEqual(
    [...copy.objects(), ...copy.streams()].map(({ source }) => source),
    ['kubernetes://prod-eu/api/v2/pods', 'kubernetes://prod-eu/api/v2/pods'],
  )
})

test('a version that comes again behind the leave at the same position does not bring the object back', () => {
  const copy = copyOf(put('added', 'a', 5), left('a', 5), put('added', 'a', 5))
  assert.deepEqual(contents(copy), {})
})

test('I2 nothing follows <uid>:deleted, which is applied also with a lower sequence', () => {
  const copy = copyOf(put('added', 'a', 9), gone('a', 7), put('updated', 'a', 12), item('a', 12, 13, 's'))
  assert.deepEqual(contents(copy), {})
})

test('an object that left a selector may come back', () => {
  assert.deepEqual(contents(copyOf(put('added', 'a', 1), left('a', 2), put('added', 'a', 3))), { a: '3' })
})

test('I1 the end of a full snapshot removes what the snapshot does not hold, and the digests match', () => {
  const copy = copyOf(put('added', 'old', 1), put('added', 'kept', 2), begin('s', 10), item('kept', 2, 10, 's'))
  const [old] = [...copy.objects()]
  copy.apply(put('added', 'new', 11))
  assert.equal(old?.uid, 'old')
  const truth = new Map([
    ['kept', 2],
    ['new', 11],
  ])
  assert.deepEqual(copy.apply(end('s', 11, truth)), {
    type: 'noted',
    completed: { snapshotId: 's', removed: [old], digests: 'match' },
  })
  assert.deepEqual(contents(copy), { kept: '2', new: '11' })
})

test('P6 a full snapshot of an empty set empties the copy', () => {
  const copy = copyOf(put('added', 'a', 1), begin('s', 10), end('s', 10, new Map()))
  assert.deepEqual(contents(copy), {})
})

test('what has the very sequence of the begin and is no item is not part of the snapshot', () => {
  const copy = copyOf(put('added', 'a', 10), begin('s', 10), end('s', 10, new Map()))
  assert.deepEqual(contents(copy), {})
})

test('the markers of a complete snapshot may come again', () => {
  const events = [begin('s', 10), item('a', 2, 10, 's'), end('s', 10, new Map([['a', 2]]))]
  assert.deepEqual(contents(copyOf(...events, put('added', 'b', 11), ...events)), { a: '2', b: '11' })
})

test('a begin that comes again does not end the snapshot that runs now, though both have one position', () => {
  const empty = new Map<string, number>()
  const copy = copyOf(begin('s', 10), end('s', 10, empty), put('added', 'old', 10), begin('t', 10), begin('s', 10))
  assert.equal(copy.apply(end('t', 10, empty)).completed?.removed.length, 1)
})

test('an end that comes again is ignored: it does not take the place of one that came before its begin', () => {
  const empty = new Map<string, number>()
  const copy = copyOf(begin('s', 10), end('s', 10, empty), put('added', 'old', 10), end('t', 10, empty))
  assert.deepEqual(copy.apply(end('s', 10, empty)), { type: 'noted' })
  assert.equal(copy.apply(begin('t', 10)).completed?.removed.length, 1)
})

test('a name that is taken again is two objects: the old delete may come last', () => {
  const [old, young] = [put('added', 'a', 1), put('added', 'b', 5)]
  const sameName = { ...young, attributes: { ...young.attributes, subject: 'shop/a' } }
  assert.deepEqual(contents(copyOf(old, sameName, gone('a', 4))), { b: '5' })
})

test('what was deleted while a snapshot ran stays deleted behind its end', () => {
  const copy = copyOf(begin('s', 10), put('added', 'a', 11), gone('a', 12), end('s', 12, new Map()))
  assert.deepEqual(copy.apply(put('added', 'a', 11)), { type: 'ignored' })
})

test('a copy that is not what the sender says it is says so', () => {
  const copy = copyOf(begin('s', 10), item('a', 2, 10, 's'))
  const effect = copy.apply(end('s', 10, new Map([['a', 3]])))
  assert.equal(effect.completed?.digests, 'differ')
})

test('I6 a begin without end, an aborted one and an end of another mode remove nothing', () => {
  const copy = copyOf(put('added', 'a', 1), begin('s', 10), begin('t', 11), aborted('t', 12))
  copy.apply(end('t', 12, new Map()))
  copy.apply(begin('u', 13))
  copy.apply(end('u', 13, new Map(), { mode: 'part' }))
  assert.deepEqual(contents(copy), { a: '1' })
})

test('I6 a part puts what it holds, and removes and compares nothing', () => {
  const copy = copyOf(
    begin('s', 10),
    item('a', 1, 10, 's'),
    item('b', 2, 10, 's'),
    end(
      's',
      10,
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    ),
  )
  for (const each of [begin('p', 12, 'part'), item('b', 11, 12, 'p')]) copy.apply(each)
  assert.deepEqual(copy.apply(partEnd), { type: 'noted' })
  assert.deepEqual(contents(copy), { a: '1', b: '11' })
})

test('where nothing keeps order a part or a delta voids no full snapshot that waits for late items', () => {
  const truth = new Map([['a', 1]])
  const copy = new Copy({ arrival: 'unordered' })
  for (const each of [put('added', 'old', 1), begin('s', 10), end('s', 10, truth), begin('p', 12, 'part'), partEnd])
    copy.apply(each)
  assert.equal([...copy.streams()][0]?.incomplete?.missing, 1)
  assert.equal(copy.apply(item('a', 1, 10, 's')).completed?.removed.length, 1)
  assert.deepEqual(contents(copy), { a: '1' })
})

test('a change that arrives behind the item that showed it, at one position, leaves the object in the snapshot', () => {
  const truth = new Map([
    ['a', 10],
    ['b', 5],
  ])
  const copy = new Copy({ arrival: 'unordered' })
  for (const each of [end('s', 10, truth), begin('s', 10), item('a', 10, 10, 's'), put('added', 'a', 10)])
    copy.apply(each)
  assert.equal([...copy.streams()][0]?.incomplete?.missing, 1)
  assert.equal(copy.apply(item('b', 5, 10, 's')).completed?.digests, 'match')
})

test('the end of a delta snapshot says whether the copy still holds the same objects', () => {
  const truth = new Map([['a', 1]])
  const delta = (id: string, of: ReadonlyMap<string, number>) => end(id, 10, of, { mode: 'delta' })
  const copy = copyOf(begin('r', 10))
  assert.deepEqual(copy.apply(delta('r', truth)), { type: 'noted', checked: 'unknown' })
  for (const each of [begin('s', 10), item('a', 1, 10, 's'), end('s', 10, truth), begin('t', 10)]) copy.apply(each)
  assert.deepEqual(copy.apply(delta('t', truth)), { type: 'noted', checked: 'match' })
  copy.apply(begin('u', 10))
  assert.deepEqual(copy.apply(delta('u', new Map([['b', 1]]))), { type: 'noted', checked: 'differ' })
})

test('an end that overtook items waits for them, also one that overtook its begin', () => {
  const truth = new Map([
    ['a', 1],
    ['b', 2],
  ])
  const copy = copyOf(put('added', 'old', 1), end('s', 10, truth), begin('s', 10), item('a', 1, 10, 's'))
  assert.deepEqual(contents(copy), { old: '1', a: '1' })
  assert.equal(copy.apply(item('b', 2, 10, 's')).completed?.removed.length, 1)
  assert.deepEqual(contents(copy), { a: '1', b: '2' })
})

test('after a complete snapshot what is older than it and about nobody known is stale', () => {
  const copy = copyOf(put('added', 'a', 1), gone('a', 2), begin('s', 10), end('s', 10, new Map()), put('added', 'a', 1))
  assert.deepEqual(contents(copy), {})
})

test('a lower epoch behind a higher one is from a replica that had lost its leadership', () => {
  const behind = put('updated', 'a', 7)
  const zombie = { ...behind, attributes: { ...behind.attributes, epoch: '9' } }
  const first = put('added', 'a', 6)
  const copy = copyOf({ ...first, attributes: { ...first.attributes, epoch: '10' } })
  assert.deepEqual(copy.apply(zombie), { type: 'ignored' })
})

test('a restored server starts everything anew: lower sequences count again, the next snapshot decides', () => {
  const copy = copyOf(put('added', 'a', 50), put('added', 'b', 51), gone('c', 52))
  const restored = event('gap', gapId(stream, rv(52), rv(20)), { at: 20 }, { gap: { cause: 'restored' } })
  for (const each of [restored, begin('s', 20), item('a', 12, 20, 's'), item('c', 13, 20, 's')]) copy.apply(each)
  const truth = new Map([
    ['a', 12],
    ['c', 13],
  ])
  assert.equal(copy.apply(end('s', 20, truth)).completed?.digests, 'match')
  assert.deepEqual(contents(copy), { a: '12', c: '13' })
})

test('a snapshot that holds dead letters is complete without them, and its deletes are learnt', () => {
  const copy = copyOf(put('added', 'a', 5), put('added', 'b', 6), put('added', 'gone', 7))
  for (const each of [begin('s', 20), item('a', 5, 20, 's')]) copy.apply(each)
  const truth = new Map([
    ['a', 5],
    ['b', 6],
  ])
  const { completed } = copy.apply(end('s', 20, truth, { deadLettered: 1 }))
  assert.deepEqual([completed?.removed.map(({ uid }) => uid), completed?.digests], [['b', 'gone'], 'unknown'])
  assert.deepEqual(contents(copy), { a: '5' })
})

test('a restored server is told of by each stream: one of them voids no snapshot of another', () => {
  const copy = copyOf(put('added', 'a', 5), begin('s', 20))
  const gap = event('gap', gapId(stream, rv(52), rv(20)), { at: 20 }, { gap: { cause: 'restored' } })
  copy.apply({ ...gap, attributes: { ...gap.attributes, stream: 'b/pods' } })
  copy.apply(item('a', 5, 20, 's'))
  assert.equal(copy.apply(end('s', 20, new Map([['a', 5]]))).completed?.digests, 'match')
})

test('streams do not touch each other', () => {
  const other = begin('x', 10)
  const copy = copyOf(put('added', 'a', 1), { ...other, attributes: { ...other.attributes, stream: 'b/pods' } })
  const otherEnd = end('x', 10, new Map())
  copy.apply({ ...otherEnd, attributes: { ...otherEnd.attributes, stream: 'b/pods' } })
  assert.deepEqual(contents(copy), { a: '1' })
})
