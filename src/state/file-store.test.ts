import assert from 'node:assert/strict'
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { eventually } from '../../test/support/eventually.ts'
import { append, FaultyDisk, openJournal, temporaryFolder } from '../journal/testing/kit.ts'
import type { ResourceVersion, Uid } from '../kube/object.ts'
import { systemClock } from '../lib/clock.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { FileStore, type FileStoreOptions } from './file-store.ts'
import { encodeRecords, type StateRecord } from './record.ts'
import { StreamState } from './stream-state.ts'

const pods = 'all/pods'
const sinks = [
  { name: 'audit', view: 'v1' },
  { name: 'lambdas', view: 'v1' },
]
const defined: StateRecord = { type: 'stream', stream: pods, definition: 'd1', sinks }

function entry(uid: string, told: string | undefined, may = 1, has = may): StateRecord {
  return { type: 'entry', stream: pods, uid: uid as Uid, key: `shop/${uid}`, told: told as ResourceVersion, may, has }
}

function watermark(position: string, sink = 'audit'): StateRecord {
  return { type: 'watermark', stream: pods, sink, position: position as ResourceVersion }
}

function open(path: string, options: Partial<FileStoreOptions> = {}) {
  const told: unknown[] = []
  const observer = {
    opened: ({ streams, objects }: { readonly streams: number; readonly objects: number }) =>
      told.push(['opened', streams, objects]),
    damaged: ({ type }: { readonly type: string }) => told.push(['damaged', type]),
    failed: (problem: string) => told.push(['failed', problem]),
    healed: () => told.push(['healed']),
    compacted: () => told.push(['compacted']),
  }
  const clock = options.clock ?? systemClock
  return { store: new FileStore({ path, fsync: 'always', observer, ...options, clock }), told }
}

/** Everything that is known of the stream, as values. */
const contents = (state: StreamState) => [...state.records()]

async function reopened(path: string, stream = pods) {
  await using store = open(path).store
  return contents(await store.stateOf(stream))
}

test('what was written is there after a restart: the last fact of its kind', async () => {
  await using folder = await temporaryFolder()
  {
    await using store = open(folder.path).store
    await store.write([defined, entry('u1', undefined, 3, 0), entry('u2', '7')])
    await store.write([entry('u1', '9', 3), watermark('9'), watermark('8', 'lambdas')])
    await store.write([
      { type: 'gone', stream: pods, uid: 'u2' as Uid },
      { type: 'debt', stream: pods, sink: 'lambdas', kind: 'missed' },
    ])
  }
  assert.deepEqual(await reopened(folder.path), [
    defined,
    { type: 'debt', stream: pods, sink: 'lambdas', kind: 'missed' },
    entry('u1', '9', 3),
    watermark('9'),
    watermark('8', 'lambdas'),
  ])
  assert.deepEqual(await reopened(folder.path, 'other/pods'), [])
})

test('sinks may come, go and change places: the others keep what is known of them', async () => {
  await using folder = await temporaryFolder()
  {
    await using store = open(folder.path).store
    await store.write([defined, entry('u1', '5', 3, 2), entry('u2', '6', 1), watermark('6'), watermark('5', 'lambdas')])
    const now = [
      { name: 'new', view: 'v1' },
      { name: 'lambdas', view: 'v2' },
    ]
    await store.write([{ type: 'stream', stream: pods, definition: 'd1', sinks: now }])
  }
  assert.deepEqual((await reopened(folder.path)).slice(1), [entry('u1', '5', 2, 2), watermark('5', 'lambdas')])
})

test('after a restore what sinks may hold stays, and no position or version does', async () => {
  await using folder = await temporaryFolder()
  {
    await using store = open(folder.path).store
    await store.write([defined, entry('u1', '5'), watermark('6')])
    await store.write([
      { type: 'restored', stream: pods },
      { type: 'debt', stream: pods, sink: 'audit', kind: 'restored' },
    ])
  }
  assert.deepEqual(await reopened(folder.path), [
    defined,
    { type: 'debt', stream: pods, sink: 'audit', kind: 'restored' },
    entry('u1', undefined),
  ])
})

