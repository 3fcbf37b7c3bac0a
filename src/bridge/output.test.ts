/** An output over a real worker and a scripted target: what a sink is told of a stream. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WorkerOptions } from '../delivery/options.ts'
import { type Bench, bench, ScriptedSink } from '../delivery/scripted-sink.ts'
import { DeliveryError, type OutboundEvent } from '../delivery/sink.ts'
import type { KubeObject, Resource, ResourceVersion, Timestamp, Uid } from '../kube/object.ts'
import type { Notable, Snapshot } from '../reconcile/change.ts'
import { compileRoutes, RoutedView } from '../route/routed-view.ts'
import { wholeObject } from '../route/view.ts'
import { Ledger } from '../state/ledger.ts'
import { StreamState } from '../state/stream-state.ts'
import { createTranslator } from '../translate/translate.ts'
import { Output } from './output.ts'
import { offerTo, startOutput } from './testing/output-kit.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const translate = createTranslator({ cluster: 'c', stream: 'all/pods', resource: pods, scope: {} })
const rv = (text: string) => text as ResourceVersion
const observedAt = '2026-01-01T00:00:00Z' as Timestamp

const snapshot = (id: string): Snapshot => ({ id, reason: 'periodic', mode: 'full', ledger: 'warm' })
const placed = (id: string, position: string) =>
  ({ snapshot: snapshot(id), resourceVersion: rv(position), observedAt }) as const
const result = { items: 1, added: 0, updated: 0, deleted: 0, unchanged: 1, members: 'm', state: 's' }

function pod(name: string, resourceVersion: string): KubeObject {
  const metadata = { name, namespace: 'shop', uid: `uid-${name}` as Uid, resourceVersion: rv(resourceVersion) }
  return { apiVersion: 'v1', kind: 'Pod', metadata }
}
const added = (name: string, version: string): Notable => ({
  type: 'Added',
  object: pod(name, version),
  resourceVersion: rv(version),
  observed: 'watch',
  observedAt,
  collapsed: false,
})
const begin = (id: string, position: string): Notable => ({ type: 'SnapshotBegin', ...placed(id, position) })
const end = (id: string, position: string): Notable => ({ type: 'SnapshotEnd', result, ...placed(id, position) })

interface OutputBench extends Bench {
  readonly output: Output
  /** How often what was owed was repaid. */
  readonly repaid: () => number
  /** Keys of what the sink may hold. */
  readonly held: () => readonly string[]
  /** What the target was sent, in order. */
  readonly events: OutboundEvent[]
  readonly aborted: string[]
  offerChanges(...changes: Notable[]): Promise<void>
  /** Until then nothing leaves. */
  connect(): Promise<void>
}

/** The target refuses for good what `refuses` names. */
async function outputBench(
  refuses: (event: OutboundEvent) => boolean,
  queue: Partial<WorkerOptions['queue']> = {},
): Promise<OutputBench> {
  const sink = new ScriptedSink()
  const reachable = Promise.withResolvers<void>()
  sink.onConnect = () => reachable.promise
  const run = await bench({ sink, options: { concurrency: 1, queue } })
  let repaid = 0
  const events: OutboundEvent[] = []
  const aborted: string[] = []
  sink.respond = ([event]) => {
    if (event) events.push(event)
    return event && refuses(event) ? [{ index: 0, error: new DeliveryError('rejected', '400') }] : []
  }
  const output = new Output({
    routed: RoutedView.whole('audit'),
    worker: run.worker,
    onSettled: () => {},
    onRepaid: () => {
      repaid++
    },
    onSnapshot: ({ id }, { type }) => {
      if (type === 'aborted') aborted.push(id)
    },
  })
  const ledger = startOutput(output, 'all/pods')
  const { signal } = new AbortController()
  const offerChanges = async (...changes: Notable[]) => {
    for (const change of changes) await offerTo(output, change, translate, signal)
  }
  const held = () => [...ledger.held('audit')].map(({ key }) => key)
  const connect = () => {
    reachable.resolve()
    return run.settle()
  }
  return { ...run, output, held, repaid: () => repaid, events, aborted, offerChanges, connect }
}

const toldBy = (events: readonly OutboundEvent[]): readonly unknown[] =>
  events.filter(({ kind }) => kind === 'end').map(({ data }) => JSON.parse(data ?? '').snapshot.deadLettered)

