import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DeltaReader } from '../informer/delta-reader.ts'
import {
  type Act,
  added,
  bookmark,
  deleted,
  list,
  listFails,
  modified,
  pod,
  Rig,
  rv,
  watch,
} from '../informer/test-kit.ts'
import { KubeError } from '../kube/errors.ts'
import { asRemembered, type KubeObject, type ObjectKey } from '../kube/object.ts'
import { SetDigest } from '../lib/set-digest.ts'
import type { Audience, ResyncOptions } from './audience.ts'
import type { Change, SnapshotOutcome } from './change.ts'
import { Debt } from './debt.ts'
import { Members } from './members.ts'
import { Reconciler } from './reconciler.ts'

const never: ResyncOptions = { everyMs: 0, snapshot: 'off', verify: false }
/** It always has room, and knows nothing at first. */
class Patient implements Audience {
  #debt: Debt | undefined = newcomer()
  readonly takesSnapshots = true
  readonly hasRoom = () => true
  readonly debt = () => this.#debt
  readonly untold = () => []

  begun(): void {
    this.#debt = undefined
  }
}

const lost: SnapshotOutcome = { type: 'aborted', cause: 'it was refused' }

function newcomer(): Debt {
  return new Debt({ kind: 'new', cause: 'restart', from: undefined, isUrgent: true, held: () => [].values() })
}

const storeOf = ({ informer }: Rig) => ({
  objects: () => informer.indexer.objects(),
  get: (key: string) => informer.indexer.get(key as ObjectKey),
  scope: 'whole' as const,
})

/** A reconciler on a real informer on a scripted server. */
class Stand implements AsyncDisposable {
  readonly rig: Rig
  readonly stop = new AbortController()
  readonly reconciler: Reconciler<KubeObject, Patient>
  readonly audiences: readonly Patient[]
  readonly taken: Change[] = []
  readonly reading: Promise<void>

  constructor(
    script: ConstructorParameters<typeof Rig>[0],
    resync = never,
    audiences = [new Patient()],
    options: ConstructorParameters<typeof Rig>[1] = {},
  ) {
    this.rig = new Rig(script, options)
    this.audiences = audiences
    let snapshots = 0
    this.reconciler = new Reconciler({
      stream: 'pods/pods',
      reader: this.rig.reader,
      store: storeOf(this.rig),
      audiences,
      resync,
      snapshotId: () => `r${++snapshots}`,
      clock: this.rig.clock,
      random: () => 0.5,
    })
    this.reading = this.#read()
  }

  async #read(): Promise<void> {
    for await (const portion of this.reconciler.changes(this.stop.signal)) {
      for (const change of portion.changes) {
        if (portion.type === 'own') this.#take(change, portion.audience)
        this.taken.push(change)
      }
    }
  }

  /** It is told of everything at once. */
  #take(change: Change, audience: Patient): void {
    if (change.type === 'SnapshotBegin') audience.begun()
    if (change.type !== 'SnapshotEnd') return
    this.reconciler.settled(change.snapshot, { type: 'completed', ...change.result }, audience)
  }

  /** What came since the last call, in short, after `ms` have passed. */
  async changes(ms = 0): Promise<readonly string[]> {
    await this.rig.clock.advance(ms)
    return this.taken.splice(0).map(short)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort()
    await this.reading
    await this.rig[Symbol.asyncDispose]()
  }
}

function short(change: Change): string {
  switch (change.type) {
    case 'Added':
    case 'Updated':
      return `${change.type} ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`
    case 'Deleted':
      return `Deleted ${change.identity.name}`
    case 'Progress':
      return `Progress ${change.resourceVersion}`
    case 'Gap':
      return `Gap ${change.from}-${change.to} ${change.cause}`
    case 'SnapshotItem':
      return `item ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`
    case 'SnapshotBegin':
      return `begin ${change.snapshot.id} ${change.snapshot.reason} ${change.snapshot.mode} ${change.snapshot.ledger} at ${change.resourceVersion}`
    case 'SnapshotAborted':
      return `aborted ${change.snapshot.id}: ${change.cause}`
    case 'SnapshotEnd': {
      const { items, added, updated, deleted, unchanged } = change.result
      return `end at ${change.resourceVersion}: ${items} items +${added} ~${updated} -${deleted} =${unchanged}`
    }
  }
}

