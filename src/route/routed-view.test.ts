import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asUnread, type KubeObject, type ResourceVersion, type Timestamp, type Uid } from '../kube/object.ts'
import type { ObjectDelta } from './crossing.ts'
import { compileRoutes, RoutedView, type WhereObserver } from './routed-view.ts'
import { allOn, type On, onOfKubeEvents, type Route, wholeObject } from './view.ts'

const pod = (phase: string, resourceVersion = '1'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1' as Uid, resourceVersion: resourceVersion as ResourceVersion },
  status: { phase },
})
const running = pod('Running', '1')
const done = pod('Succeeded', '2')

const seen = (resourceVersion = '9') =>
  ({
    resourceVersion: resourceVersion as ResourceVersion,
    observed: 'watch',
    observedAt: '2026-01-01T00:00:00Z' as Timestamp,
    collapsed: false,
  }) as const
const added = (object: KubeObject): ObjectDelta => ({ type: 'Added', object, ...seen() })
const updated = (previous: KubeObject | undefined, object: KubeObject): ObjectDelta => ({
  type: 'Updated',
  object,
  previous,
  ...seen(),
})
const identity = { namespace: 'shop', name: 'web', uid: 'u1' as Uid }
const deleted = (object: KubeObject | undefined): ObjectDelta => ({
  type: 'Deleted',
  identity,
  object,
  gone: true,
  finalStateKnown: object !== undefined,
  ...seen(),
})

const route = (name: string, rest: Partial<Route> = {}): Route => ({
  name,
  to: ['audit'],
  on: allOn,
  payload: wholeObject,
  ...rest,
})
const live = "object.status.phase == 'Running'"
const brief = { shape: 'reference', previous: false } as const

function viewOf(routes: readonly Route[], observer?: WhereObserver): RoutedView {
  const view = RoutedView.of({ source: 'pods', sink: 'audit' }, compileRoutes(routes, observer))
  assert.ok(view)
  return view
}
const typeOf = (view: RoutedView, change: ObjectDelta, held?: boolean) => view.see(change, held)?.change.type

test('without routes a sink sees everything; with some, only what they lead to it', () => {
  const whole = RoutedView.of({ source: 'pods', sink: 'audit' }, [])
  assert.deepEqual(whole?.shapes, [{ sink: 'audit', payload: wholeObject, on: new Set(allOn) }])
  assert.equal(
    RoutedView.of({ source: 'pods', sink: 'audit' }, compileRoutes([route('a', { to: ['other'] })])),
    undefined,
  )
  assert.equal(
    RoutedView.of({ source: 'pods', sink: 'audit' }, compileRoutes([route('a', { from: ['nodes'] })])),
    undefined,
  )
})

test('the first route whose from and where match shapes everything, there is no fall-through', () => {
  const view = viewOf([
    route('nodes', { from: ['nodes'] }),
    route('live', { where: live, payload: brief, on: ['deleted'] }),
    route('rest'),
    route('never'),
  ])
  assert.deepEqual(
    view.shapes.map(({ payload }) => payload),
    [brief, wholeObject],
  )
  assert.equal(view.match(running)?.payload, brief)
  assert.equal(view.match(done)?.payload, wholeObject)
  assert.equal(view.see(updated(running, done))?.shape.payload, wholeObject)
  assert.equal(view.see(updated(done, running))?.shape.payload, brief)
})

test('without a where nothing is asked of an object, and a change is handed on as it is', () => {
  const view = viewOf([route('all')])
  const untouchable = new Proxy(running, {
    get: () => assert.fail('looked at'),
  })
  const change = updated(untouchable, untouchable)
  assert.equal(view.holdsAll, true)
  assert.equal(view.see(change)?.change, change)
  assert.equal(view.see(change, false)?.change, change)
})

test('a view of several routes that holds all hands every change on, whatever was recorded', () => {
  const view = viewOf([route('live', { where: live, payload: brief }), route('rest')])
  assert.equal(typeOf(view, updated(done, running), false), 'Updated')
  assert.equal(typeOf(view, deleted(running), false), 'Deleted')
})

test('an object that crosses the border is added or deleted, as in FilteringResourceEventHandler', () => {
  const view = viewOf([route('live', { where: live })])
  assert.equal(view.holdsAll, false)
  assert.equal(typeOf(view, added(running)), 'Added')
  assert.equal(typeOf(view, added(done)), undefined)
  assert.equal(typeOf(view, updated(running, running)), 'Updated')
  assert.equal(typeOf(view, updated(done, done)), undefined)
  assert.equal(typeOf(view, deleted(running)), 'Deleted')
  assert.equal(typeOf(view, deleted(done)), undefined)
  assert.deepEqual(view.see(updated(done, running))?.change, { type: 'Added', object: running, ...seen() })
  assert.deepEqual(view.see(updated(running, done)), {
    change: { type: 'Deleted', identity, object: running, gone: false, finalStateKnown: false, ...seen() },
    shape: view.shapes[0],
    isMember: false,
  })
})

test('what was recorded of the sink goes before what the previous state says', () => {
  const view = viewOf([route('live', { where: live })])
  assert.equal(typeOf(view, updated(running, running), false), 'Added')
  assert.equal(typeOf(view, updated(done, running), true), 'Updated')
  assert.equal(typeOf(view, updated(done, done), true), 'Deleted')
  assert.equal(typeOf(view, updated(running, done), false), undefined)
  assert.equal(typeOf(view, added(done), true), 'Deleted')
  assert.equal(typeOf(view, added(running), true), 'Added')
  assert.equal(typeOf(view, deleted(done), true), 'Deleted')
  assert.equal(typeOf(view, deleted(running), false), undefined)
})

