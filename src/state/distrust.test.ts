/** F40: what was once seen to be damaged is never believed later, whatever fails and whenever the process dies. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { FailingDisk, type Failure } from '../journal/testing/failing-disk.ts'
import { append, openJournal, type TemporaryFolder, temporaryFolder } from '../journal/testing/kit.ts'
import type { ResourceVersion, Uid } from '../kube/object.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { FileStore } from './file-store.ts'
import type { StateRecord } from './record.ts'

const streams = ['all/pods', 'all/services']
const sinks = ['audit', 'lambdas'].map((name) => ({ name, view: 'v1' }))

function open(path: string, disk: FailingDisk) {
  const told: string[] = []
  const opened = Promise.withResolvers<void>()
  /** It is open, or has failed to be. */
  const tried = Promise.withResolvers<void>()
  const clock = new ManualClock()
  const observer = {
    opened: () => {
      told.push('opened')
      opened.resolve()
      tried.resolve()
    },
    damaged: ({ type }: { readonly type: string }) => told.push(type),
    failed: () => {
      told.push('failed')
      tried.resolve()
    },
    healed: () => told.push('healed'),
    compacted: () => told.push('compacted'),
  }
  const store = new FileStore({ path, fsync: 'always', clock, observer, disk })
  return { store, clock, told, opened: opened.promise, tried: tried.promise }
}

const never: Failure = { at: Number.POSITIVE_INFINITY, how: 'fails' }

function factsOf(stream: string, n: number): readonly StateRecord[] {
  const version = String(n) as ResourceVersion
  return [
    { type: 'stream', stream, definition: 'd1', sinks },
    { type: 'entry', stream, uid: `u${n}` as Uid, key: `shop/u${n}`, told: version, may: 3, has: 3 },
    ...sinks.map(({ name }): StateRecord => ({ type: 'watermark', stream, sink: name, position: version })),
  ]
}

/** Three lives, each with a segment of four writes. */
async function stateFolder(): Promise<TemporaryFolder & { readonly firstNote: Buffer }> {
  const folder = await temporaryFolder()
  let firstNote: Buffer | undefined
  for (const life of [1, 2, 3]) {
    {
      await using store = open(folder.path, new FailingDisk(never)).store
      for (const n of [1, 2]) for (const stream of streams) await store.write(factsOf(stream, 10 * life + n))
    }
    firstNote ??= await readFile(join(folder.path, 'cursor'))
  }
  return { ...folder, firstNote: firstNote ?? Buffer.of() }
}

async function logs(path: string): Promise<readonly [string, string, string]> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.log')).sort()
  const [first = '', second = '', third = ''] = names.map((name) => join(path, name))
  return [first, second, third]
}

async function flip(file: string, what: string): Promise<void> {
  const bytes = await readFile(file)
  bytes.write('x', bytes.indexOf(what))
  await writeFile(file, bytes)
}

const damages: Readonly<Record<string, (path: string, firstNote: Buffer) => Promise<void>>> = {
  async 'cut off between two records'(path) {
    await truncate((await logs(path))[2], 0)
  },
  async 'cut off within a record'(path) {
    const [, , last] = await logs(path)
    await truncate(last, (await stat(last)).size - 3)
  },
  async 'without its last segment'(path) {
    await rm((await logs(path))[2])
  },
  async 'changed in its last segment'(path) {
    await flip((await logs(path))[2], 'u31')
  },
  async 'changed in its first segment'(path) {
    await flip((await logs(path))[0], 'u12')
  },
  async 'changed behind the end that was noted before a kill'(path, firstNote) {
    await flip((await logs(path))[2], 'u32')
    await writeFile(join(path, 'cursor'), firstNote)
  },
  async 'changed before it, and ended later'(path, firstNote) {
    await flip((await logs(path))[1], 'u21')
    await writeFile(join(path, 'cursor'), firstNote)
  },
  async 'of another version at its end'(path) {
    await using journal = await openJournal(path, { segmentBytes: 2 ** 20, notesEnd: 'yes' })
    await append(journal, '[2,["all/pods"]]')
  },
}

