/** What two events of one object are in one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertValidAttributes } from '../events/index.ts'
import type { OutboundEvent } from '../events/outbound.ts'
import type { KubeObject, ObjectIdentity, Resource, ResourceVersion, Timestamp, Uid } from '../kube/object.ts'
import { allOn, type Payload, wholeObject } from '../route/view.ts'
import type { ObjectChange } from './object-event.ts'
import { createTranslator } from './translate.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const translate = createTranslator({ cluster: 'c', stream: 'all/pods', resource: pods, scope: {} })
const rv = (version: number) => String(version) as ResourceVersion
const seen = (version: number) =>
  ({
    resourceVersion: rv(version),
    observed: 'watch',
    observedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, version)).toISOString() as Timestamp,
    collapsed: false,
  }) as const

function web(version: number, spec: unknown, uid = 'u1'): KubeObject {
  const metadata = { name: 'web', namespace: 'shop', uid: uid as Uid, resourceVersion: rv(version) }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, creationTimestamp: '2025-12-31T00:00:00Z' },
    spec,
  }
}
const identity = (uid = 'u1'): ObjectIdentity => ({ namespace: 'shop', name: 'web', uid: uid as Uid })

const added = (version: number, spec: unknown, uid?: string): ObjectChange => ({
  type: 'Added',
  object: web(version, spec, uid),
  ...seen(version),
})
const updated = (version: number, spec: unknown, previous?: KubeObject): ObjectChange => ({
  type: 'Updated',
  object: web(version, spec),
  previous,
  ...seen(version),
})
const deleted = (version: number, { gone }: { readonly gone: boolean } = { gone: true }): ObjectChange => ({
  type: 'Deleted',
  identity: identity(),
  object: web(version, { last: true }),
  finalStateKnown: true,
  gone,
  ...seen(version),
})

const eventOf = (change: ObjectChange, payload: Partial<Payload> = {}): OutboundEvent =>
  translate(change)(
    { sink: 'a', on: new Set(allOn), payload: { ...wholeObject, ...payload } },
    { deadLettered: () => 0 },
  )
const merge = (first: OutboundEvent, newer: OutboundEvent): OutboundEvent => {
  const merged = first.merge?.(newer)
  assert.ok(merged)
  assertValidAttributes(merged.attributes)
  assert.equal(merged.dataBytes, Buffer.byteLength(merged.data ?? ''))
  return merged
}
const dataOf = ({ data }: OutboundEvent) => JSON.parse(data ?? '')
const inShort = ({ attributes: { type, id, sequence, collapsed } }: OutboundEvent) =>
  `${type.split('.').at(-2)} ${id} at ${Number(sequence)}${collapsed === true ? ' collapsed' : ''}`

test('S5 two in one are told as the newer one: its route may show less', () => {
  const whole = eventOf(updated(11, { n: 1 }, web(10, {})))
  const merged = merge(whole, eventOf(updated(12, { n: 2 }, web(11, { n: 1 })), { shape: 'metadata' }))
  assert.deepEqual(dataOf(merged), dataOf(eventOf(updated(12, { n: 2 }, web(10, {})), { shape: 'metadata' })))
})

test('added and updated are added, with the newest object, its id and its place', () => {
  const merged = merge(eventOf(added(10, { n: 1 })), eventOf(updated(12, { n: 2 }, web(11, { n: 1 }))))
  assert.equal(inShort(merged), 'added u1:12 at 12 collapsed')
  assert.equal(merged.attributes.time, '2025-12-31T00:00:00Z')
  assert.deepEqual(dataOf(merged), { object: web(12, { n: 2 }) })
})

test('updated and updated are updated: the first previous state, the newest object, and what differs between those', () => {
  const first = updated(11, { a: 2, b: 1 }, web(10, { a: 1, b: 1 }))
  const newer = updated(12, { a: 2, b: 2 }, web(11, { a: 2, b: 1 }))
  const merged = merge(eventOf(first, { previous: true }), eventOf(newer, { previous: true }))
  assert.equal(inShort(merged), 'updated u1:12 at 12 collapsed')
  assert.deepEqual(dataOf(merged), {
    object: web(12, { a: 2, b: 2 }),
    previous: web(10, { a: 1, b: 1 }),
    previousResourceVersion: '10',
    changed: ['/spec/a', '/spec/b'],
  })
})

test('a change that was taken back is no change: changed is empty', () => {
  const first = updated(11, { a: 2 }, web(10, { a: 1 }))
  const merged = merge(eventOf(first), eventOf(updated(12, { a: 1 }, web(11, { a: 2 }))))
  assert.deepEqual(dataOf(merged).changed, [])
})

test('where the first previous state is unknown nothing is said to have changed since', () => {
  const merged = merge(eventOf(updated(11, 1)), eventOf(updated(12, 2, web(11, 1))))
  assert.deepEqual(dataOf(merged), { object: web(12, 2) })
})

test('P3 anything and deleted is deleted, under its own id, also if added never left', () => {
  for (const first of [added(10, 1), updated(10, 1, web(9, 0)), deleted(10, { gone: false })]) {
    const merged = merge(eventOf(first), eventOf(deleted(12)))
    assert.equal(inShort(merged), 'deleted u1:deleted at 12 collapsed')
    assert.deepEqual(dataOf(merged), { object: web(12, { last: true }), finalStateKnown: true })
  }
  const left = merge(eventOf(added(10, 1)), eventOf(deleted(12, { gone: false })))
  assert.equal(inShort(left), 'deleted u1:00000000000000000012:left at 12 collapsed')
})

test('one that left and entered again stays two, and what follows is merged with the second', () => {
  const left = eventOf(deleted(10, { gone: false }))
  const again = eventOf(added(12, 1))
  assert.equal(left.merge?.(again), undefined)
  const newer = merge(again, eventOf(updated(13, 2, web(12, 1))))
  assert.equal(inShort(newer), 'added u1:13 at 13 collapsed')
  assert.equal(left.merge?.(newer), undefined)
  const gone = merge(newer, eventOf(deleted(14)))
  assert.equal(inShort(merge(left, gone)), 'deleted u1:deleted at 14 collapsed')
})

test('P2 events of two objects with one name are never merged, nor items of snapshots', () => {
  assert.equal(eventOf(deleted(10)).merge?.(eventOf(added(12, 1, 'u2'))), undefined)
  const item: ObjectChange = {
    type: 'SnapshotItem',
    snapshot: { id: 's', reason: 'periodic', mode: 'full', ledger: 'warm' },
    object: web(10, 1),
    resourceVersion: rv(11),
    observedAt: seen(11).observedAt,
  }
  assert.equal(eventOf(item).merge?.(eventOf(updated(12, 2))), undefined)
  assert.equal(eventOf(updated(10, 1)).merge?.(eventOf(item)), undefined)
})

test('of a thousand versions only the newest is kept, and the first previous one', () => {
  let merged = eventOf(updated(11, { n: 0 }, web(10, { n: -1 })))
  for (let n = 1; n <= 1000; n++) merged = merge(merged, eventOf(updated(11 + n, { n }, web(10 + n, { n: n - 1 }))))
  assert.equal(inShort(merged), 'updated u1:1011 at 1011 collapsed')
  assert.equal(merged.attributes.dataschema, 'urn:deltawire:schema:object:v1')
  assert.deepEqual(dataOf(merged).changed, ['/spec/n'])
})

test('a merged event shrinks as any other', () => {
  const first = updated(11, 1, web(10, 0))
  const merged = merge(eventOf(first, { previous: true }), eventOf(updated(12, 2, web(11, 1)), { previous: true }))
  const smaller = merged.smaller?.()
  assert.equal(smaller?.attributes.degraded, 'no-previous')
  assert.equal(smaller?.attributes.collapsed, true)
})