test('a sink that may hold an object is told of its leaving, also if nothing is known of what it was', () => {
  const view = viewOf([route('live', { where: live })])
  assert.equal(typeOf(view, updated(undefined, done)), 'Deleted')
  assert.equal(typeOf(view, updated(undefined, running)), 'Updated')
  assert.equal(typeOf(view, deleted(undefined)), 'Deleted')
})

test('a deleted shows no state that the view does not let through', () => {
  const view = viewOf([route('live', { where: live })])
  const left = view.see(updated(done, done), true)?.change
  assert.deepEqual(left, {
    type: 'Deleted',
    identity,
    object: undefined,
    gone: false,
    finalStateKnown: false,
    ...seen(),
  })
  const gone = view.see(deleted(done), true)?.change
  assert.deepEqual(gone, { ...deleted(undefined), finalStateKnown: false })
  assert.equal(view.see(deleted(running), true)?.change.object, running)
})

test('a leave is shaped by the route that matched last, or by the first that sends deletes', () => {
  const view = viewOf([
    route('pending', { where: "object.status.phase == 'Pending'", on: ['added'] }),
    route('live', { where: live, payload: brief }),
    route('failed', { where: "object.status.phase == 'Failed'" }),
  ])
  assert.equal(view.see(updated(pod('Failed'), done))?.shape, view.shapes[2])
  assert.equal(view.see(updated(pod('Pending'), done))?.shape, view.shapes[0])
  assert.equal(view.see(updated(undefined, done))?.shape, view.shapes[1])
  assert.equal(view.see(deleted(undefined))?.shape, view.shapes[1])
  assert.equal(view.see(deleted(pod('Failed')))?.shape, view.shapes[2])
})

test('a where that cannot tell means no member; each failure is told, with the time it took', () => {
  const told: unknown[] = []
  let now = 0
  const observer: WhereObserver = {
    now: () => now++,
    evaluated: (...what) => told.push(what),
  }
  const view = viewOf([route('live', { where: live })], observer)
  const { status: _, ...without } = running
  assert.equal(view.match(without), undefined)
  assert.equal(view.match(running), view.shapes[0])
  assert.deepEqual(told, [
    ['live', 1, 'missing'],
    ['live', 1, undefined],
  ])
})

test('a where is evaluated once for an object and its previous state, however many sinks it leads to', () => {
  let evaluated = 0
  const observer: WhereObserver = { now: () => 0, evaluated: () => evaluated++ }
  const routes = compileRoutes([route('live', { where: live, to: ['a', 'b', 'c'] })], observer)
  for (const sink of ['a', 'b', 'c']) RoutedView.of({ source: 'pods', sink }, routes)?.see(updated(running, done))
  assert.equal(evaluated, 2)
})

test('an object that could not be read is a member unless its identity excludes it', () => {
  const unread = asUnread(running, 'size')
  assert.ok(viewOf([route('live', { where: live })]).match(unread))
  assert.equal(viewOf([route('kind', { where: `object.kind == 'Node' && ${live}` })]).match(unread), undefined)
})

test('markers and gaps go to a sink if any route has them; digests only if all routes send what a copy needs', () => {
  const on = (...types: readonly On[]) => ({ on: types })
  const streamOn = (...routes: readonly Partial<Route>[]) =>
    [...viewOf(routes.map((rest, index) => route(`r${index}`, { where: `${index} < 9`, ...rest }))).stream.on].sort()
  assert.deepEqual(streamOn({}, {}), [...allOn].sort())
  assert.deepEqual(streamOn({}, on('added')), ['gap', 'snapshot'])
  assert.deepEqual(streamOn({}, on('added', 'deleted', 'snapshot')), ['added', 'deleted', 'gap', 'snapshot'])
  assert.deepEqual(streamOn(on('added', 'updated', 'deleted')), [])
})

test('F24 a route that does not say on sends what is usual for the stream, and so does no route at all', () => {
  const way = { source: 'events', sink: 'audit', usual: onOfKubeEvents }
  const sent = (...routes: readonly Route[]) => [...(RoutedView.of(way, compileRoutes(routes))?.stream.on ?? [])]
  const { on: _, ...silent } = route('a')
  assert.deepEqual(sent(), ['added', 'updated', 'snapshot', 'gap'])
  assert.deepEqual(sent(silent), ['added', 'updated', 'snapshot', 'gap'])
  assert.deepEqual(sent(route('a', { on: allOn })), allOn)
})

test('the definition of a view is the same for the same view, and another for any other', () => {
  const definition = (...routes: readonly Route[]) => viewOf(routes).definition
  const one = definition(route('a', { where: live }))
  const order: readonly On[] = ['gap', 'snapshot', 'deleted', 'updated', 'added']
  assert.equal(definition(route('renamed', { where: ` ${live}\n`, on: order, from: ['pods'] })), one)
  assert.equal(definition(route('other', { from: ['nodes'] }), route('a', { where: live })), one)
  assert.equal(definition(route('a')), RoutedView.whole('audit').definition)
  assert.equal(definition(route('a'), route('never')), RoutedView.whole('audit').definition)
  const others = [
    definition(route('a')),
    definition(route('a', { where: 'true' })),
    definition(route('a', { where: live, on: ['added'] })),
    definition(route('a', { where: live, payload: brief })),
    definition(route('a', { where: live, payload: { ...wholeObject, previous: true } })),
    definition(route('a', { where: live }), route('b')),
  ]
  assert.equal(new Set([one, ...others]).size, others.length + 1)
})
