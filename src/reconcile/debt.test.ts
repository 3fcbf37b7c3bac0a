import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pod, rv } from '../informer/test-kit.ts'
import type { Timestamp, Uid } from '../kube/object.ts'
import { Debt } from './debt.ts'

const seen = (version: number) =>
  ({
    resourceVersion: rv(version),
    observed: 'watch',
    observedAt: '2026-01-01T00:00:00Z' as Timestamp,
    collapsed: false,
  }) as const
const added = (name: string, version: number) =>
  ({ type: 'Added', object: pod(`shop/${name}`, version, { uid: name }), ...seen(version) }) as const
const updated = (name: string, version: number) =>
  ({
    type: 'Updated',
    object: pod(`shop/${name}`, version, { uid: name }),
    previous: undefined,
    ...seen(version),
  }) as const
const deleted = (name: string, version: number, gone = true) =>
  ({
    type: 'Deleted',
    identity: { namespace: 'shop', name, uid: name as Uid },
    object: undefined,
    finalStateKnown: true,
    gone,
    ...seen(version),
  }) as const
const taken = (debt: Debt) => {
  const names: string[] = []
  for (let next = debt.takeDeparture(); next; next = debt.takeDeparture()) {
    names.push(`${next.identity.name}${next.gone ? '' : ' left'}`)
  }
  return names
}

test('P3 objects that went while nothing was told, or whose deletion was dropped, are to be told of', () => {
  const debt = new Debt(rv(9))
  debt.lose(deleted('dropped', 10))
  debt.miss(updated('a', 11))
  debt.miss(deleted('a', 12))
  debt.miss(deleted('b', 13, false))
  assert.deepEqual(taken(debt), ['dropped', 'a', 'b left'])
  assert.deepEqual(taken(debt), [])
})

test('one that came and went meanwhile was never told of, and is not', () => {
  const debt = new Debt(rv(9))
  debt.miss(added('new', 10))
  debt.miss(updated('new', 11))
  debt.miss(deleted('new', 12))
  assert.deepEqual(taken(debt), [])
})

test('one that left and is back is in the snapshot; when it goes again it is told of', () => {
  const debt = new Debt(rv(9))
  debt.miss(deleted('a', 10, false))
  debt.miss(added('a', 11))
  assert.equal(debt.departures, 0)
  debt.miss(deleted('a', 12, false))
  assert.deepEqual(taken(debt), ['a left'])
})

test('what was told of the debt and is lost again is told again, the gap too; whatever came by then may be known', () => {
  const debt = new Debt(rv(9))
  debt.miss(added('new', 10))
  debt.miss(deleted('a', 11))
  debt.announce()
  assert.deepEqual(taken(debt), ['a'])
  debt.lose(deleted('a', 12))
  assert.equal(debt.announced, false)
  debt.miss(deleted('new', 13))
  assert.deepEqual(taken(debt), ['a', 'new'])
})

test('P7 memory grows with objects, not with changes', () => {
  const debt = new Debt(rv(9))
  for (let version = 10; version < 50_000; version += 3) {
    debt.miss(added(`pod-${version}`, version))
    debt.miss(updated(`pod-${version}`, version + 1))
    debt.miss(deleted(`pod-${version}`, version + 2))
  }
  assert.equal(debt.departures, 0)
})
