import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Table, type TableEvent, type Version } from './table.ts'

function version(key: string, revision: number): Version {
  const [namespace = '', name = ''] = key.split('/')
  return { key, namespace, name, revision: BigInt(revision), labels: {}, fields: {}, body: `"revision":${revision}}` }
}

/** Writes the keys one after the other, revision by revision from 1: an object that is there is changed, or else created. */
function write(table: Table, revision: number, key: string, how: 'put' | 'delete'): void {
  const previous = table.get(key)
  if (how === 'delete' && !previous) return
  const type = how === 'delete' ? 'DELETED' : previous ? 'MODIFIED' : 'ADDED'
  table.apply({ type, version: version(key, revision), previous })
}

function keysAt(table: Table, revision: number): readonly string[] | undefined {
  return table.snapshot(BigInt(revision))?.map(({ key }) => key)
}

function eventsFrom(table: Table, sequence: number): readonly TableEvent[] {
  const events: TableEvent[] = []
  for (let next = sequence; ; next++) {
    const event = table.eventAt(next)
    if (event === undefined) return events
    if (event === 'lost') assert.fail(`event ${next} is lost`)
    events.push(event)
  }
}

test('a snapshot of any revision in the history is the state that was', () => {
  const operation = fc.record({
    key: fc.constantFrom('a/x', 'a/y', 'a-b/x', 'b/x', 'b/z'),
    how: fc.constantFrom('put', 'put', 'delete'),
  })
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 40 }),
      fc.array(fc.nat(45), { maxLength: 10 }),
      (operations, asked) => {
        const table = new Table(0n, 1_000)
        const states = [new Map<string, number>()]
        for (const [index, { key, how }] of operations.entries()) {
          const state = new Map(states.at(-1))
          if (how === 'put') state.set(key, index + 1)
          else state.delete(key)
          states.push(state)
          write(table, index + 1, key, how === 'put' ? 'put' : 'delete')
          // Asked in between, too: snapshots are kept for the next page
          for (const revision of asked) if (revision <= index + 1) table.snapshot(BigInt(revision))
        }
        for (const [revision, state] of states.entries()) {
          const expected = [...state].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, at]) => `${key}@${at}`)
          const snapshot = table.snapshot(BigInt(revision)) ?? assert.fail(`no snapshot at ${revision}`)
          assert.deepEqual(
            snapshot.map(({ key, revision: at }) => `${key}@${at}`),
            expected,
          )
        }
      },
    ),
  )
})

test('restoring a revision brings the state back, and the events after it are gone', () => {
  const table = new Table(0n, 1_000)
  write(table, 1, 'a/x', 'put')
  write(table, 2, 'a/y', 'put')
  write(table, 3, 'a/x', 'delete')
  assert.equal(table.restore(2n), true)
  assert.deepEqual([keysAt(table, 2), table.countIn('a'), table.end], [['a/x', 'a/y'], 2, 2])
  write(table, 3, 'a/z', 'put')
  assert.deepEqual(keysAt(table, 3), ['a/x', 'a/y', 'a/z'])
})

test('a table that is younger than the revision to restore does not survive it', () => {
  assert.equal(new Table(5n, 10).restore(4n), false)
})

test('the history is bounded: older events are lost, and the floor for watches and lists rises', () => {
  const table = new Table(0n, 10)
  for (let revision = 1; revision <= 100; revision++) write(table, revision, 'a/x', 'put')
  const floor = table.watchFloor
  assert.ok(floor >= 80n && floor <= 90n, `the floor is ${floor}`)
  assert.equal(table.eventAt(0), 'lost')
  assert.deepEqual(eventsFrom(table, table.sequenceAfter(floor)).map((event) => event.version.revision)[0], floor + 1n)
  assert.equal(table.snapshot(floor - 1n), undefined)
  assert.deepEqual(keysAt(table, Number(floor)), ['a/x'])
})

test('after compaction lists and watches begin at the compacted revision', () => {
  const table = new Table(0n, 1_000)
  for (let revision = 1; revision <= 5; revision++) write(table, revision, `a/${revision}`, 'put')
  table.compact(3n)
  assert.deepEqual([table.watchFloor, keysAt(table, 2), keysAt(table, 3)], [3n, undefined, ['a/1', 'a/2', 'a/3']])
  assert.equal(eventsFrom(table, table.sequenceAfter(3n)).length, 2)
})

test('raising the floor for watches leaves lists of older revisions alone', () => {
  const table = new Table(0n, 1_000)
  for (let revision = 1; revision <= 5; revision++) write(table, revision, `a/${revision}`, 'put')
  table.raiseWatchFloor(5n)
  assert.deepEqual([table.watchFloor, keysAt(table, 2)], [5n, ['a/1', 'a/2']])
})

test('before a table was made it was empty', () => {
  const table = new Table(7n, 10)
  write(table, 8, 'a/x', 'put')
  assert.deepEqual([keysAt(table, 3), keysAt(table, 7), keysAt(table, 8)], [[], [], ['a/x']])
})

test('keys sort by namespace and name as etcd sorts them', () => {
  const table = new Table(0n, 10)
  for (const [index, key] of ['b/x', 'a/x', 'a-b/x', 'a/b'].entries()) write(table, index + 1, key, 'put')
  assert.deepEqual(keysAt(table, 4), ['a-b/x', 'a/b', 'a/x', 'b/x'])
})
