/** A worker with `whenFull: spool`: what is on disk, what is in memory, and what is sent after a restart. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { append, FaultyDisk, openJournal, temporaryFolder } from '../journal/testing/kit.ts'
import type { Outcome, SharedAck } from './entry.ts'
import { type Bench, type BenchOptions, bench, event, ScriptedSink } from './scripted-sink.ts'
import { DeliveryError } from './sink.ts'
import type { SpoolNews, SpoolOptions } from './spool-log.ts'

const MB = 2 ** 20
const delivered = { type: 'delivered' }

interface SpoolBench extends Bench, AsyncDisposable {
  readonly news: readonly SpoolNews[]
  /** Resolves when it is so. Passes no time. */
  until(what: string, fact: () => boolean): Promise<void>
  /** The process ends, and nothing is said to anybody. */
  kill(): Promise<void>
}

interface SpoolBenchOptions extends BenchOptions {
  readonly spool?: Partial<SpoolOptions>
  /** @default a sink that takes everything */
  readonly answer?: ScriptedSink['respond'] | 'never'
}

async function spoolBench(path: string, settings: SpoolBenchOptions = {}): Promise<SpoolBench> {
  const news: SpoolNews[] = []
  const sink = new ScriptedSink()
  if (settings.answer !== 'never') sink.respond = settings.answer ?? (() => [])
  const spool: SpoolOptions = { path, bytes: 16 * MB, fsync: 'always', ...settings.spool }
  const queue = { events: 8, bytes: MB, ...settings.options?.queue, whenFull: 'spool', spool } as const
  const run = await bench({
    sink,
    ...settings,
    options: { ...settings.options, queue },
    observer: { spool: (one) => news.push(one) },
  })
  const until = async (what: string, fact: () => boolean) => {
    for (let turn = 0; turn < 20_000; turn++) {
      if (fact()) return
      await run.settle()
    }
    throw new Error(`not so: ${what}`)
  }
  const kill = async () => {
    const closed = run.worker.close(AbortSignal.abort())
    await run.settle()
    for (const attempt of [...sink.attempts]) attempt.throw(new Error('killed'))
    await closed
  }
  return { ...run, news, until, kill, [Symbol.asyncDispose]: kill }
}

const isOpen = ({ news }: SpoolBench) => news.some(({ type }) => type === 'opened')
const ids = (count: number, prefix = 'a') => Array.from({ length: count }, (_, n) => `${prefix}${n}`)
const sentIds = ({ sink }: SpoolBench) => sink.sent.flat()

test('an offer resolves when its event is on disk, and its ack is called when it is delivered', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { answer: 'never' })
  const acks: Outcome[] = []
  await run.worker.offer(event('a1', 'a'), (outcome) => acks.push(outcome), new AbortController().signal)
  const [log = ''] = (await readdir(folder.path)).filter((name) => name.endsWith('.log'))
  assert.match(await readFile(join(folder.path, log), 'latin1'), /"id":"a1"/)
  assert.deepEqual(acks, [])
  await run.until('it is sent', () => run.sink.attempts.length === 1)
  run.sink.attempt('a1').answer()
  await run.until('it is acknowledged', () => acks.length > 0)
  assert.deepEqual(acks, [delivered])
  assert.equal(run.worker.stats().spool?.events, 0)
})

test('P7 beyond the limits of the queue events wait on disk, nobody waits, and they are sent in order', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { answer: 'never' })
  for (const id of ids(100)) run.offer(event(id, 'a'))
  await run.until('all are accepted', () => run.accepted.length === 100)
  const { queueEvents, blockedOffers, spool } = run.worker.stats()
  assert.ok(queueEvents <= 8, `${queueEvents} in memory`)
  assert.deepEqual([blockedOffers, spool?.events], [0, 100])
  run.sink.respond = () => []
  run.sink.attempt('a0').answer()
  await run.until('all are delivered', () => run.acks.length === 100)
  assert.deepEqual(sentIds(run), ids(100))
  assert.deepEqual(
    run.acks,
    ids(100).map((id) => [id, delivered]),
  )
  await run.clock.advance(2_000)
  assert.deepEqual(run.worker.stats().spool?.events, 0)
})

