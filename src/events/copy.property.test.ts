/** A copy against a model of the bridge, for every way in which events may arrive. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Copy } from './copy.ts'
import type { Decoded } from './decode.ts'
import { type History, randomHistory } from './random-history.ts'
import { eventTypes } from './types.ts'

const steps = fc.array(fc.nat({ max: 9_999 }), { maxLength: 100, size: 'max' })
const choices = fc.infiniteStream(fc.nat())
const runs = { numRuns: 500 }

const isFence = ({ attributes: { type } }: Decoded) => type === eventTypes.snapshotEnd || type === eventTypes.gap
const isMarker = (event: Decoded) => event.attributes.subject === undefined
const held = (...copies: readonly Copy[]) =>
  Object.fromEntries(copies.flatMap((copy) => [...copy.objects()].map((one) => [one.uid, one.resourceVersion])))
const expected = ({ truth }: History) => Object.fromEntries([...truth].map(([uid, version]) => [uid, `${version}`]))

/** As a sink with several attempts at a time delivers: in order per name, and around the fences that the contract names. */
function* inParallel(sent: readonly Decoded[], random: Iterator<number>): Generator<Decoded> {
  const waiting = [...sent]
  while (waiting.length > 0) {
    const ready: number[] = []
    const names = new Set<unknown>()
    for (const [index, event] of waiting.slice(0, 8).entries()) {
      const { type, subject } = event.attributes
      if (isFence(event) ? index === 0 : isMarker(event) || !names.has(subject)) ready.push(index)
      names.add(subject)
      // nothing overtakes a marker; a begin may overtake what was before it
      if (isMarker(event) && type !== eventTypes.snapshotAborted) break
    }
    const chosen = ready[random.next().value % ready.length] ?? 0
    yield* waiting.splice(chosen, 1)
  }
}

/** Some of it again, at once or later: what a sender does that was not answered. */
function* withRepeats(events: Iterable<Decoded>, random: Iterator<number>): Generator<Decoded> {
  const before: Decoded[] = []
  for (const event of events) {
    yield event
    before.push(event)
    const again = before[random.next().value % (before.length * 3)]
    if (again && !isMarker(again)) yield again
  }
}

test('I1 in parallel and repeated, every full end makes the copy equal, and the digests match', () => {
  fc.assert(
    fc.property(steps, choices, (numbers, random) => {
      const history = randomHistory(numbers)
      const copy = new Copy()
      for (const event of withRepeats(inParallel(history.sent, random), random)) {
        const { completed, checked } = copy.apply(event)
        if (completed) assert.equal(completed.digests, 'match')
        if (checked) assert.notEqual(checked, 'differ')
      }
      assert.deepEqual(held(copy), expected(history))
      assert.deepEqual(
        [...copy.streams()].map(({ items, incomplete }) => [items, incomplete]),
        [[history.truth.size, undefined]],
      )
    }),
    runs,
  )
})

test('I1 across restored servers, read again from earlier positions, the copy equals the cluster', () => {
  fc.assert(
    fc.property(steps, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 5 }), (numbers, seeks) => {
      const history = randomHistory(numbers, { restores: true })
      const copy = new Copy()
      let read = 0
      for (const [on, back] of seeks) {
        const to = Math.min(history.sent.length, read + (on % 30))
        for (const event of history.sent.slice(read, to)) copy.apply(event)
        read = back % (to + 1)
      }
      for (const event of history.sent.slice(read)) copy.apply(event)
      assert.deepEqual(held(copy), expected(history))
    }),
    runs,
  )
})

/** In which of the partitions it is: a marker is in each. */
function partitionsOf(event: Decoded, count: number): readonly number[] {
  if (isMarker(event)) return Array.from({ length: count }, (_, partition) => partition)
  return [[...String(event.attributes.subject)].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % count]
}

function partitioned(sent: readonly Decoded[], count: number): Decoded[][] {
  const partitions = Array.from({ length: count }, (): Decoded[] => [])
  for (const event of sent) for (const partition of partitionsOf(event, count)) partitions[partition]?.push(event)
  return partitions
}

test('I1 a copy of each partition: together they are the cluster, also across restored servers', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 2, max: 4 }), (numbers, count) => {
      const history = randomHistory(numbers, { restores: true })
      const copies = partitioned(history.sent, count).map((events) => {
        const copy = new Copy({ arrival: 'partition' })
        for (const event of events) assert.equal(copy.apply(event).completed?.digests ?? 'unknown', 'unknown')
        return copy
      })
      assert.deepEqual(held(...copies), expected(history))
    }),
    runs,
  )
})

test('I1 several partitions into one copy, as they happen to be read: in the end it equals the cluster', () => {
  fc.assert(
    fc.property(steps, choices, fc.integer({ min: 2, max: 4 }), (numbers, random, count) => {
      const history = randomHistory(numbers)
      const partitions = partitioned(history.sent, count)
      const copy = new Copy({ arrival: 'unordered' })
      while (partitions.some(({ length }) => length > 0)) {
        const open = partitions.filter(({ length }) => length > 0)
        const event = open[random.next().value % open.length]?.shift()
        if (event) assert.notEqual(copy.apply(event).completed?.digests, 'differ')
      }
      assert.deepEqual(held(copy), expected(history))
    }),
    runs,
  )
})

test('I1 in any order whatever, with repeats, once all has arrived the copy equals the cluster', () => {
  fc.assert(
    fc.property(steps, choices, (numbers, random) => {
      const history = randomHistory(numbers, { idle: false })
      const shuffled = history.sent
        .map((event) => [random.next().value, event] as const)
        .toSorted(([a], [b]) => a - b)
        .map(([, event]) => event)
      const copy = new Copy({ arrival: 'unordered' })
      for (const event of withRepeats(shuffled, random)) {
        const { completed, checked } = copy.apply(event)
        assert.ok(completed?.digests !== 'differ' && checked !== 'differ')
      }
      assert.deepEqual(held(copy), expected(history))
    }),
    runs,
  )
})