test('P6 end counts the dead letters before it, also those that were not settled when it was offered; each once', async () => {
  const run = await outputBench(({ attributes }) => attributes.name === 'bad')
  await run.offerChanges(begin('s1', '1'), added('bad', '2'), added('bad', '3'), added('good', '4'), end('s1', '4'))
  assert.equal(run.deadLetters.length, 0)
  await run.connect()
  assert.deepEqual(toldBy(run.events), [2])
  await run.offerChanges(begin('s2', '5'), added('bad', '6'), end('s2', '6'), begin('s3', '7'), end('s3', '7'))
  await run.settle()
  assert.deepEqual(toldBy(run.events), [2, 1, 0])
  assert.deepEqual(run.aborted, [])
  assert.equal(run.worker.stats().queueBytes, 0)
})

test('P6 dead letters that an undelivered end told of are told again by the next one', async () => {
  const run = await outputBench(({ attributes }) => attributes.name === 'bad' || attributes.id === 's1:end')
  await run.offerChanges(added('bad', '2'), begin('s1', '2'), end('s1', '2'), begin('s2', '3'), end('s2', '3'))
  await run.connect()
  assert.deepEqual(toldBy(run.events), [1, 2])
  assert.deepEqual(run.aborted, ['s1'])
})

test('P4 after the server was restored nothing of its old history arrives, and the watermark is that of the new one', async () => {
  const run = await outputBench(() => false)
  const restored: Notable = { type: 'Gap', from: rv('90'), to: rv('7'), cause: 'restored', observedAt }
  await run.offerChanges(begin('s1', '80'), added('old', '90'), end('s1', '90'), restored, added('new', '8'))
  run.output.complete(rv('8'))
  await run.connect()
  assert.deepEqual(
    run.events.map(({ attributes }) => attributes.id),
    ['all/pods:90:7:gap', 'uid-new:8'],
  )
  assert.equal(run.output.watermark.value, '8')
  assert.deepEqual(run.aborted, [], 'a full snapshot follows anyway')
  assert.equal(run.worker.stats().queueBytes, 0)
})

test('P6 a full snapshot whose begin was given up is asked for again, as one whose end was', async () => {
  for (const [refused, asked] of [
    ['s1:begin', ['s1']],
    ['s1:end', ['s1']],
    ['uid-a:1:s1', []],
  ] as const) {
    const run = await outputBench(({ attributes }) => attributes.id === refused)
    const item: Notable = { type: 'SnapshotItem', object: pod('a', '1'), ...placed('s1', '1') }
    await run.offerChanges(begin('s1', '1'), item, end('s1', '1'))
    await run.connect()
    assert.deepEqual(run.aborted, asked, refused)
  }
})

const updated = (name: string, version: string): Notable => ({
  type: 'Updated',
  object: pod(name, version),
  previous: undefined,
  resourceVersion: rv(version),
  observed: 'watch',
  observedAt,
  collapsed: false,
})
const deleted = (name: string, version: string): Notable => ({
  type: 'Deleted',
  identity: { name, namespace: 'shop', uid: `uid-${name}` as Uid },
  object: undefined,
  finalStateKnown: true,
  gone: true,
  resourceVersion: rv(version),
  observed: 'watch',
  observedAt,
  collapsed: false,
})
const ids = (events: readonly OutboundEvent[]) => events.map(({ attributes }) => attributes.id)

test('P1 merged versions hold the watermark until what stands for them is delivered', async () => {
  const { output, worker, events, offerChanges, connect } = await outputBench(() => false, { whenFull: 'coalesce' })
  output.complete(rv('1'))
  await offerChanges(added('a', '2'), added('b', '3'), updated('a', '4'), updated('a', '5'))
  output.complete(rv('5'))
  assert.equal(worker.stats().queueEvents, 2)
  assert.equal(output.watermark.value, '1')
  await connect()
  assert.deepEqual(ids(events), ['uid-a:5', 'uid-b:3'])
  assert.equal(output.watermark.value, '5')
})