test('there is room for snapshots when nothing waits on disk any more, and that is told', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { answer: 'never' })
  await run.until('it is open', () => isOpen(run))
  const rooms: boolean[] = []
  run.worker.onRoom(() => rooms.push(run.worker.hasRoom))
  assert.equal(run.worker.hasRoom, true)
  run.offer(...ids(50).map((id) => event(id, 'a')))
  await run.until('all are accepted', () => run.accepted.length === 50)
  assert.equal(run.worker.hasRoom, false)
  run.sink.respond = () => []
  run.sink.attempt('a0').answer()
  await run.until('there is room again', () => rooms.length > 0)
  assert.equal(run.acks.length, 50)
  assert.deepEqual(rooms, [true])
})

test('P1 what was accepted and not delivered is sent by the next process, first and in order, and acknowledged to nobody', async () => {
  await using folder = await temporaryFolder()
  {
    await using run = await spoolBench(folder.path, { answer: 'never' })
    for (const id of ids(30)) run.offer(event(id, Number(id.slice(1)) % 2 ? 'odd' : 'even'))
    await run.until('all are accepted', () => run.accepted.length === 30)
    await run.until('two are under way', () => run.sink.attempts.length === 2)
  }
  await using run = await spoolBench(folder.path)
  run.offer(event('new', 'even'))
  await run.until('it is empty', () => run.acks.length === 1)
  assert.deepEqual(run.acks, [['new', delivered]])
  const sent = sentIds(run)
  const even = (id: string) => id === 'new' || Number(id.slice(1)) % 2 === 0
  assert.deepEqual(sent.filter(even), [...ids(30).filter(even), 'new'])
  assert.deepEqual(
    sent.filter((id) => !even(id)),
    ids(30).filter((id) => !even(id)),
  )
})

test('what was settled is not sent again after a restart', async () => {
  await using folder = await temporaryFolder()
  {
    await using run = await spoolBench(folder.path)
    run.offer(...ids(20).map((id) => event(id, id)))
    await run.until('all are delivered', () => run.acks.length === 20)
    run.sink.respond = undefined
    run.offer(event('left', 'a'))
    await run.until('it is under way', () => run.sink.attempts.length === 1)
  }
  await using run = await spoolBench(folder.path)
  await run.until('it is sent', () => run.sink.sent.length > 0)
  assert.deepEqual(sentIds(run), ['left'])
})

test('S4 an event that is read back has its smallest form to fall back on, and is never merged', async () => {
  await using folder = await temporaryFolder()
  const small = event('a0', 'a', { dataBytes: 12 })
  {
    await using run = await spoolBench(folder.path, { answer: 'never' })
    run.offer(event('a0', 'a', { dataBytes: 500, smaller: () => small, merge: () => small }))
    await run.until('it is accepted', () => run.accepted.length === 1)
  }
  const sizes: number[] = []
  const answer: ScriptedSink['respond'] = ([one]) => {
    assert.equal(one?.merge, undefined)
    sizes.push(one?.dataBytes ?? 0)
    return sizes.length === 1 ? [{ index: 0, error: new DeliveryError('too-large', '413') }] : []
  }
  await using run = await spoolBench(folder.path, { answer })
  await run.until('it is sent twice', () => sizes.length === 2)
  assert.deepEqual(sizes, [500, 12])
})