test('the log is written anew when it has grown, and says the same: the folder does not grow with time', async () => {
  await using folder = await temporaryFolder()
  const { store, told } = open(folder.path, { compactFrom: 20_000 })
  {
    await using _store = store
    const state = await store.stateOf(pods)
    for (let round = 0; round < 300; round++) {
      const records = [
        defined,
        ...Array.from({ length: 20 }, (_, n) => entry(`u${n}`, `${round + 1}`)),
        watermark(`${round + 1}`),
      ]
      for (const record of records) state.apply(record)
      await store.write(records)
    }
  }
  const compactions = told.filter((one) => JSON.stringify(one) === '["compacted"]').length
  assert.ok(compactions >= 3, `${compactions} compactions`)
  const sizes = await Promise.all(
    (await readdir(folder.path)).map(async (name) => (await stat(join(folder.path, name))).size),
  )
  assert.ok(sizes.reduce((sum, size) => sum + size) < 400_000)
  const records = await reopened(folder.path)
  assert.deepEqual(records.at(-1), watermark('300'))
  assert.equal(records.length, 22)
})

test('P7 what is written at once may be as long as a cluster is large: it is cut into frames', async () => {
  await using folder = await temporaryFolder()
  const key = 'a-namespace-with-a-name/'.padEnd(300, 'x')
  const count = 70_000
  {
    await using store = open(folder.path, { fsync: 'none' }).store
    const records = Array.from({ length: count }, (_, n) => ({ ...entry(`u${n}`, '5'), key }))
    await Promise.all([store.write([defined]), store.write(records), store.write([watermark('5')])])
  }
  const state = await reopened(folder.path)
  assert.equal(state.length, count + 2)
  assert.deepEqual(state.at(-1), watermark('5'))
})

test('F39 while the disk is full writes wait, in order, and go on when there is room', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const { store, told } = open(folder.path, { disk, clock })
  {
    await using _store = store
    await store.write([defined])
    disk.fails = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
    const writes = Promise.all([store.write([entry('u1', '5')]), store.write([entry('u1', '6'), watermark('6')])])
    await eventually(() => store.problem !== undefined, { what: 'the store says why it waits' })
    assert.equal(store.problem, `${folder.path}: the disk has no room (ENOSPC): make room, or give its volume more`)
    disk.fails = () => undefined
    await clock.advance(5_000)
    await writes
    assert.equal(store.problem, undefined)
  }
  assert.deepEqual(told.at(-1), ['healed'])
  assert.deepEqual(await reopened(folder.path), [defined, entry('u1', '6'), watermark('6')])
})

test('F40 where bytes have changed the ledger is not relied on: positions of earlier stay, and each sink is owed a copy', async () => {
  await using folder = await temporaryFolder()
  {
    await using store = open(folder.path).store
    await store.write([defined, entry('u1', '5'), watermark('5')])
    await store.write([entry('u2', '6'), watermark('6')])
    await store.write([entry('u3', '7'), watermark('7')])
  }
  const [name = ''] = (await readdir(folder.path)).filter((one) => one.endsWith('.log'))
  const bytes = await readFile(join(folder.path, name))
  bytes.write('x', bytes.indexOf('u2'))
  await writeFile(join(folder.path, name), bytes)
  const owed = sinks.map(({ name: sink }): StateRecord => ({ type: 'debt', stream: pods, sink, kind: 'missed' }))
  const { store, told } = open(folder.path)
  {
    await using _store = store
    assert.deepEqual(contents(await store.stateOf(pods)), [defined, ...owed, watermark('5')])
  }
  assert.deepEqual(told, [
    ['damaged', 'corrupt'],
    ['opened', 1, 0],
  ])
  assert.deepEqual(await reopened(folder.path), [defined, ...owed, watermark('5')], 'it stays so')
})

