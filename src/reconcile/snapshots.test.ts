/** Audiences that have no room, and what they are owed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Act, added, deleted, inShort, list, modified, pod, Rig, rv, watch } from '../informer/test-kit.ts'
import type { ObjectKey } from '../kube/object.ts'
import type { Held } from '../state/ledger.ts'
import type { Audience } from './audience.ts'
import type { Change, SnapshotNews, SnapshotScope } from './change.ts'
import { Debt, type DebtParts } from './debt.ts'
import { Reconciler } from './reconciler.ts'

function owing(parts: Partial<DebtParts> = {}): Debt {
  return new Debt({
    kind: 'missed',
    cause: 'overflow',
    from: rv(9),
    isUrgent: false,
    held: () => [].values(),
    ...parts,
  })
}

const completed = { type: 'completed', items: 3, members: '', state: '' } as const

class Listener implements Audience {
  readonly taken: string[] = []
  room = 0
  owed: Debt | undefined = owing({ kind: 'new', isUrgent: true })
  takesSnapshots = true
  readonly hasRoom = () => this.room > 0
  readonly debt = () => this.owed
  missing: readonly Held[] | undefined = []
  readonly untold = () => this.missing

  take(change: Change): void {
    this.room--
    if (change.type === 'SnapshotBegin') this.owed = undefined
    this.taken.push(short(change))
  }
}

function short(change: Change): string {
  switch (change.type) {
    case 'SnapshotBegin':
      return `begin ${change.snapshot.id} ${change.snapshot.reason}${change.snapshot.mode === 'full' ? '' : ` ${change.snapshot.mode}`} at ${change.resourceVersion}`
    case 'SnapshotItem':
      return `item ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`
    case 'SnapshotEnd':
      return `end at ${change.resourceVersion}: ${change.result.items} items${change.result.unchanged < change.result.items ? `, ${change.result.unchanged} unchanged` : ''}`
    case 'SnapshotAborted':
      return `aborted ${change.snapshot.id}`
    case 'Gap':
      return `gap ${change.from}-${change.to} ${change.cause}`
    case 'Deleted':
      return `deleted ${change.identity.name}${change.collapsed ? ' collapsed' : ''}`
    default:
      return inShort(change)
  }
}

async function listen(count: number, ...acts: readonly Act[]) {
  const rig = new Rig([list(9, [pod('shop/a', 3), pod('shop/b', 4), pod('shop/c', 5)]), watch(...acts)])
  const listeners = Array.from({ length: count }, () => new Listener())
  const live: string[] = []
  const skipped: Listener[] = []
  let snapshots = 0
  const reconciler = new Reconciler({
    stream: 'pods',
    reader: rig.reader,
    store: {
      objects: () => rig.informer.indexer.objects(),
      get: (key) => rig.informer.indexer.get(key as ObjectKey),
      scope: 'whole',
    },
    audiences: listeners,
    resync: { everyMs: 1_000_000, snapshot: 'full', verify: false },
    onSkipped: (listener) => skipped.push(listener),
    snapshotId: () => `r${++snapshots}`,
    clock: rig.clock,
    random: () => 0.5,
  })
  const stop = new AbortController()
  const read = async () => {
    for await (const portion of reconciler.changes(stop.signal)) {
      for (const change of portion.changes) {
        if (portion.type === 'own') portion.audience.take(change)
        else live.push(short(change))
      }
    }
  }
  const reading = read()
  const [first = new Listener(), second = new Listener()] = listeners
  return {
    rig,
    live,
    first,
    second,
    reconciler,
    skipped,
    /** The first audience has the end of this snapshot. */
    settled(id: string): void {
      reconciler.settled({ id, reason: 'periodic', mode: 'full', ledger: 'warm' }, completed, first)
    },
    /** Gives room for so many changes, and lets `ms` pass; returns what came. */
    async grant(listener: Listener, room: number, ms = 0): Promise<readonly string[]> {
      listener.room = room
      reconciler.wake()
      await rig.clock.advance(ms)
      return listener.taken.splice(0)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await reading
      await rig[Symbol.asyncDispose]()
    },
  }
}