test('P6 the first list is a snapshot, never Added, and an empty one has begin and end too', async () => {
  await using full = new Stand([list(9, [pod('shop/a', 3), pod('shop/b', 7)]), watch()])
  assert.deepEqual(await full.changes(), [
    'Progress 9',
    'begin pods/pods:r1 startup full cold at 9',
    'item a@3',
    'item b@7',
    'end at 9: 2 items +0 ~0 -0 =2',
  ])
  await using empty = new Stand([list(9, []), watch()])
  assert.deepEqual(await empty.changes(), [
    'Progress 9',
    'begin pods/pods:r1 startup full cold at 9',
    'end at 9: 0 items +0 ~0 -0 =0',
  ])
})

test('live changes follow as they are, and move the position', async () => {
  const frames: Act = [added(pod('shop/b', 11)), modified(pod('shop/a', 12)), deleted(pod('shop/a', 13)), bookmark(20)]
  await using stand = new Stand([list(9, [pod('shop/a', 3)]), watch({ afterMs: 10 }, frames)])
  await stand.changes()
  assert.deepEqual(await stand.changes(10), ['Added b@11', 'Updated a@12', 'Deleted a', 'Progress 20'])
  assert.equal(stand.reconciler.position, '20')
})

test('a delete that the server repeats does not take the position back', async () => {
  const frames: Act = [deleted(pod('shop/a', 12)), added(pod('shop/b', 15)), deleted(pod('shop/a', 12))]
  await using stand = new Stand([list(9, [pod('shop/a', 3)]), watch({ afterMs: 10 }, frames)])
  await stand.changes()
  assert.deepEqual(await stand.changes(10), ['Deleted a', 'Added b@15', 'Deleted a'])
  assert.equal(stand.reconciler.position, '15')
})

test('P5 a relist while running is a gap and its differences, and no snapshot', async () => {
  await using stand = new Stand([
    list(9, [pod('shop/a', 3), pod('shop/b', 4)]),
    watch({ afterMs: 10 }, [{ type: 'ERROR', error: new KubeError('expired', 'old') }]),
    list(50, [pod('shop/b', 40), pod('shop/c', 45)]),
    watch(),
  ])
  await stand.changes()
  assert.deepEqual(await stand.changes(5_000), [
    'Gap 9-50 expired',
    'Deleted a',
    'Updated b@40',
    'Added c@45',
    'Progress 50',
  ])
})

test('P6 the end is true at its own position: what changed since begin is counted, and no item stands for it', async () => {
  const many = Array.from({ length: 950 }, (_, index) => pod(`shop/p${index}`, index + 1))
  await using stand = new Stand([
    list(1000, many),
    watch([modified(pod('shop/p949', 1001)), deleted(pod('shop/p948', 1002)), added(pod('shop/q', 1003))]),
  ])
  const changes = await stand.changes()
  const items = changes.filter((change) => change.startsWith('item '))
  const end = changes.at(-1) ?? ''
  const live = changes.filter((change) => /^(Added|Updated|Deleted)/.test(change))
  assert.deepEqual(live, ['Updated p949@1001', 'Deleted p948', 'Added q@1003'])
  // 949 of the list that are left, and q; whether an item or a live change stands for one depends on the order
  assert.match(end, /^end at 1003: 950 items/)
  const stood = new Set([...items.map((item) => item.split(/[ @]/)[1]), 'p949', 'q'])
  stood.delete('p948')
  assert.equal(stood.size, 950)
})