test('P6 an end of this process is completed when its turn comes, also from disk; one of an earlier process is aborted', async () => {
  await using folder = await temporaryFolder()
  const end = (id: string) => ({
    ...event(id, 'end', {
      kind: 'end' as const,
      aborted: () => event(`${id}-aborted`, 'aborted', { kind: 'aborted' }),
    }),
    final: () => event(`${id}-final`, 'end', { kind: 'end' }),
  })
  {
    await using run = await spoolBench(folder.path, { answer: 'never' })
    run.offer(
      event('begin', 'begin', { kind: 'begin' }),
      ...ids(20).map((id) => event(id, id, { kind: 'item' })),
      end('e'),
    )
    await run.until('all are accepted', () => run.accepted.length === 22)
    run.sink.respond = () => []
    run.sink.attempt('begin').answer()
    await run.until('all are delivered', () => run.acks.length === 22)
    assert.equal(sentIds(run).at(-1), 'e-final')
    run.sink.respond = undefined
    run.offer(event('begin2', 'begin', { kind: 'begin' }), end('e2'), event('after', 'a'))
    await run.until('all are accepted', () => run.accepted.length === 25)
  }
  await using run = await spoolBench(folder.path)
  await run.until('all are sent', () => run.sink.sent.length >= 3)
  assert.deepEqual(sentIds(run), ['begin2', 'e2-aborted', 'after'])
})

test('a gap with another history drops what its stream has on disk, also after a restart; other streams go on', async () => {
  await using folder = await temporaryFolder()
  const restored = event('gap', 'gap', { kind: 'gap', supersedes: 'stream' })
  const offers = () => [
    ...ids(20, 'old').map((id) => event(id, 'a')),
    ...ids(20, 'other').map((id) => event(id, 'b', { stream: 'nodes' })),
    restored,
    event('new', 'a'),
  ]
  {
    await using run = await spoolBench(folder.path, { answer: 'never' })
    run.offer(...offers())
    await run.until('all are accepted', () => run.accepted.length === 42)
    run.sink.respond = () => []
    for (const {
      ids: [id = ''],
    } of [...run.sink.attempts])
      run.sink.attempt(id).answer()
    await run.until('all are settled', () => run.acks.length === 42)
    const dropped = run.acks.flatMap(([id, { type }]) => (type === 'dropped' ? [id] : []))
    assert.ok(dropped.length >= 14 && dropped.every((id) => id.startsWith('old')), `${dropped}`)
    const sent = sentIds(run)
    assert.deepEqual(
      sent.filter((id) => id.startsWith('other')),
      ids(20, 'other'),
    )
    assert.deepEqual(
      sent.slice(sent.indexOf('gap')).filter((id) => !id.startsWith('other')),
      ['gap', 'new'],
    )
    run.sink.respond = undefined
    run.offer(...offers())
    await run.until('all are accepted', () => run.accepted.length === 84)
  }
  await using run = await spoolBench(folder.path)
  await run.until('the last is sent', () => sentIds(run).includes('new') && sentIds(run).includes('other19'))
  assert.deepEqual(
    sentIds(run).filter((id) => !id.startsWith('other')),
    ['gap', 'new'],
  )
})

test('F39 at its limit offers wait, that is told, and the disk is given free by what is delivered', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { answer: 'never', spool: { bytes: 200_000 } })
  const count = 100
  run.offer(...ids(count).map((id) => event(id, id, { dataBytes: 4_000 })))
  await run.until('it is full', () => run.news.some(({ type }) => type === 'failed'))
  const { spool, blockedOffers } = run.worker.stats()
  assert.match(spool?.problem ?? '', /^it is full: its limit of 200000 bytes is reached$/)
  assert.ok((spool?.bytes ?? 0) <= 200_000)
  assert.ok(blockedOffers > 0)
  assert.ok(run.accepted.length < 60)
  run.sink.respond = () => []
  for (const {
    ids: [id = ''],
  } of [...run.sink.attempts])
    run.sink.attempt(id).answer()
  await run.until('all are delivered', () => run.acks.length === count)
  assert.equal(run.accepted.length, count)
  assert.equal(run.worker.stats().spool?.problem, undefined)
  assert.equal(run.news.at(-1)?.type, 'healed')
  assert.deepEqual(
    run.acks.map(([, { type }]) => type),
    Array(count).fill('delivered'),
  )
})

