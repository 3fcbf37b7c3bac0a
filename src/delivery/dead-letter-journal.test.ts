import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../journal/testing/kit.ts'
import { systemClock } from '../lib/clock.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { DeadLetterJournal, type DeadLetterJournalOptions } from './dead-letter-journal.ts'
import type { DeadLetter } from './dead-letters.ts'
import { type EventOptions, event } from './scripted-sink.ts'

const MB = 2 ** 20

function letter(id: string, options: EventOptions & { readonly sink?: string } = {}): DeadLetter {
  const { sink = 'audit', ...rest } = options
  const time = '2026-01-01T00:00:00.000Z'
  return { sink, code: 'rejected', reason: '400 Bad Request', attempts: 2, time, event: event(id, 'a', rest) }
}

interface Opened {
  readonly store: DeadLetterJournal
  /** What the observer was told. */
  readonly told: readonly unknown[]
}

function open(path: string, options: Partial<DeadLetterJournalOptions> = {}): Opened {
  const told: unknown[] = []
  const observer = {
    opened: (events: number) => told.push(['opened', events]),
    damaged: ({ type }: { readonly type: string }) => told.push(['damaged', type]),
    unknown: () => told.push(['unknown']),
    dropped: (events: number) => told.push(['dropped', events]),
    failed: (problem: string) => told.push(['failed', problem]),
    healed: () => told.push(['healed']),
  }
  return { store: new DeadLetterJournal({ path, bytes: MB, clock: systemClock, observer, ...options }), told }
}

async function eventIds(store: DeadLetterJournal, sink?: string): Promise<readonly string[]> {
  return (await store.page({ sink, limit: 100_000 })).map((one) => one.event.attributes.id)
}

/** Resolves when the store is open. */
const ready = (store: DeadLetterJournal) => store.remove([])

test('dead letters survive a restart as they were, but for the closures of their events', async () => {
  await using folder = await temporaryFolder()
  const one = letter('1')
  const bare: DeadLetter = { ...letter('2'), event: { ...event('2', 'b'), data: undefined, dataBytes: 0 } }
  {
    await using first = open(folder.path).store
    await first.add(one)
    await first.add(bare)
  }
  const { store, told } = open(folder.path)
  await using _store = store
  await ready(store)
  assert.deepEqual(told, [['opened', 2]])
  const [a, b] = await store.page({ limit: 10 })
  assert.deepEqual({ ...a, id: '' }, { ...one, id: '' })
  assert.deepEqual({ ...b, id: '' }, { ...bare, id: '' })
  assert.deepEqual(await store.get(a?.id ?? ''), a)
  assert.deepEqual([await store.get('1'), await store.get('nonsense')], [undefined, undefined])
})

test('what reads while the folder is being opened waits for that, and is told if it fails', async () => {
  await using folder = await temporaryFolder()
  {
    await using first = open(folder.path).store
    await first.add(letter('1'))
  }
  {
    await using store = open(folder.path).store
    assert.deepEqual(await eventIds(store), ['1'])
  }
  {
    await using store = open(folder.path).store
    assert.equal((await store.ids()).length, 1)
  }
  const file = join(folder.path, 'no-folder')
  await writeFile(file, '')
  await using store = open(file).store
  await assert.rejects(store.ids(), /the dead letters cannot be read: .*no-folder/)
})

test('what was removed does not come back, and its place on the disk is given free', async () => {
  await using folder = await temporaryFolder()
  {
    await using first = open(folder.path).store
    for (let n = 0; n < 20; n++) await first.add(letter(`${n}`, { dataBytes: 40_000 }))
    const ids = await first.ids()
    await first.remove([...ids.slice(0, 18), 'nonsense'])
  }
  const { store } = open(folder.path)
  await using _store = store
  await ready(store)
  assert.deepEqual(await eventIds(store), ['18', '19'])
  const files = (await readdir(folder.path)).filter((name) => name.endsWith('.log'))
  assert.ok(files.length <= 2, `${files}`)
  await store.remove(await store.ids())
  assert.deepEqual(store.stats(), { events: 0, bytes: 0, dropped: 0, problem: undefined })
})

