/** Where a stream begins, by what is remembered of it and what its server still has. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pod, rv } from '../informer/test-kit.ts'
import type { ResourceVersion, Uid } from '../kube/object.ts'
import type { StateRecord } from '../state/record.ts'
import type { Kept } from '../state/store.ts'
import { StreamState } from '../state/stream-state.ts'
import { type PastOfServer, planStart, type SinkOnLadder, type StartPlan } from './ladder.ts'

const stream = 's/pods'
const sinks: readonly SinkOnLadder[] = [
  { name: 'audit', view: 'v', required: true },
  { name: 'cache', view: 'v', required: true },
  { name: 'extra', view: 'v', required: false },
]

/** As an earlier process left it, with these watermarks. */
function remembered(watermarks: Readonly<Record<string, number>>, ...records: readonly StateRecord[]): StreamState {
  const state = new StreamState(stream)
  state.apply({ type: 'stream', stream, definition: 'd', sinks: sinks.map(({ name, view }) => ({ name, view })) })
  for (const [sink, version] of Object.entries(watermarks)) {
    state.apply({ type: 'watermark', stream, sink, position: rv(version) })
  }
  for (const record of records) state.apply(record)
  return state
}

function held(key: string, uid: string, told?: number): StateRecord {
  return { type: 'entry', stream, uid: uid as Uid, key, told: told ? rv(told) : undefined, may: 1, has: 1 }
}

/** Its newest version, and from which on it still has the past. */
class PastServer implements PastOfServer {
  readonly asked: ResourceVersion[] = []
  readonly #newest: number
  readonly #from: number

  constructor(newest: number, from = 0) {
    this.#newest = newest
    this.#from = from
  }

  async newest() {
    return rv(this.#newest)
  }

  async listedAt(version: ResourceVersion) {
    this.asked.push(version)
    return Number(version) < this.#from ? undefined : [pod('shop/a', 3)]
  }
}

interface Start {
  readonly state: StreamState
  readonly server: PastOfServer
  readonly keeps?: Kept
  readonly definition?: string
  readonly now?: readonly SinkOnLadder[]
}

function plan({ state, server, keeps = 'ledger', definition = 'd', now = sinks }: Start): Promise<StartPlan> {
  const typeMeta = { apiVersion: 'v1', kind: 'Pod' }
  return planStart({ state, server, keeps, definition, sinks: now, typeMeta }, new AbortController().signal)
}

/** What each sink is owed, and why. */
function owed({ sinks: starts }: StartPlan): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...starts].flatMap(([name, { debt }]) => (debt ? [[name, `${debt.kind} ${debt.cause}`]] : [])),
  )
}

test('P3 F16 what is not served any more is compared with nothing, from the newest version that was told on', async () => {
  const server: PastOfServer = {
    newest: async () => undefined,
    listedAt: async () => assert.fail('nobody can be asked'),
  }
  const state = remembered({ audit: 40, cache: 41 }, held('shop/a', 'a1', 42), held('shop/b', 'b1', 7))
  const { rung, informer, notBefore, isRestored } = await plan({ state, server, now: sinks.slice(0, 2) })
  assert.deepEqual([rung, notBefore, isRestored], ['compare', undefined, false])
  assert.ok(informer?.type === 'Compare')
  assert.deepEqual(
    [informer.resourceVersion, informer.objects.map(({ metadata }) => metadata.uid)],
    ['42', ['a1', 'b1']],
  )
  for (const { name } of sinks.slice(0, 2)) state.debts.set(name, 'missed')
  const indebted = await plan({ state, server, now: sinks.slice(0, 2) })
  assert.equal(indebted.rung, 'compare', 'also where all are owed a catch-up: only that shows that all is gone')
})

test('P1 a stream goes on from what all required sinks have settled, and tells none of them anything twice', async () => {
  const server = new PastServer(50)
  const found = await plan({ state: remembered({ audit: 40, cache: 42, extra: 45 }), server })
  assert.deepEqual([found.rung, server.asked, found.notBefore], ['replay', ['40'], '50'])
  assert.deepEqual([found.informer?.type, found.informer?.resourceVersion], ['Resume', '40'])
  assert.deepEqual(owed(found), {})
  for (const [name, watermark] of [
    ['audit', '40'],
    ['cache', '42'],
    ['extra', '45'],
  ] as const) {
    const start = found.sinks.get(name)
    assert.deepEqual([start?.watermark, start?.skips], [watermark, 'settled'])
  }
})

test('where no sink is required, the one that is furthest behind decides', async () => {
  const now = sinks.map((sink) => ({ ...sink, required: false }))
  const found = await plan({ state: remembered({ audit: 40, cache: 42, extra: 9 }), server: new PastServer(50), now })
  assert.equal(found.informer?.resourceVersion, '9')
})

test('P3 what the server no longer has is compared with what sinks hold; optional ones are owed a catch-up', async () => {
  const state = remembered({ audit: 40, cache: 42, extra: 45 }, held('shop/a', 'a', 12), held('shop/b', 'b'))
  const found = await plan({ state, server: new PastServer(50, 41) })
  assert.deepEqual([found.rung, found.informer?.type, found.informer?.resourceVersion], ['compare', 'Compare', '40'])
  assert.deepEqual(
    found.informer?.objects.map(({ metadata: { uid, resourceVersion } }) => [uid, resourceVersion]),
    [
      ['a', '12'],
      ['b', '1'],
    ],
    'a version that no object has stands for one that is not known',
  )
  assert.deepEqual(owed(found), { extra: 'missed restart' })
})