/** Opens it on a disk that fails so; once more, after 5 s, if that was not for ever. Whether it has come to the failure. */
async function openOn(path: string, failure: Failure): Promise<boolean> {
  const disk = new FailingDisk(failure)
  const { store, clock, told, opened, tried } = open(path, disk)
  await using _store = store
  await tried
  if (told.includes('failed') && failure.how !== 'dies') {
    await clock.advance(5_000)
    await opened
  }
  const lost = told.filter((one) => one === 'corrupt' || one === 'truncated')
  assert.deepEqual(lost, [...new Set(lost)], 'each damage is told once, however often it is tried')
  if (told.includes('opened') && !disk.hasFailed) await assertUntrusted(store, failure)
  return disk.hasFailed
}

/** No entry of what was damaged is believed, and who is known is owed a snapshot. */
async function assertUntrusted(store: FileStore, ...failures: readonly Failure[]): Promise<number> {
  const after = failures.map(({ at, how }) => `${how} at ${at}`).join(', ')
  let known = 0
  for (const stream of streams) {
    const { definition, entries, debts } = await store.stateOf(stream)
    const owed = definition === undefined ? [] : sinks.map(({ name }) => [name, 'missed'])
    assert.deepEqual([[...entries.keys()], [...debts]], [[], owed], `${stream}, ${after}`)
    if (definition !== undefined) known++
  }
  return known
}

/** So it is at the next start and the one after that, which finds nothing to tell. */
async function assertUntrustedFrom(path: string, ...failures: readonly Failure[]): Promise<void> {
  for (const start of ['next', 'second']) {
    const { store, told } = open(path, new FailingDisk(never))
    await using _store = store
    const known = await assertUntrusted(store, ...failures)
    assert.equal(known, streams.length, `both are known, ${JSON.stringify(failures)}`)
    if (start === 'second') assert.deepEqual(told, ['opened'])
  }
}

async function copyOf(whole: string): Promise<TemporaryFolder> {
  const copy = await temporaryFolder()
  await cp(whole, copy.path, { recursive: true, filter: (path) => !path.endsWith('lock') })
  return copy
}

for (const [name, inflict] of Object.entries(damages)) {
  test(`F40 state ${name} is not believed, whichever operation of its disk fails at the start, or is its last`, async () => {
    await using whole = await stateFolder()
    await inflict(whole.path, whole.firstNote)
    for (const how of ['fails', 'fails late', 'dies'] as const) {
      let at = 1
      for (; ; at++) {
        await using folder = await copyOf(whole.path)
        const failure = { at, how }
        const hasFailed = await openOn(folder.path, failure)
        await assertUntrustedFrom(folder.path, failure)
        if (!hasFailed) break
      }
      assert.ok(at > 20, `${at} operations`)
    }
  })
}

test('F40 nor after any row of deaths, whatever the damage', async () => {
  const wholes = new Map<string, TemporaryFolder>()
  await using resources = new AsyncDisposableStack()
  for (const [name, inflict] of Object.entries(damages)) {
    const whole = resources.use(await stateFolder())
    await inflict(whole.path, whole.firstNote)
    wholes.set(name, whole)
  }
  const failure = fc.record({
    at: fc.integer({ min: 5, max: 70 }),
    how: fc.constantFrom('dies' as const, 'dies' as const, 'fails' as const, 'fails late' as const),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...wholes.values()),
      fc.array(failure, { minLength: 2, maxLength: 5 }),
      async (whole, failures) => {
        await using folder = await copyOf(whole.path)
        for (const one of failures) await openOn(folder.path, one)
        await assertUntrustedFrom(folder.path, ...failures)
      },
    ),
    { numRuns: 60 },
  )
})

test('a failure alone costs no snapshot: an intact state whose last write was torn is believed after each', async () => {
  await using whole = await stateFolder()
  const [, , last] = await logs(whole.path)
  await writeFile(last, Buffer.concat([await readFile(last), Buffer.of(9, 0, 0, 0, 1)]))
  for (const how of ['fails', 'fails late', 'dies'] as const) {
    for (let at = 1; ; at++) {
      await using folder = await copyOf(whole.path)
      const disk = new FailingDisk({ at, how })
      {
        const { store, tried } = open(folder.path, disk)
        await using _store = store
        await tried
      }
      await using store = open(folder.path, new FailingDisk(never)).store
      for (const stream of streams) {
        const { entries, debts } = await store.stateOf(stream)
        assert.deepEqual([entries.size, debts.size], [6, 0], `${how} at ${at}`)
      }
      if (!disk.hasFailed) break
    }
  }
})