test('nor does one that was removed from between others', async () => {
  await using folder = await temporaryFolder()
  {
    await using first = open(folder.path).store
    for (const id of ['1', '2', '3']) await first.add(letter(id))
    const [, second = ''] = await first.ids()
    await first.remove([second])
  }
  await using store = open(folder.path).store
  await ready(store)
  assert.deepEqual(await eventIds(store), ['1', '3'])
})

test('it can be read by sink and page by page', async () => {
  await using folder = await temporaryFolder()
  await using store = open(folder.path).store
  for (const id of ['1', '2', '3', '4', '5']) await store.add(letter(id, { sink: Number(id) % 2 ? 'odd' : 'even' }))
  assert.deepEqual(await eventIds(store, 'even'), ['2', '4'])
  const [, second] = await store.page({ limit: 2 })
  const rest = await store.page({ after: second?.id, limit: 2 })
  assert.deepEqual(
    rest.map((one) => one.event.attributes.id),
    ['3', '4'],
  )
  assert.equal((await store.ids('odd')).length, 3)
})

test('P7 it is bounded in bytes; what newer ones push out is told, and is gone after a restart too', async () => {
  await using folder = await temporaryFolder()
  const count = 100
  {
    const { store, told } = open(folder.path)
    await using _store = store
    for (let n = 0; n < count; n++) await store.add(letter(`${n}`, { dataBytes: 30_000 }))
    const { events, dropped, bytes } = store.stats()
    assert.equal(events + dropped, count)
    assert.ok(bytes <= MB && bytes > MB / 2, `${bytes}`)
    const told_ = told.flatMap((one) => (Array.isArray(one) && one[0] === 'dropped' ? [Number(one[1])] : []))
    assert.equal(
      told_.reduce((sum, one) => sum + one, 0),
      dropped,
    )
    assert.equal((await eventIds(store))[0], `${dropped}`)
  }
  const { store } = open(folder.path)
  await using _store = store
  await ready(store)
  assert.equal((await eventIds(store)).at(-1), '99')
})

test('an event that is too large for the store is kept in its smallest form; others keep that form beside them', async () => {
  await using folder = await temporaryFolder()
  await using store = open(folder.path).store
  const reference = (id: string) => event(id, 'a', { dataBytes: 20 })
  const middle = (id: string) => event(id, 'a', { dataBytes: 500, smaller: () => reference(id) })
  await store.add(letter('large', { dataBytes: MB, smaller: () => middle('large') }))
  await store.add(letter('fits', { dataBytes: 1000, smaller: () => middle('fits') }))
  const [large, fits] = await store.page({ limit: 2 })
  assert.deepEqual([large?.event.dataBytes, large?.event.smaller], [20, undefined])
  assert.deepEqual([fits?.event.dataBytes, fits?.event.smaller?.()?.dataBytes], [1000, 20])
  assert.equal(fits?.event.smaller?.()?.smaller, undefined)
})

test('F40 damage is named at the start and takes only what it hit; the store goes on', async () => {
  await using folder = await temporaryFolder()
  {
    await using store = open(folder.path).store
    for (let n = 0; n < 20; n++) await store.add(letter(`${n}`, { dataBytes: 40_000 }))
  }
  const [, second = ''] = (await readdir(folder.path)).filter((name) => name.endsWith('.log')).sort()
  const file = join(folder.path, second)
  const bytes = await readFile(file)
  bytes.write('damage', 50_000)
  await writeFile(file, bytes)
  {
    const { store, told } = open(folder.path)
    await using _store = store
    await ready(store)
    const ids = await eventIds(store)
    assert.deepEqual(told, [
      ['damaged', 'corrupt'],
      ['opened', ids.length],
    ])
    const all = Array.from({ length: 20 }, (_, n) => `${n}`)
    assert.deepEqual(
      ids,
      all.filter((id) => id !== '4' && id !== '5'),
    )
    await store.add(letter('new'))
  }
  const { store, told } = open(folder.path)
  await using _store = store
  await ready(store)
  assert.equal(told.length, 1)
  assert.ok((await eventIds(store)).includes('new'))
})