test('of several objects that had one name, only the newest is compared: the others are gone', async () => {
  const state = remembered({ audit: 40, cache: 40, extra: 40 }, held('shop/a', 'old', 12), held('shop/a', 'new', 30))
  const found = await plan({ state, server: new PastServer(50, 41) })
  assert.deepEqual(
    found.informer?.objects.map(({ metadata }) => metadata.uid),
    ['new'],
  )
})

test('nothing remembered: each is owed a full snapshot; by one required sink: that one is', async () => {
  const server = new PastServer(50)
  const first = await plan({ state: new StreamState(stream), server, keeps: 'nothing' })
  assert.deepEqual([first.rung, first.informer, server.asked], ['announce', undefined, []])
  assert.deepEqual(owed(first), { audit: 'new restart', cache: 'new restart', extra: 'new restart' })
  const second = await plan({ state: remembered({ audit: 40, extra: 40 }), server })
  assert.deepEqual([second.rung, second.informer?.resourceVersion], ['replay', '40'])
  assert.deepEqual(owed(second), { cache: 'new restart' })
})

test('F13 a restored server is announced until the catch-up has ended, also when it has overtaken what was known', async () => {
  const lower = await plan({ state: remembered({ audit: 40, cache: 60, extra: 40 }), server: new PastServer(50) })
  assert.deepEqual([lower.rung, lower.isRestored, lower.informer], ['announce', true, undefined])
  const restored = { audit: 'restored restored', cache: 'restored restored', extra: 'restored restored' }
  assert.deepEqual(owed(lower), restored)
  const noted = { type: 'debt', stream, sink: 'audit', kind: 'restored' } as const
  const killed = await plan({ state: remembered({ cache: 40, extra: 40 }, noted), server: new PastServer(900) })
  assert.equal(killed.isRestored, true)
  assert.deepEqual(owed(killed), restored)
})

test('F13 a version of an object that the server does not know yet shows it too: the watermark of a quiet stream is behind', async () => {
  const watermarks = { audit: 40, cache: 40, extra: 40 }
  const quiet = await plan({ state: remembered(watermarks, held('shop/a', 'a', 60)), server: new PastServer(50) })
  assert.deepEqual([quiet.rung, quiet.isRestored], ['announce', true])
  const known = await plan({ state: remembered(watermarks, held('shop/a', 'a', 50)), server: new PastServer(50) })
  assert.deepEqual([known.rung, known.isRestored], ['replay', false])
})

test('a debt is owed on every rung until it is repaid, whatever the watermark says', async () => {
  const noted = { type: 'debt', stream, sink: 'cache', kind: 'missed' } as const
  for (const [server, rung] of [
    [new PastServer(50), 'replay'],
    [new PastServer(50, 41), 'compare'],
  ] as const) {
    const found = await plan({ state: remembered({ audit: 40, cache: 40, extra: 40 }, noted), server })
    assert.equal(found.rung, rung)
    assert.equal(owed(found).cache, 'missed restart')
    assert.equal(owed(found).audit, undefined)
  }
})

test('a sink that is new, sees something else, or was behind and is optional is owed a catch-up; others notice nothing', async () => {
  const state = remembered({ audit: 40, cache: 42, extra: 9 })
  const now = [
    ...sinks.map((sink) => (sink.name === 'cache' ? { ...sink, view: 'another' } : sink)),
    { name: 'fresh', view: 'v', required: true },
  ]
  const found = await plan({ state, server: new PastServer(50), now })
  assert.deepEqual([found.rung, found.informer?.resourceVersion], ['replay', '40'])
  assert.deepEqual(owed(found), { cache: 'missed redefined', extra: 'missed restart', fresh: 'new restart' })
})

test('a stream that is about something else now owes all of its sinks a catch-up', async () => {
  const state = remembered({ audit: 40, cache: 42, extra: 45 })
  const found = await plan({ state, server: new PastServer(50), definition: 'another' })
  assert.equal(found.rung, 'announce')
  assert.deepEqual(owed(found), { audit: 'missed redefined', cache: 'missed redefined', extra: 'missed redefined' })
})

test('nothing is decided while the server does not answer', async () => {
  const refused = new Error('refused')
  const server: PastOfServer = { newest: () => Promise.reject(refused), listedAt: () => Promise.reject(refused) }
  await assert.rejects(plan({ state: remembered({ audit: 40, cache: 40, extra: 40 }), server }), refused)
})

test('where every sink is owed a catch-up, the stream begins with a list of its own: no replay is worth waiting for', async () => {
  const debts = sinks.map(({ name }): StateRecord => ({ type: 'debt', stream, sink: name, kind: 'missed' }))
  const server = new PastServer(30)
  const found = await plan({ state: remembered({ audit: 20, cache: 20, extra: 20 }, ...debts), server })
  assert.deepEqual([found.rung, found.notBefore, server.asked], ['announce', undefined, []])
  assert.deepEqual(owed(found), { audit: 'missed restart', cache: 'missed restart', extra: 'missed restart' })
})