test('F39 a disk that has no room or fails makes offers wait until it is in order, and order is kept', async () => {
  await using folder = await temporaryFolder()
  const disk = new FaultyDisk()
  await using run = await spoolBench(folder.path, { disk })
  await run.until('it is open', () => isOpen(run))
  disk.fails = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
  run.offer(...ids(5).map((id) => event(id, 'a')))
  await run.until('it is told', () => run.news.some(({ type }) => type === 'failed'))
  assert.match(run.worker.stats().spool?.problem ?? '', /no room \(ENOSPC\)/)
  assert.deepEqual(run.accepted, [])
  disk.fails = (operation) => (operation === 'sync' || operation === 'create' ? 'EIO' : undefined)
  await run.clock.advance(5_000)
  assert.deepEqual(run.accepted, [])
  disk.fails = () => undefined
  await run.clock.advance(5_000)
  await run.until('all are delivered', () => run.acks.length === 5)
  assert.deepEqual(sentIds(run), ids(5))
  assert.equal(run.worker.stats().spool?.problem, undefined)
})

test('a folder that another process has is waited for', async () => {
  await using folder = await temporaryFolder()
  const first = await spoolBench(folder.path)
  await first.until('it is open', () => isOpen(first))
  await using second = await spoolBench(folder.path)
  second.offer(event('a1', 'a'))
  await second.until('it is told', () => second.news.length > 0)
  assert.match(second.worker.stats().spool?.problem ?? '', /is in use by another process/)
  assert.deepEqual(second.accepted, [])
  await first.kill()
  await second.clock.advance(5_000)
  await second.until('it is delivered', () => second.acks.length === 1)
})

test('F40 damage of an older segment is set aside with all later ones, and told; what was before is sent', async () => {
  await using folder = await temporaryFolder()
  {
    await using run = await spoolBench(folder.path, { answer: 'never', spool: { bytes: 80_000 } })
    run.offer(...ids(12).map((id) => event(id, 'a', { dataBytes: 4_000 })))
    await run.until('all are accepted', () => run.accepted.length === 12)
  }
  await damageSegment(folder.path, 2)
  await using run = await spoolBench(folder.path, { spool: { bytes: 80_000 } })
  await run.until('it is open', () => isOpen(run))
  run.offer(event('new', 'a'))
  await run.until('it is delivered', () => run.acks.length === 1)
  const sent = sentIds(run)
  assert.deepEqual(sent, [...ids(sent.length - 1), 'new'])
  assert.ok(sent.length > 2 && sent.length < 12)
  assert.deepEqual(
    run.news.map((one) => (one.type === 'damaged' ? one.damage.type : one.type)),
    ['corrupt', 'opened'],
  )
  assert.match(run.worker.stats().spool?.damage ?? '', /was damaged, and is set aside/)
})

test('F40 what is lost to damage while it waits is told to whoever offered it', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { answer: 'never', spool: { bytes: 80_000 } })
  run.offer(...ids(12).map((id) => event(id, 'a', { dataBytes: 4_000 })))
  await run.until('all are accepted', () => run.accepted.length === 12)
  await damageSegment(folder.path, 4) // those before are in memory, or being read
  run.sink.respond = () => []
  run.sink.attempt('a0').answer()
  await run.until('all are settled', () => run.acks.length === 12)
  const types = run.acks.map(([, { type }]) => type)
  const lost = types.filter((type) => type === 'overflowed').length
  assert.ok(lost > 0 && lost < 12)
  assert.deepEqual(sentIds(run), ids(12 - lost))
  run.offer(event('new', 'a'))
  await run.until('it goes on', () => run.acks.length === 13)
  assert.equal(run.worker.stats().spool?.events, 0)
})

async function damageSegment(folder: string, index: number): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
  const file = join(folder, names[index] ?? '')
  const bytes = await readFile(file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  await writeFile(file, bytes)
}

test('a record of another version is left out, and that is told', async () => {
  await using folder = await temporaryFolder()
  {
    await using journal = await openJournal(folder.path)
    await append(journal, '{"v":2,"event":{}}\n', 'no line')
  }
  await using run = await spoolBench(folder.path)
  run.offer(event('a1', 'a'))
  await run.until('it is delivered', () => run.acks.length === 1)
  assert.deepEqual(
    run.news.map(({ type }) => type),
    ['opened', 'unknown', 'unknown'],
  )
  assert.equal(run.worker.stats().spool?.events, 0)
})