test('P7 items are made one by one as there is room, as the objects are then', async () => {
  await using stand = await listen(1, { afterMs: 10 }, [modified(pod('shop/b', 12)), deleted(pod('shop/c', 13))])
  assert.deepEqual(await stand.grant(stand.first, 0), ['begin pods:r1 startup at 9'], 'the first needs no room')
  assert.deepEqual(await stand.grant(stand.first, 1), ['item a@3'])
  assert.deepEqual(await stand.grant(stand.first, 0, 10), [])
  assert.equal(stand.live.length, 3, 'live changes go on')
  assert.deepEqual(
    await stand.grant(stand.first, 9),
    ['end at 13: 2 items, 1 unchanged'],
    'the live changes stood for b',
  )
})

test('I8 the snapshot of one does not wait for that of another', async () => {
  await using stand = await listen(2)
  assert.deepEqual(await stand.grant(stand.first, 99), [
    'begin pods:r1 startup at 9',
    'item a@3',
    'item b@4',
    'item c@5',
    'end at 9: 3 items',
  ])
  assert.deepEqual(await stand.grant(stand.second, 1), ['begin pods:r2 startup at 9', 'item a@3'])
})

test('a scheduled snapshot begins only when there is room; what falls due meanwhile is skipped', async () => {
  await using stand = await listen(1)
  await stand.grant(stand.first, 99)
  stand.settled('pods:r1')
  assert.deepEqual(await stand.grant(stand.first, 0, 500_000), [], 'it is due')
  assert.equal(stand.skipped.length, 0)
  await stand.grant(stand.first, 0, 2_000_000)
  assert.equal(stand.skipped.length, 2)
  assert.deepEqual(await stand.grant(stand.first, 1), ['begin pods:r2 periodic at 9'])
  await stand.grant(stand.first, 99)
  await stand.grant(stand.first, 99, 1_000_000)
  assert.equal(stand.skipped.length, 3, 'its end has not arrived')
  stand.settled('pods:r2')
  assert.deepEqual((await stand.grant(stand.first, 99, 1_000_000))[0], 'begin pods:r3 periodic at 9')
  stand.settled('pods:r3')
  stand.first.owed = owing()
  await stand.grant(stand.first, 0, 1_000_000)
  assert.equal(stand.skipped.length, 4, 'a full one is owed anyway')
})

test('none is scheduled for an audience that takes no snapshots', async () => {
  await using stand = await listen(1)
  stand.first.takesSnapshots = false
  await stand.grant(stand.first, 99)
  assert.deepEqual(await stand.grant(stand.first, 99, 10_000_000), [])
  assert.deepEqual(stand.skipped, [])
})

test('P5 P3 what is owed: a gap, the deletes that were missed, and a full snapshot, as there is room', async () => {
  await using stand = await listen(1, { afterMs: 10 }, [added(pod('shop/d', 20))])
  await stand.grant(stand.first, 2) // in the middle of the first one
  const held = ['shop/x', 'shop/a', 'shop/b'].map((key) => ({ key, uid: pod(key, 1).metadata.uid }))
  stand.first.owed = owing({ held: () => held.values() })
  assert.deepEqual(await stand.grant(stand.first, 0, 10), [])
  assert.deepEqual(await stand.grant(stand.first, 1), ['gap 9-20 overflow'])
  assert.deepEqual(await stand.grant(stand.first, 1), ['deleted x collapsed'])
  assert.deepEqual(await stand.grant(stand.first, 2), ['begin pods:r2 gap at 20', 'item a@3'])
  assert.deepEqual(await stand.grant(stand.first, 9), ['item b@4', 'item c@5', 'item d@20', 'end at 20: 4 items'])
  assert.deepEqual(await stand.grant(stand.first, 9), [], 'once')
})

test('what is owed again before it was told begins anew', async () => {
  await using stand = await listen(1)
  await stand.grant(stand.first, 99)
  const debt = owing()
  stand.first.owed = debt
  assert.deepEqual(await stand.grant(stand.first, 2), ['gap 9-9 overflow', 'begin pods:r2 gap at 9'])
  debt.reopen()
  stand.first.owed = debt
  assert.deepEqual(await stand.grant(stand.first, 99), [
    'gap 9-9 overflow',
    'begin pods:r3 gap at 9',
    'item a@3',
    'item b@4',
    'item c@5',
    'end at 9: 3 items',
  ])
})