/** What is left of a folder with three writes when its log is cut at `keep` of its bytes. */
async function cut(folder: string, keep: (length: number) => number) {
  {
    await using store = open(folder).store
    await store.write([defined, entry('u1', '5'), watermark('5')])
    await store.write([entry('u2', '6'), watermark('6')])
    await store.write([entry('u3', '7'), watermark('7')])
  }
  const [name = ''] = (await readdir(folder)).filter((one) => one.endsWith('.log'))
  const { size } = await stat(join(folder, name))
  await truncate(join(folder, name), keep(size))
  return size
}

test('F40 where the log was cut off, between two entries or in one, the ledger is not relied on: it knows nothing of the rest', async () => {
  const owed = sinks.map(({ name: sink }): StateRecord => ({ type: 'debt', stream: pods, sink, kind: 'missed' }))
  const kept = { type: 'stream', stream: pods, definition: 'd1', sinks } as const
  await using whole = await temporaryFolder()
  const size = await cut(whole.path, (length) => length)
  assert.equal((await reopened(whole.path)).length, 5)
  const outcomes = new Set<string>()
  for (let length = 0; length < size; length++) {
    await using folder = await temporaryFolder()
    await cut(folder.path, () => length)
    const { store, told } = open(folder.path)
    await using _store = store
    const found = contents(await store.stateOf(pods))
    assert.ok(
      told.some((one) => JSON.stringify(one) === '["damaged","truncated"]'),
      `cut at ${length}`,
    )
    const [, , position] = found.length > 3 ? [0, 0, found.at(-1)] : []
    if (found.length > 0) assert.deepEqual(found, [kept, ...owed, ...(position ? [position] : [])], `cut at ${length}`)
    outcomes.add(JSON.stringify(found))
  }
  assert.equal(outcomes.size, 3, 'nothing, and the positions of the first and second write')
})

test('F40 what is intact and of another version is set aside, with all behind it, and told', async () => {
  await using folder = await temporaryFolder()
  {
    await using journal = await openJournal(folder.path, { segmentBytes: 2 ** 20 })
    await journal.append([encodeRecords([defined, entry('u1', '5'), watermark('5')])])
    await append(journal, '[2,{"stream":"all/pods"}]')
  }
  const { store, told } = open(folder.path)
  await using _store = store
  const owed = sinks.map(({ name: sink }): StateRecord => ({ type: 'debt', stream: pods, sink, kind: 'missed' }))
  assert.deepEqual(contents(await store.stateOf(pods)), [defined, ...owed, watermark('5')])
  assert.deepEqual(told[0], ['damaged', 'corrupt'])
  assert.ok((await readdir(folder.path)).some((name) => name.endsWith('.damaged')))
})

test('a path that is no folder is waited for, and named with the way out', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state')
  await writeFile(path, 'in its place')
  const clock = new ManualClock()
  const { store } = open(path, { clock })
  await using _store = store
  const opened = store.stateOf(pods)
  await eventually(() => clock.pending > 0, { what: 'it waits for the next try' })
  assert.match(
    store.problem ?? '',
    /state cannot be used \(E(EXIST|NOTDIR): .*\): it must be a folder that this process may read and write$/,
  )
  await rm(path)
  await clock.advance(5_000)
  assert.deepEqual(contents(await opened), [])
})

test('a folder that another process uses is waited for, and named', async () => {
  await using folder = await temporaryFolder()
  const clock = new ManualClock()
  const first = open(folder.path).store
  await first.write([defined])
  const { store, told } = open(folder.path, { clock })
  await using _store = store
  const opened = store.stateOf(pods)
  await eventually(() => clock.pending > 0, { what: 'it waits for the next try' })
  assert.match(store.problem ?? '', /in use|used by/)
  await first[Symbol.asyncDispose]()
  await clock.advance(5_000)
  assert.deepEqual(contents(await opened), [defined])
  assert.deepEqual(told.at(-1), ['healed'])
})