test('P7 what waits on disk shares an ack, so that memory does not grow with it', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { answer: 'never' })
  const settled: string[] = []
  const own: string[] = []
  const shared: SharedAck = {
    settle: ({ attributes }, { type }, offeredAt) => settled.push(`${attributes.id} ${type} ${offeredAt}`),
    lose: () => assert.fail('nothing is lost'),
  }
  const { signal } = new AbortController()
  for (const id of ids(50)) {
    const ack = Object.assign(() => own.push(id), { share: () => shared })
    await run.worker.offer(event(id, 'a'), ack, signal)
  }
  run.sink.respond = () => []
  run.sink.attempt('a0').answer()
  await run.until('all are settled', () => own.length + settled.length === 50)
  assert.ok(own.length <= 6, `${own.length} were in memory`)
  assert.deepEqual(
    settled,
    ids(50)
      .slice(own.length)
      .map((id) => `${id} delivered 2026-01-01T00:00:00.000Z`),
  )
})

test('one that fails for its own fault and fills the disk goes to the dead letters, so that its stream goes on', async () => {
  await using folder = await temporaryFolder()
  const answer: ScriptedSink['respond'] = (batch) =>
    batch[0]?.attributes.id === 'bad' ? [{ index: 0, error: new DeliveryError('failed', '500') }] : []
  await using run = await spoolBench(folder.path, { answer, spool: { bytes: 100_000 } })
  run.offer(event('bad', 'bad'), ...ids(100).map((id) => event(id, id, { dataBytes: 4_000 })))
  for (let turn = 0; turn < 200 && run.acks.length < 101; turn++) await run.clock.advance(1_000)
  await run.until('all are settled', () => run.acks.length === 101)
  const [letter] = run.deadLetters.list()
  assert.deepEqual([letter?.code, letter?.event.attributes.id], ['lane-full', 'bad'])
  assert.match(letter?.reason ?? '', /the spool is full behind it/)
})

test('one that is too large in every form goes to the dead letters without being written', async () => {
  await using folder = await temporaryFolder()
  await using run = await spoolBench(folder.path, { options: { maxEventBytes: 100 } })
  run.offer(event('large', 'a', { dataBytes: 5_000 }), event('a1', 'a'))
  await run.until('both are settled', () => run.acks.length === 2)
  assert.deepEqual(run.acks.map(([id, { type }]) => [id, type]).sort(), [
    ['a1', 'delivered'],
    ['large', 'dead-lettered'],
  ])
  assert.deepEqual(sentIds(run), ['a1'])
})

test('close waits for a sink that is in order, and not for one that is not: what is left stays on disk', async () => {
  await using folder = await temporaryFolder()
  const run = await spoolBench(folder.path, { answer: 'never' })
  run.offer(...ids(20).map((id) => event(id, 'a')))
  await run.until('all are accepted', () => run.accepted.length === 20 && run.sink.attempts.length === 1)
  const closing = run.worker.close(new AbortController().signal)
  await run.settle()
  run.sink.attempt('a0').answer()
  await run.until('the next one is', () => run.sink.attempts.length === 1)
  run.sink.attempt('a1').throw(new DeliveryError('unavailable', '503'))
  assert.deepEqual(await closing, { undelivered: 0, spooled: 19 })
  assert.equal(run.clock.pending, 0)
})

test('what an earlier process has left is told by stream, with its newest position', async () => {
  await using folder = await temporaryFolder()
  const at = (id: string, sequence: string, stream: string) => {
    const plain = event(id, id, { stream })
    return { ...plain, attributes: { ...plain.attributes, sequence } }
  }
  {
    await using run = await spoolBench(folder.path, { answer: 'never' })
    assert.deepEqual([...(await run.worker.spooledPositions)], [])
    run.offer(at('1', '05', 'pods'), at('2', '07', 'pods'), at('3', '06', 'nodes'))
    await run.until('all are accepted', () => run.accepted.length === 3)
  }
  await using run = await spoolBench(folder.path)
  assert.deepEqual(Object.fromEntries(await run.worker.spooledPositions), { pods: '07', nodes: '06' })
})