test('P1 what overflowed holds the watermark until the snapshot that makes up for it has ended; nothing else is offered', async () => {
  const run = await outputBench(() => false, { events: 3, whenFull: 'coalesce' })
  const { output, worker, events, offerChanges, connect } = run
  output.complete(rv('1'))
  await offerChanges(added('a', '2'), added('b', '3'), updated('c', '4'), added('d', '5'))
  assert.deepEqual([output.isOwed, worker.stats().queueEvents], [true, 0])
  await offerChanges(updated('a', '6'), deleted('b', '7'), deleted('x', '8'))
  output.complete(rv('8'))
  assert.equal(worker.stats().queueEvents, 0)
  assert.equal(output.debt?.from, '1')
  assert.deepEqual(
    run.held(),
    ['shop/a', 'shop/b', 'shop/c', 'shop/d'],
    'it may have been told: dropped, not kept back',
  )
  await connect()
  assert.equal(output.watermark.value, '1')
  const item: Notable = { type: 'SnapshotItem', object: pod('a', '6'), ...placed('s1', '8') }
  await offerChanges(begin('s1', '8'))
  await run.settle()
  await offerChanges(item, updated('a', '9'))
  output.complete(rv('9'))
  await run.settle()
  assert.deepEqual([output.isOwed, output.watermark.value, run.repaid()], [true, '1', 0])
  await offerChanges(end('s1', '9'))
  await run.settle()
  assert.deepEqual(ids(events), ['s1:begin', 'uid-a:6:s1', 'uid-a:9', 's1:end'])
  assert.deepEqual([output.isOwed, output.watermark.value, run.repaid()], [false, '9', 1])
  assert.equal(output.watermark.lag, 0)
})

test('P1 what was under way when the queue overflowed, and is lost with the next overflow, holds the watermark too', async () => {
  const run = await outputBench(() => false, { events: 2, whenFull: 'coalesce' })
  await run.connect()
  run.sink.respond = undefined
  await run.offerChanges(added('a', '1'), added('b', '2'))
  await run.settle()
  await run.offerChanges(added('c', '3'))
  run.sink.attempts[0]?.throw(new DeliveryError('failed', '500'))
  await run.settle()
  await run.offerChanges(begin('s1', '4'), begin('s2', '5'))
  run.output.complete(rv('5'))
  assert.equal(run.output.watermark.value, undefined)
})

test('a snapshot that was to make up for an overflow and was aborted is asked for again, and the next one does', async () => {
  const run = await outputBench(({ attributes }) => attributes.id === 's1:end', { events: 2, whenFull: 'coalesce' })
  run.output.complete(rv('1'))
  await run.offerChanges(added('a', '2'), added('b', '3'), added('c', '4'))
  assert.equal(run.output.isOwed, true)
  await run.connect()
  for (const change of [begin('s1', '4'), end('s1', '4')]) {
    await run.offerChanges(change)
    await run.settle()
  }
  assert.deepEqual(run.aborted, ['s1'])
  assert.equal(run.output.isOwed, true)
  assert.equal(run.output.debt, undefined, 'changes are told again')
  for (const change of [begin('s2', '4'), end('s2', '4')]) {
    await run.offerChanges(change)
    await run.settle()
  }
  assert.equal(run.output.isOwed, false)
})

test('F13 a restored server voids what was owed: its own snapshot follows', async () => {
  const run = await outputBench(() => false, { events: 2, whenFull: 'coalesce' })
  run.output.complete(rv('80'))
  await run.offerChanges(added('a', '82'), added('b', '83'), added('c', '84'))
  assert.equal(run.output.isOwed, true)
  await run.offerChanges({ type: 'Gap', from: rv('84'), to: rv('7'), cause: 'restored', observedAt }, added('new', '8'))
  run.output.complete(rv('8'))
  await run.connect()
  assert.deepEqual(ids(run.events), ['all/pods:84:7:gap', 'uid-new:8'])
  assert.deepEqual([run.output.isOwed, run.output.watermark.value], [false, '8'])
})

test('P1 a bookmark moves the watermark only when everything before it is settled', async () => {
  const { output, offerChanges, connect } = await outputBench(() => false)
  await offerChanges(added('a', '2'))
  output.complete(rv('9'))
  assert.equal(output.watermark.value, undefined)
  await connect()
  assert.equal(output.watermark.value, '9')
})

test('P1 the initial list is one position, reached when all of its objects are settled, however old they are', async () => {
  const run = await outputBench(() => false, { whenFull: 'block' })
  const listed = (name: string, version: string): Notable => ({
    type: 'Added',
    object: pod(name, version),
    resourceVersion: rv('100'),
    observed: 'relist',
    observedAt,
    collapsed: false,
  })
  run.sink.respond = undefined
  await run.offerChanges(listed('young', '90'), listed('old', '7'))
  run.output.complete(rv('100'))
  await run.connect()
  run.sink.attempts[0]?.answer()
  await run.settle()
  assert.equal(run.output.watermark.value, undefined)
  run.sink.attempts[0]?.answer()
  await run.settle()
  assert.equal(run.output.watermark.value, '100')
})