test('what waits for the store when it is closed is refused', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const { store } = open(folder.path, { disk, clock })
  await store.write([defined])
  disk.fails = (operation) => (operation === 'write' ? 'EIO' : undefined)
  const write = store.write([watermark('9')])
  await eventually(() => store.problem !== undefined, { what: 'it waits for the next try' })
  disk.fails = () => undefined
  await Promise.all([assert.rejects(write, /closed/), store[Symbol.asyncDispose]()])
  await assert.rejects(store.write([watermark('9')]), /closed/)
})

test('killed between two portions of a log that is written anew: nothing counts as told that a sink is owed', async () => {
  await using folder = await temporaryFolder()
  const count = 6_000
  {
    await using store = open(folder.path, { fsync: 'none' }).store
    await store.write([defined, ...Array.from({ length: count }, (_, n) => entry(`u${n}`, '5')), watermark('5')])
  }
  const disk = new FaultyDisk()
  const { store } = open(folder.path, { disk, compactFrom: 1_000, clock: new ManualClock() })
  const state = await store.stateOf(pods)
  let writes = 0
  // of the log: the one that makes it due, then the portions
  disk.fails = (operation, path) => {
    if (operation === 'write' && path.endsWith('.log')) writes++
    if (writes === 2) {
      // a queue overflows: known at once, noted soon
      state.apply({ type: 'debt', stream: pods, sink: 'audit', kind: 'missed' })
      for (const one of state.entries.values()) one.told = '9' as ResourceVersion
    }
    return writes > 3 ? 'EIO' : undefined
  }
  await store.write([watermark('5', 'lambdas')])
  await eventually(() => writes > 3, { what: 'the disk is away' })
  await assert.rejects(store[Symbol.asyncDispose](), /EIO/)
  await using again = open(folder.path).store
  const { entries, debts } = await again.stateOf(pods)
  assert.equal(entries.size, count)
  assert.ok([...entries.values()].some(({ told }) => told === '9'))
  assert.deepEqual([...debts], [['audit', 'missed']])
})

test('any history of facts, with restarts and compactions anywhere, is what a map of them is', async () => {
  const sinkName = fc.constantFrom('audit', 'lambdas')
  const uid = fc.integer({ min: 0, max: 5 }).map((n) => `u${n}` as Uid)
  const position = fc.integer({ min: 1, max: 99 }).map((n) => String(n) as ResourceVersion)
  const record: fc.Arbitrary<StateRecord> = fc.oneof(
    fc.record({
      type: fc.constant('entry' as const),
      stream: fc.constant(pods),
      uid,
      key: fc.constant('k'),
      told: fc.option(position, { nil: undefined }),
      may: fc.constantFrom(1, 2, 3),
      has: fc.constantFrom(0, 1, 3),
    }),
    fc.record({ type: fc.constant('gone' as const), stream: fc.constant(pods), uid }),
    fc.record({ type: fc.constant('watermark' as const), stream: fc.constant(pods), sink: sinkName, position }),
    fc.record({
      type: fc.constant('debt' as const),
      stream: fc.constant(pods),
      sink: sinkName,
      kind: fc.constantFrom('missed' as const, undefined),
    }),
  )
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.array(record, { minLength: 1, maxLength: 6 }) },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await using folder = await temporaryFolder()
      const expected = new StreamState(pods)
      expected.apply(defined)
      const start = () => open(folder.path, { compactFrom: 300, fsync: 'none' }).store
      let store = start()
      let state = await store.stateOf(pods)
      const write = async (records: readonly StateRecord[]) => {
        for (const one of records) {
          state.apply(one)
          expected.apply(one)
        }
        await store.write(records)
      }
      await write([defined])
      for (const one of steps) {
        if (one === 'restart') {
          await store[Symbol.asyncDispose]()
          store = start()
          state = await store.stateOf(pods)
        } else {
          await write(one)
        }
      }
      await store[Symbol.asyncDispose]()
      const sorted = (records: readonly StateRecord[]) => records.map((one) => JSON.stringify(one)).sort()
      assert.deepEqual(sorted(await reopened(folder.path)), sorted(contents(expected)))
    }),
    { numRuns: 60 },
  )
})