test('a part holds what fits its scope, and its end counts that alone', async () => {
  await using stand = await listen(1, { afterMs: 10 }, [
    added(pod('pay/d', 20, { labels: { app: 'web' } })),
    added(pod('shop/e', 21, { labels: { app: 'web' } })),
    added(pod('shop/f', 22)),
  ])
  await stand.grant(stand.first, 99, 10)
  const ask = (scope: SnapshotScope) => stand.reconciler.request({ reason: 'requested', mode: 'part', scope })
  ask({ namespaces: ['pay'] })
  assert.deepEqual(await stand.grant(stand.first, 9), [
    'begin pods:r2 requested part at 22',
    'item d@20',
    'end at 22: 1 items',
  ])
  ask({ labelSelector: 'app=web' })
  ask({ namespaces: ['shop'], labelSelector: '!app' })
  assert.deepEqual(await stand.grant(stand.first, 99), [
    'begin pods:r3 requested part at 22',
    'item d@20',
    'item e@21',
    'end at 22: 2 items',
    'begin pods:r4 requested part at 22',
    'item a@3',
    'item b@4',
    'item c@5',
    'item f@22',
    'end at 22: 4 items',
  ])
})

test('of a part, too, what a live change stands for is no item, and no more unchanged', async () => {
  const changes = [modified(pod('shop/b', 12)), added(pod('pay/d', 13)), deleted(pod('shop/c', 14))]
  await using stand = await listen(1, { afterMs: 10 }, changes)
  await stand.grant(stand.first, 99)
  stand.reconciler.request({ reason: 'requested', mode: 'part', scope: { namespaces: ['shop'] } })
  assert.deepEqual(await stand.grant(stand.first, 2), ['begin pods:r2 requested part at 9', 'item a@3'])
  assert.deepEqual(await stand.grant(stand.first, 0, 10), [])
  assert.deepEqual(await stand.grant(stand.first, 9), ['end at 14: 2 items, 1 unchanged'])
})

/** What it was told, in short. */
function hearing() {
  const heard: string[] = []
  const tell = (news: SnapshotNews) => {
    const { outcome } = news.type === 'ended' ? news : {}
    if (news.type === 'began') heard.push(`began ${news.snapshot.id}`)
    else heard.push(outcome?.type === 'aborted' ? `aborted: ${outcome.cause}` : `completed ${outcome?.items}`)
  }
  return { heard, listener: { tell, signal: new AbortController().signal } }
}

test('who asks for a snapshot hears of its begin, and once of how it has ended for the sink', async () => {
  await using stand = await listen(1)
  await stand.grant(stand.first, 99)
  const { heard, listener } = hearing()
  stand.reconciler.request({ reason: 'requested', mode: 'full', listener }, stand.first)
  await stand.grant(stand.first, 0)
  assert.deepEqual(heard, [], 'there is no room')
  await stand.grant(stand.first, 1)
  assert.deepEqual(heard.splice(0), ['began pods:r2'])
  await stand.grant(stand.first, 9)
  assert.deepEqual(heard, [], 'the sink has not taken the end yet')
  const of = { id: 'pods:r2', reason: 'requested', mode: 'full', ledger: 'warm' } as const
  stand.reconciler.settled({ ...of, id: 'pods:r1' }, completed, stand.first)
  for (let n = 0; n < 2; n++) stand.reconciler.settled(of, completed, stand.first)
  assert.deepEqual(heard, ['completed 3'])
})