test('a scheduled snapshot comes within its interval and then after each one, and one that is asked for at once', async () => {
  await using stand = new Stand([list(9, [pod('shop/a', 3)]), watch()], {
    everyMs: 1_000,
    snapshot: 'markers',
    verify: false,
  })
  await stand.changes()
  assert.deepEqual(await stand.changes(499), [])
  const periodic = (count: number) => [
    `begin pods/pods:r${count} periodic markers warm at 9`,
    'end at 9: 1 items +0 ~0 -0 =1',
  ]
  assert.deepEqual(await stand.changes(1), periodic(2))
  assert.deepEqual(await stand.changes(999), [])
  assert.deepEqual(await stand.changes(1), periodic(3))
  stand.reconciler.request({ reason: 'requested', mode: 'full' })
  assert.deepEqual(await stand.changes(), [
    'begin pods/pods:r4 requested full warm at 9',
    'item a@3',
    'end at 9: 1 items +0 ~0 -0 =1',
  ])
})

test('none is scheduled with `off`, or without an interval', async () => {
  for (const resync of [
    { everyMs: 1_000, snapshot: 'off', verify: false },
    { everyMs: 0, snapshot: 'full', verify: false },
  ] as const) {
    await using stand = new Stand([list(9, [pod('shop/a', 3)]), watch()], resync)
    await stand.changes()
    assert.deepEqual(await stand.changes(10_000_000), [])
  }
})

test('X8 F13 a restored server: a gap, the differences, and a full snapshot of the new history', async () => {
  await using stand = new Stand([
    list(90, [pod('shop/a', 3), pod('shop/b', 80)]),
    watch({ afterMs: 10 }, new KubeError('reset', 'gone')),
    list(50, []),
    list(50, [pod('shop/a', 3)]),
    watch(),
  ])
  await stand.changes()
  assert.deepEqual(await stand.changes(5_000), [
    'Gap 90-50 restored',
    'Deleted b',
    'Progress 50',
    'begin pods/pods:r2 gap full cold at 50',
    'item a@3',
    'end at 50: 1 items +0 ~0 -0 =1',
  ])
})

test('F13 P6 a snapshot begins after the last of the differences at its position, however many there are', async () => {
  const many = Array.from({ length: 2_500 }, (_, index) => pod(`shop/p${index}`, index + 1))
  await using stand = new Stand([
    list(9_000, []),
    watch({ afterMs: 10 }, new KubeError('reset', 'gone')),
    list(5_000, []),
    list(5_000, many),
    watch(),
  ])
  await stand.changes()
  const changes = [...(await stand.changes(5_000)), ...(await stand.changes())]
  const begun = changes.indexOf('begin pods/pods:r2 gap full cold at 5000')
  assert.equal(changes.slice(0, begun).filter((change) => change.startsWith('Added')).length, 2_500)
  assert.equal(changes.at(-1), 'end at 5000: 2500 items +0 ~0 -0 =2500')
})

test('I6 a snapshot that is running at the end is aborted', async () => {
  const many = Array.from({ length: 150 }, (_, index) => pod(`shop/p${index}`, index + 1))
  const rig = new Rig([list(200, many), watch()])
  const stop = new AbortController()
  const patient = new Patient()
  const reconciler = new Reconciler({
    stream: 'pods/pods',
    reader: rig.reader,
    store: storeOf(rig),
    audiences: [patient],
    resync: never,
    snapshotId: () => 'r1',
    clock: rig.clock,
    random: () => 0.5,
  })
  const taken: string[] = []
  for await (const portion of reconciler.changes(stop.signal)) {
    const changes = [...portion.changes]
    if (portion.type === 'own') patient.begun()
    taken.push(...changes.map(short))
    if (changes.some((change) => change.type === 'SnapshotItem')) stop.abort()
  }
  assert.equal(taken.at(-1), 'aborted pods/pods:r1: the stream was stopped')
  await rig[Symbol.asyncDispose]()
})

test('a snapshot that a sink was not told of is sent again, later and later', async () => {
  await using stand = new Stand([list(9, []), watch()])
  await stand.changes()
  const again = { id: 'pods/pods:r1', reason: 'startup', mode: 'full', ledger: 'cold' } as const
  const snapshot = (count: number) => [
    `begin pods/pods:r${count} startup full cold at 9`,
    'end at 9: 0 items +0 ~0 -0 =0',
  ]
  for (const audience of stand.audiences) stand.reconciler.settled(again, lost, audience)
  assert.deepEqual(await stand.changes(89_999), [])
  assert.deepEqual(await stand.changes(1), snapshot(2))
  for (const audience of stand.audiences) stand.reconciler.settled(again, lost, audience)
  assert.deepEqual(await stand.changes(179_999), [])
  assert.deepEqual(await stand.changes(1), snapshot(3))
})