test('a change that no route wants does not hold the watermark of a quiet sink', async () => {
  const run = await outputBench(() => false)
  const route = { name: 'r', to: ['audit'], on: ['deleted'], payload: wholeObject } as const
  const routed = RoutedView.of({ source: 'all', sink: 'audit' }, compileRoutes([route]))
  assert.ok(routed)
  const output = new Output({
    routed,
    worker: run.worker,
    onSettled: () => assert.fail('nothing is offered'),
    onRepaid: () => {},
    onSnapshot: () => {},
  })
  startOutput(output, 'all/pods')
  for (const change of [added('a', '2'), added('b', '3')]) {
    await offerTo(output, change, translate, new AbortController().signal)
  }
  assert.equal(output.watermark.value, '2')
  output.complete(rv('3'))
  assert.deepEqual([output.watermark.value, output.watermark.lag], ['3', 0])
})

test('the parts of a snapshot hold no watermark: what they say is said again by the next one', async () => {
  const { output, offerChanges } = await outputBench(() => false)
  await offerChanges(added('a', '2'), begin('s1', '2'), end('s1', '2'))
  assert.equal(output.watermark.lag, 1)
})

test('P5 what a sink is owed from the start holds its watermark: an overflow before its snapshot has ended announces all of it', async () => {
  const run = await outputBench(() => false, { events: 2, whenFull: 'coalesce' })
  const state = new StreamState('all/pods')
  state.apply({ type: 'stream', stream: 'all/pods', definition: '', sinks: [{ name: 'audit', view: '' }] })
  const ledger = new Ledger(state, { required: [], keeps: 'ledger' })
  const debt = { kind: 'missed', cause: 'restart' } as const
  run.output.start(ledger, { watermark: rv('20'), skips: 'nothing', debt })
  run.output.complete(rv('102')) // where the stream goes on
  await run.offerChanges({ ...begin('s1', '112'), snapshot: { ...snapshot('s1'), reason: 'gap' } } as Notable)
  run.output.complete(rv('112'))
  assert.equal(run.output.watermark.value, '20')
  await run.offerChanges(added('a', '113'), added('b', '114'), added('c', '115'))
  assert.deepEqual([run.output.debt?.cause, run.output.debt?.from], ['overflow', '20'])
  await run.connect()
  await run.offerChanges(begin('s2', '115'), end('s2', '115'))
  await run.settle()
  run.output.complete(rv('115'))
  assert.deepEqual([run.output.isOwed, run.output.watermark.value], [false, '115'])
})

test('a restore that was made up for before anything else was noted is noted as such', async () => {
  const run = await outputBench(() => false)
  const state = new StreamState('all/pods')
  state.apply({ type: 'stream', stream: 'all/pods', definition: '', sinks: [{ name: 'audit', view: '' }] })
  const ledger = new Ledger(state, { required: ['audit'], keeps: 'ledger' })
  run.output.start(ledger, { watermark: rv('300'), skips: 'nothing', debt: undefined })
  run.output.startOver() // the stream notes that itself
  await run.offerChanges(begin('s1', '200'), end('s1', '200'))
  await run.connect()
  const debts = run.output.takeNotes('all/pods').filter(({ type }) => type === 'debt')
  assert.deepEqual(debts, [{ type: 'debt', stream: 'all/pods', sink: 'audit', kind: undefined }])
})

test('P2 what a snapshot has made up for is not told after it by a later process: the watermark passes its begin before the debt goes', async () => {
  const run = await outputBench(({ attributes }) => {
    if (attributes.id === 's1:end') run.sink.respond = undefined // what comes next is on its way
    return false
  })
  const state = new StreamState('all/pods')
  state.apply({ type: 'stream', stream: 'all/pods', definition: '', sinks: [{ name: 'audit', view: '' }] })
  const ledger = new Ledger(state, { required: ['audit'], keeps: 'ledger' })
  const debt = { kind: 'new', cause: 'restart' } as const
  run.output.start(ledger, { watermark: rv('100'), skips: 'nothing', debt })
  run.output.complete(rv('200')) // its list
  await run.offerChanges(begin('s1', '200'), end('s1', '200'), added('later', '201'))
  run.output.complete(rv('201'))
  await run.connect()
  const to = { stream: 'all/pods', sink: 'audit' } as const
  assert.deepEqual(run.output.takeNotes('all/pods'), [
    { type: 'watermark', ...to, position: '200' },
    { type: 'debt', ...to, kind: undefined },
  ])
})
