import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertsOf, type EventBridgeEvent, handler, type ObjectEvent } from './handler.ts'

const state = {
  running: { running: { startedAt: '2026-01-01T09:00:00Z' } },
  backingOff: { waiting: { reason: 'CrashLoopBackOff' } },
  creating: { waiting: { reason: 'ContainerCreating' } },
  outOfMemory: { terminated: { reason: 'OOMKilled', exitCode: 137, containerID: 'containerd://1' } },
  failed: { terminated: { reason: 'Error', exitCode: 1, containerID: 'containerd://1' } },
}

function pod(...containerStatuses: readonly object[]) {
  const metadata = { name: 'web', namespace: 'shop', uid: 'a1', resourceVersion: '7' }
  return { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running', containerStatuses } }
}

function event(data: ObjectEvent['data'], more: Partial<ObjectEvent> = {}): ObjectEvent {
  return {
    id: 'a1:7',
    source: 'kubernetes://test/api/v1/pods',
    type: 'io.deltawire.object.updated.v1',
    time: '2026-01-01T09:26:24Z',
    subject: 'shop/web',
    uid: 'a1',
    cluster: 'test',
    data,
    ...more,
  }
}

const bus = (detail: ObjectEvent): EventBridgeEvent => ({
  id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
  'detail-type': detail.type,
  source: detail.source,
  detail,
})

const app = { name: 'app', restartCount: 0, state: state.running }
const said = (data: ObjectEvent['data']) => alertsOf(event(data)).map(({ id }) => id)

test('a container that enters CrashLoopBackOff is an alert, with all that one wants to know', () => {
  const object = pod({ ...app, restartCount: 2, state: state.backingOff })
  assert.deepEqual(alertsOf(event({ object, previous: pod({ ...app, restartCount: 2, state: state.failed }) })), [
    {
      id: 'a1/app/2/CrashLoopBackOff',
      reason: 'CrashLoopBackOff',
      cluster: 'test',
      pod: 'shop/web',
      container: 'app',
      restarts: 2,
      time: '2026-01-01T09:26:24Z',
    },
  ])
})

test('a container that is backing off already is none', () => {
  const backingOff = pod({ ...app, restartCount: 2, state: state.backingOff })
  assert.deepEqual(said({ object: backingOff, previous: backingOff }), [])
})

test('a container that ran and crashed again between two versions is one: collapsed events tell by its restarts', () => {
  const previous = pod({ ...app, restartCount: 2, state: state.backingOff })
  const object = pod({ ...app, restartCount: 5, state: state.backingOff })
  assert.deepEqual(said({ object, previous }), ['a1/app/5/CrashLoopBackOff'])
})

test('a kill for memory is said once: when it happened, not again when the container has restarted', () => {
  const killed = pod({ ...app, state: state.outOfMemory })
  const restarted = pod({ ...app, restartCount: 1, lastState: state.outOfMemory })
  const id = 'a1/app/containerd://1/OOMKilled'
  assert.deepEqual(said({ object: killed, previous: pod(app) }), [id])
  assert.deepEqual(said({ object: restarted, previous: killed }), [])
  // the version between was not seen
  assert.deepEqual(said({ object: restarted, previous: pod(app) }), [id])
})

test('a pod that was not known before says all its troubles, of init containers too', () => {
  const object = pod({ ...app, restartCount: 1, state: state.backingOff, lastState: state.outOfMemory })
  const init = { name: 'init', restartCount: 4, state: state.backingOff }
  const whole = { ...object, status: { ...object.status, initContainerStatuses: [init] } }
  assert.deepEqual(said({ object: whole }), [
    'a1/init/4/CrashLoopBackOff',
    'a1/app/containerd://1/OOMKilled',
    'a1/app/1/CrashLoopBackOff',
  ])
})

test('starting, running, failing and having no status at all are no troubles', () => {
  for (const one of [state.creating, state.running, state.failed]) {
    assert.deepEqual(said({ object: pod({ ...app, state: one }), previous: pod(app) }), [])
  }
  const { status: _, ...young } = pod()
  assert.deepEqual(said({ object: young }), [])
})

test('the same event twice is handled once', async (t) => {
  const lines = t.mock.method(console, 'log', () => {})
  const object = pod({ ...app, restartCount: 9, state: state.backingOff })
  const first = bus(event({ object }, { id: 'a1:twice' }))
  assert.equal((await handler(first)).length, 1)
  assert.deepEqual(await handler({ ...first, id: 'as it is put on the bus again' }), [])
  assert.equal(lines.mock.callCount(), 1)
})

test('items of snapshots, deletes and types to come are left alone', async () => {
  const object = pod({ ...app, state: state.backingOff })
  for (const type of [
    'io.deltawire.snapshot.item.v1',
    'io.deltawire.object.deleted.v1',
    'io.deltawire.object.updated.v2',
  ]) {
    assert.deepEqual(await handler(bus(event({ object }, { type, id: type }))), [])
  }
})

test('a pod too large to be sent whole is an error each time it is tried, so that it ends in the dead letters', async () => {
  const { status: _, ...object } = pod()
  const degraded = bus(event({ object }, { degraded: 'metadata', id: 'a1:large' }))
  await assert.rejects(handler(degraded), /shop\/web: the event has no status/)
  await assert.rejects(handler(degraded), /shop\/web/)
  assert.deepEqual(alertsOf(event({ object }, { degraded: 'no-previous' })), [])
})