test('a stream that has ended repeats no snapshot: nothing is left waiting', async () => {
  const stand = new Stand([list(9, []), watch()])
  await stand.changes()
  await stand[Symbol.asyncDispose]()
  const waiting = stand.rig.clock.pending
  for (const audience of stand.audiences) {
    stand.reconciler.settled({ id: 'pods/pods:r1', reason: 'startup', mode: 'full', ledger: 'cold' }, lost, audience)
  }
  assert.equal(stand.rig.clock.pending, waiting)
})

test('P6 I1 for random histories, at every end the digests are those of what a consumer has by then', async () => {
  const step = fc.record({ key: fc.nat(5), type: fc.constantFrom('put', 'put', 'delete', 'snapshot', 'chunk') })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const here = new Map<string, KubeObject>([['k0', pod('shop/k0', 5)]])
      let version = 10
      const acts: Act[] = []
      const requests: number[] = []
      let frames: ReturnType<typeof added>[] = []
      const flush = () => {
        if (frames.length > 0) acts.push({ afterMs: 1 }, frames)
        frames = []
      }
      for (const { key, type } of steps) {
        const name = `k${key}`
        const known = here.get(name)
        version++
        if (type === 'chunk') flush()
        else if (type === 'snapshot') requests.push(acts.length)
        else if (type === 'delete' && known) {
          frames.push(
            deleted({
              ...known,
              metadata: { ...known.metadata, resourceVersion: pod('x', version).metadata.resourceVersion },
            }),
          )
          here.delete(name)
        } else if (type === 'put') {
          const object = pod(`shop/${name}`, version, { uid: known?.metadata.uid ?? `${name}-${version}` })
          frames.push(known ? modified(object) : added(object))
          here.set(name, object)
        }
      }
      flush()
      await using stand = new Stand([list(10, [pod('shop/k0', 5)]), watch(...acts)])
      for (let ms = 0; ms <= acts.length; ms++) {
        if (requests.includes(ms)) stand.reconciler.request({ reason: 'requested', mode: 'full' })
        await stand.rig.clock.advance(1)
      }
      checkDigests(stand.taken)
    }),
    { numRuns: 60 },
  )
})

function checkDigests(changes: readonly Change[]): void {
  const copy = new Map<string, string>()
  let before: ReadonlyMap<string, string> = new Map()
  for (const change of changes) {
    switch (change.type) {
      case 'Added':
      case 'Updated':
      case 'SnapshotItem':
        copy.set(
          `${change.object.metadata.namespace}/${change.object.metadata.name}:${change.object.metadata.uid}`,
          change.object.metadata.resourceVersion,
        )
        break
      case 'Deleted':
        copy.delete(`${change.identity.namespace}/${change.identity.name}:${change.identity.uid}`)
        break
      case 'SnapshotBegin':
        before = new Map(copy)
        break
      case 'SnapshotEnd': {
        const members = new SetDigest()
        const state = new SetDigest()
        for (const [identity, version] of copy) {
          members.add(identity)
          state.add(`${identity}:${version}`)
        }
        assert.deepEqual(
          { items: copy.size, members: members.toString(), state: state.toString() },
          { items: change.result.items, members: change.result.members, state: change.result.state },
          `at the end of ${change.snapshot.id}, begun with ${before.size}`,
        )
      }
    }
  }
  assert.ok(changes.some((change) => change.type === 'SnapshotEnd'))
}