test('a snapshot that is void, before its end or after, begins anew for who has asked for it', async () => {
  await using stand = await listen(1)
  await stand.grant(stand.first, 99)
  const { heard, listener } = hearing()
  stand.reconciler.request({ reason: 'requested', mode: 'full', listener })
  await stand.grant(stand.first, 2) // in the middle
  stand.first.owed = owing()
  await stand.grant(stand.first, 99) // up to the end, which is lost
  stand.first.owed = owing()
  await stand.grant(stand.first, 99)
  const of = { id: 'pods:r4', reason: 'gap', mode: 'full', ledger: 'cold' } as const
  stand.reconciler.settled(of, completed, stand.first)
  assert.deepEqual(heard, ['began pods:r2', 'began pods:r3', 'began pods:r4', 'completed 3'])
  assert.deepEqual(await stand.grant(stand.first, 99), [], 'and no other one')
})

test('when the stream stops everybody who waits hears of it', async () => {
  const [running, due, ending] = [hearing(), hearing(), hearing()]
  {
    await using stand = await listen(2)
    await stand.grant(stand.first, 99)
    await stand.grant(stand.second, 99)
    await stand.grant(stand.first, 0)
    stand.reconciler.request({ reason: 'requested', mode: 'full', listener: running.listener }, stand.first)
    stand.reconciler.request({ reason: 'requested', mode: 'full', listener: ending.listener }, stand.second)
    await stand.grant(stand.second, 99)
    await stand.grant(stand.first, 2)
    stand.reconciler.request({ reason: 'requested', mode: 'full', listener: due.listener }, stand.first)
  }
  const stopped = 'aborted: the stream was stopped'
  assert.deepEqual([running.heard, due.heard], [['began pods:r4', stopped], [stopped]])
  assert.deepEqual(ending.heard, ['began pods:r3', stopped])
})

test('who asks after the stream has stopped hears of it at once', async () => {
  const { heard, listener } = hearing()
  const stand = await listen(1)
  await stand.grant(stand.first, 99)
  await stand[Symbol.asyncDispose]()
  stand.reconciler.request({ reason: 'requested', mode: 'full', listener })
  assert.deepEqual(heard, ['aborted: the stream was stopped'])
})

test('I7 a delta of what was told in full is exactly begin and end', async () => {
  await using stand = await listen(1, { afterMs: 10 }, [modified(pod('shop/b', 12)), deleted(pod('shop/c', 13))])
  await stand.grant(stand.first, 99, 10)
  stand.reconciler.request({ reason: 'periodic', mode: 'delta' })
  assert.deepEqual(await stand.grant(stand.first, 99), ['begin pods:r2 periodic delta at 13', 'end at 13: 2 items'])
})

test('P3 a delta holds what the audience does not have: as an item what is there, else its end', async () => {
  const retaken = pod('shop/c', 21, { uid: 'c2' })
  await using stand = await listen(1, { afterMs: 10 }, [deleted(pod('shop/b', 20))], { afterMs: 10 }, [
    deleted(pod('shop/c', 21)),
    added(retaken),
    modified(pod('shop/a', 22)),
  ])
  await stand.grant(stand.first, 99, 10)
  stand.first.missing = ['shop/a', 'shop/b', 'shop/c'].map((key) => ({ key, uid: pod(key, 1).metadata.uid }))
  stand.reconciler.request({ reason: 'periodic', mode: 'delta' })
  assert.deepEqual(await stand.grant(stand.first, 99), [
    'begin pods:r2 periodic delta at 20',
    'item a@3',
    'deleted b collapsed',
    'item c@5',
    'end at 20: 2 items',
  ])
  stand.reconciler.request({ reason: 'periodic', mode: 'delta' })
  assert.deepEqual(await stand.grant(stand.first, 1), ['begin pods:r3 periodic delta at 20'])
  assert.deepEqual(await stand.grant(stand.first, 0, 10), [])
  assert.deepEqual(await stand.grant(stand.first, 9), [
    // a live change stands for a
    'deleted b collapsed',
    'deleted c collapsed',
    'end at 22: 2 items, 0 unchanged',
  ])
})

test('where what the audience does not have is not known one by one, the delta is a full one', async () => {
  await using stand = await listen(1)
  await stand.grant(stand.first, 99)
  stand.first.missing = undefined
  stand.reconciler.request({ reason: 'periodic', mode: 'delta' })
  const taken = await stand.grant(stand.first, 99)
  assert.deepEqual([taken[0], taken.length], ['begin pods:r2 periodic at 9', 5])
})