test('F40 damage that comes while it is open takes what it hit when that is read', async () => {
  await using folder = await temporaryFolder()
  const { store, told } = open(folder.path)
  await using _store = store
  for (let n = 0; n < 8; n++) await store.add(letter(`${n}`, { dataBytes: 40_000 }))
  const [, second = ''] = (await readdir(folder.path)).filter((name) => name.endsWith('.log')).sort()
  const bytes = await readFile(join(folder.path, second))
  bytes.write('damage', 500)
  await writeFile(join(folder.path, second), bytes)
  const ids = await eventIds(store)
  assert.deepEqual(ids, ['0', '1', '2', '6', '7'])
  assert.deepEqual(told.at(-1), ['damaged', 'corrupt'])
  assert.equal(store.stats().events, 5)
})

test('a folder that cannot be used is told and tried again; what is to be kept waits, and nothing is lost', async () => {
  await using folder = await temporaryFolder()
  const clock = new ManualClock()
  const path = join(folder.path, 'store')
  await writeFile(path, 'a file in its place')
  const { store, told } = open(path, { clock })
  await using _store = store
  let kept = false
  const adding = store.add(letter('1')).then(() => {
    kept = true
  })
  await clock.advance(0)
  while (told.length === 0) await clock.advance(0)
  assert.match(String(told[0]), /EEXIST|ENOTDIR/)
  await assert.rejects(store.ids(), { message: /^the dead letters cannot be read: \/.* cannot be used \(E/ })
  assert.equal(kept, false)
  await rm(path)
  while (!kept) await clock.advance(1_000)
  await adding
  assert.deepEqual(await eventIds(store), ['1'])
  assert.deepEqual(told.slice(-2), [['opened', 0], ['healed']])
})

/** Only root may mount one. */
const mayMount = process.getuid?.() === 0

if (mayMount)
  test('F39 on a full disk what is to be kept waits; a replay makes room, and nothing is dropped', async () => {
    await using folder = await temporaryFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'deltawire-test', folder.path])
    try {
      const clock = new ManualClock()
      const { store, told } = open(folder.path, { clock, bytes: MB })
      await using _store = store
      const isFull = () => told.some((one) => String(one).startsWith('failed'))
      const adding: Promise<void>[] = []
      while (!isFull()) {
        adding.push(store.add(letter(`${adding.length}`, { dataBytes: 30_000 })))
        while (store.stats().events < adding.length && !isFull()) await clock.advance(2)
      }
      assert.deepEqual(told.at(-1), ['failed', 'the disk has no room (ENOSPC)'])
      const kept = await store.ids()
      assert.equal(kept.length, adding.length - 1)
      const removing = store.remove(kept.slice(0, 10))
      while (store.stats().problem !== undefined) await clock.advance(5_000)
      await clock.advance(2)
      while ((await store.ids()).length < adding.length - 10) await clock.advance(2)
      await Promise.all([...adding, removing])
      assert.deepEqual(await eventIds(store), adding.map((_, n) => `${n}`).slice(10))
      assert.equal(store.stats().dropped, 0)
    } finally {
      execFileSync('umount', [folder.path])
    }
  })

test('a store that is closed keeps nothing more: what waits is not settled', async () => {
  await using folder = await temporaryFolder()
  const { store } = open(folder.path)
  await store.add(letter('1'))
  await store[Symbol.asyncDispose]()
  await assert.rejects(store.add(letter('2')), { message: 'the dead letters are closed' })
})