test('F16 what is only remembered is in no snapshot: it begins when a list has said what there is, or that all is gone', async () => {
  const objects = [asRemembered({ apiVersion: 'v1', kind: 'Pod' }, pod('shop/a', 3).metadata)]
  let served = true
  await using stand = new Stand(
    [1, 2, 3].map(() => listFails('not-found')),
    never,
    [new Patient()],
    {
      start: { type: 'Compare', resourceVersion: rv(9), seen: rv(9), objects },
      isServed: async () => served,
    },
  )
  assert.deepEqual(await stand.changes(), ['Progress 9'])
  served = false
  assert.deepEqual(await stand.changes(20_000), [
    'Deleted a',
    'Progress 9',
    'begin pods/pods:r1 startup full cold at 9',
    'end at 9: 0 items +0 ~0 -0 =0',
  ])
})

/** Counts what is looked at in one turn of the event loop. */
class Turns implements Disposable {
  looks = 0
  most = 0
  #next = setImmediate(() => this.#turn())

  #turn(): void {
    this.most = Math.max(this.most, this.looks)
    this.looks = 0
    this.#next = setImmediate(() => this.#turn())
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#next)
  }
}

const crowd = Array.from({ length: 3_500 }, (_, index) => pod(`shop/p${index}`, index + 1))
/** Every other one, as long as it is one of the first list. */
const isEven = ({ metadata }: KubeObject) => Number(metadata.resourceVersion) % 2 === 0

for (const knows of ['nothing', 'which objects there are'] as const) {
  test(`however long a first list is, others have their turn at every thousandth object (${knows} is remembered)`, async () => {
    using turns = new Turns()
    const admits = (object: KubeObject) => {
      turns.looks++
      return isEven(object)
    }
    const objects = crowd.map(({ metadata }) => asRemembered({ apiVersion: 'v1', kind: 'Pod' }, metadata))
    const start = { type: 'Compare', resourceVersion: rv(9_000), seen: rv(9_000), objects } as const
    await using stand = new Stand(
      [list(9_000, crowd), watch()],
      never,
      [Object.assign(new Patient(), { admits })],
      knows === 'nothing' ? {} : { start },
    )
    const changes = [...(await stand.changes(5_000)), ...(await stand.changes()), ...(await stand.changes())]
    assert.equal(changes.at(-1), 'end at 9000: 1750 items +0 ~0 -0 =1750')
    assert.equal(turns.most, 1_000)
  })
}

test('P6 what changes while it is found out who is a member is not lost', async () => {
  const objects = crowd.map(({ metadata }) => asRemembered({ apiVersion: 'v1', kind: 'Pod' }, metadata))
  const start = { type: 'Compare', resourceVersion: rv(9_000), seen: rv(9_000), objects } as const
  const frames = [
    modified(pod('shop/p1', 9_001)), // a member, found to be one; none any more
    deleted(pod('shop/p5', 9_005)),
    modified(pod('shop/p6', 9_006)), // becomes one
    added(pod('shop/q', 9_008)),
    deleted(pod('shop/p3499', 9_009)),
    modified(pod('shop/p3497', 9_011)), // not found to be one yet
  ]
  const other: { reader?: DeltaReader } = {}
  const ahead: string[] = []
  let looks = 0
  const admits = (object: KubeObject) => {
    // of two readers of one informer the other one is ahead
    if (++looks === 1_500) while (takeAll(other.reader, ahead)) {}
    return isEven(object)
  }
  await using stand = new Stand(
    [list(9_000, crowd), watch(frames)],
    never,
    [Object.assign(new Patient(), { admits })],
    {
      start,
    },
  )
  const { informer, clock } = stand.rig
  other.reader = informer.deltas(stand.stop.signal)
  for (let turn = 0; turn < 9; turn++) {
    takeAll(other.reader, [])
    await clock.advance(1_000)
  }
  assert.equal(ahead.filter((type) => type !== 'Progress').length, frames.length)
  const members = new Members(isEven)
  for (const object of informer.indexer.objects()) members.seen(object)
  const end = stand.taken.find((change) => change.type === 'SnapshotEnd')
  assert.deepEqual(
    { items: end?.result.items, members: end?.result.members, state: end?.result.state },
    { items: members.size, ...members.digests() },
  )
})

function takeAll(reader: DeltaReader | undefined, types: string[]): boolean {
  const deltas = reader?.take() ?? []
  for (const { type } of deltas) types.push(type)
  return deltas.length > 0
}
