import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertValidAttributes } from '../events/index.ts'
import {
  asUnread,
  type KubeObject,
  type ObjectIdentity,
  type Resource,
  type ResourceVersion,
  type Timestamp,
  type Uid,
} from '../kube/object.ts'
import type { Notable, Snapshot, SnapshotScope } from '../reconcile/change.ts'
import { createRedaction } from '../redact/redact.ts'
import { allOn, type Payload, type View, wholeObject } from '../route/view.ts'
import { createTranslator } from './translate.ts'

const deployments: Resource = {
  group: 'apps',
  version: 'v1',
  resource: 'deployments',
  kind: 'Deployment',
  namespaced: true,
}
const stream = 'workloads/deployments.apps'
const translate = createTranslator({
  cluster: 'prod-eu',
  stream,
  resource: deployments,
  scope: { namespaces: ['shop'], labelSelector: 'tier!=cache' },
})
const redact = createRedaction({ paths: [], env: [] })
const rv = (text: string) => text as ResourceVersion
const at = '2026-01-01T00:00:09.123Z' as Timestamp
const view = (payload: Partial<Payload> = {}): View => ({
  sink: 'a',
  on: new Set(allOn),
  payload: { ...wholeObject, ...payload },
})
const send = (change: Notable, to = view(), deadLettered = 0) =>
  translate(change)(to, { deadLettered: () => deadLettered })
const dataOf = ({ data }: { readonly data: string | undefined }): unknown => JSON.parse(data ?? 'null')

function web(resourceVersion: string, spec: unknown): KubeObject {
  return redact({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid: 'u1' as Uid,
      resourceVersion: rv(resourceVersion),
      creationTimestamp: '2026-01-01T00:00:00Z',
      managedFields: [{ manager: 'kubectl', operation: 'Update', time: '2026-01-01T00:00:05Z' }],
    },
    spec,
  })
}
const watched = (resourceVersion: string) =>
  ({ resourceVersion: rv(resourceVersion), observed: 'watch', observedAt: at, collapsed: false }) as const
const relisted = (resourceVersion: string) =>
  ({ resourceVersion: rv(resourceVersion), observed: 'relist', observedAt: at, collapsed: true }) as const
const identity: ObjectIdentity = { namespace: 'shop', name: 'web', uid: 'u1' as Uid }

test('an added object carries every attribute of the contract, its own time, and no managedFields', () => {
  const event = send({ type: 'Added', object: web('41', { replicas: 1 }), ...watched('41') })
  assertValidAttributes(event.attributes)
  assert.deepEqual(JSON.parse(JSON.stringify(event.attributes)), {
    specversion: '1.0',
    id: 'u1:41',
    source: 'kubernetes://prod-eu/apis/apps/v1/deployments',
    type: 'io.deltawire.object.added.v1',
    datacontenttype: 'application/json',
    dataschema: 'urn:deltawire:schema:object:v1',
    subject: 'shop/web',
    time: '2026-01-01T00:00:00Z',
    apiversion: 'apps/v1',
    kind: 'Deployment',
    namespace: 'shop',
    name: 'web',
    cluster: 'prod-eu',
    resource: 'deployments.apps',
    stream,
    uid: 'u1',
    resourceversion: '41',
    partitionkey: 'prod-eu/deployments.apps/shop/web',
    sequence: '00000000000000000041',
    observed: 'watch',
    fieldmanager: 'kubectl',
  })
  assert.deepEqual(
    { key: event.key, stream: event.stream, kind: event.kind, bytes: event.dataBytes },
    { key: 'prod-eu/deployments.apps/shop/web', stream, kind: 'change', bytes: Buffer.byteLength(event.data ?? '') },
  )
  assert.deepEqual(dataOf(event), {
    object: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {
        name: 'web',
        namespace: 'shop',
        uid: 'u1',
        resourceVersion: '41',
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      spec: { replicas: 1 },
    },
  })
})

test('an update says what changed, when, and on request what was before', () => {
  const change = {
    type: 'Updated',
    object: web('42', { replicas: 2 }),
    previous: web('41', { replicas: 1 }),
    ...watched('42'),
  } as const
  const { attributes, data } = send(change, view({ previous: true }))
  assert.equal(attributes.time, '2026-01-01T00:00:05Z')
  const { object, previous, ...rest } = JSON.parse(data ?? '') as { object: KubeObject; previous: KubeObject }
  assert.deepEqual([object.spec, previous.spec], [{ replicas: 2 }, { replicas: 1 }])
  assert.deepEqual(rest, { previousResourceVersion: '41', changed: ['/spec/replicas'] })
  assert.deepEqual(Object.keys(JSON.parse(send(change).data ?? '')), ['object', 'changed'])
})

test('P5 what a relist found says so', () => {
  const { attributes } = send({ type: 'Updated', object: web('42', {}), previous: web('41', {}), ...relisted('50') })
  assert.deepEqual(
    [attributes.id, attributes.observed, attributes.collapsed, attributes.sequence],
    ['u1:42', 'relist', true, '00000000000000000050'],
  )
})

test('P4 a deletion has one id, whether it was watched or inferred; a leave has one per place', () => {
  const gone = { type: 'Deleted', identity, object: web('43', {}), gone: true } as const
  const seen = send({ ...gone, finalStateKnown: true, ...watched('43') })
  const inferred = send({ ...gone, object: undefined, finalStateKnown: false, ...relisted('50') })
  const left = send({ ...gone, gone: false, finalStateKnown: true, ...watched('43') })
  assert.deepEqual(
    [seen, inferred, left].map((event) => event.attributes.id),
    ['u1:deleted', 'u1:deleted', 'u1:00000000000000000043:left'],
  )
  assert.deepEqual(dataOf(inferred), {
    object: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { namespace: 'shop', name: 'web', uid: 'u1' } },
    finalStateKnown: false,
  })
  assertValidAttributes(inferred.attributes)
  assert.equal(inferred.attributes.resourceversion, undefined)
})

test('the shapes hold what they promise', () => {
  const change = {
    type: 'Updated',
    object: web('42', { replicas: 2 }),
    previous: web('41', { replicas: 1 }),
    ...watched('42'),
  } as const
  const shapes = (['metadata', 'reference', 'bare'] as const).map((shape) => send(change, view({ shape })))
  assert.deepEqual(
    shapes.map((event) => event.attributes.dataschema),
    ['urn:deltawire:schema:metadata:v1', 'urn:deltawire:schema:reference:v1', 'urn:deltawire:schema:bare:v1'],
  )
  const { apiVersion, kind, metadata, spec } = change.object
  assert.deepEqual(shapes.map(dataOf), [
    { object: { apiVersion, kind, metadata }, changed: ['/spec/replicas'] },
    {
      object: { apiVersion, kind, namespace: 'shop', name: 'web', uid: 'u1', resourceVersion: '42' },
      changed: ['/spec/replicas'],
    },
    { apiVersion, kind, metadata, spec },
  ])
})

test('views that ask for the same share one text of data', () => {
  const translation = translate({ type: 'Added', object: web('41', {}), ...watched('41') })
  assert.equal(translation(view(), { deadLettered: () => 0 }).data, translation(view(), { deadLettered: () => 3 }).data)
})

test('F54 a payload that does not fit shrinks step by step under the same id, down to a reference of bounded size', () => {
  const change = {
    type: 'Updated',
    object: web('42', { text: 'x'.repeat(1000) }),
    previous: web('41', { text: 'y' }),
    ...watched('42'),
  } as const
  const steps = []
  for (let event = send(change, view({ previous: true })); ; ) {
    assert.equal(event.attributes.id, 'u1:42')
    steps.push([
      event.attributes.degraded,
      event.attributes.dataschema.split(':')[3],
      Object.keys(dataOf(event) as object),
    ])
    const smaller = event.smaller?.()
    if (!smaller) break
    event = smaller
  }
  assert.deepEqual(steps, [
    [undefined, 'object', ['object', 'previous', 'previousResourceVersion', 'changed']],
    ['no-previous', 'object', ['object', 'changed']],
    ['metadata', 'metadata', ['object', 'changed']],
    ['reference', 'reference', ['object']],
  ])
})

for (const reason of ['size', 'depth', 'transform'] as const) {
  test(`P1 of an object that could not be read (${reason}) a degraded reference goes out, whatever was asked for`, () => {
    const change = { type: 'Updated', object: asUnread(web('42', {}), reason), previous: web('41', {}) } as const
    const { attributes, data } = send({ ...change, ...watched('42') }, view({ previous: true }))
    assert.deepEqual(
      [attributes.id, attributes.degraded, attributes.dataschema.split(':')[3], JSON.parse(data ?? '')],
      [
        'u1:42',
        'reference',
        'reference',
        {
          object: {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            namespace: 'shop',
            name: 'web',
            uid: 'u1',
            resourceVersion: '42',
          },
        },
      ],
    )
  })
}

test('what could not be read is no previous state: nothing is said to have changed since', () => {
  const previous = asUnread(web('41', {}), 'transform')
  const change = { type: 'Updated', object: web('42', { replicas: 2 }), previous, ...watched('42') } as const
  assert.deepEqual(Object.keys(dataOf(send(change, view({ previous: true }))) as object), ['object'])
})

const snapshot: Snapshot = { id: `${stream}:r1`, reason: 'startup', mode: 'full', ledger: 'cold' }
const placed = { snapshot, resourceVersion: rv('50'), observedAt: at } as const
const result = { items: 1, added: 2, updated: 3, deleted: 4, unchanged: 0, members: 'm', state: 's' }

test('P6 the parts of a snapshot share its id and say what the contract promises', () => {
  const begin = send({ type: 'SnapshotBegin', ...placed })
  const item = send({ type: 'SnapshotItem', object: web('41', {}), ...placed })
  const end = send({ type: 'SnapshotEnd', result, ...placed }, view(), 7)
  const events = [begin, item, end]
  for (const event of events) assertValidAttributes(event.attributes)
  assert.deepEqual(
    events.map(({ kind, attributes }) => [kind, attributes.id, attributes.snapshotid, attributes.partitionkey]),
    [
      ['begin', `${stream}:r1:begin`, `${stream}:r1`, `${stream}:begin`],
      ['item', `u1:41:${stream}:r1`, `${stream}:r1`, 'prod-eu/deployments.apps/shop/web'],
      ['end', `${stream}:r1:end`, `${stream}:r1`, `${stream}:end`],
    ],
  )
  const scope = { resource: 'deployments.apps', namespaces: ['shop'], labelSelector: 'tier!=cache' }
  assert.deepEqual(dataOf(begin), { snapshot: { ...snapshot, scope } })
  assert.deepEqual(dataOf(end), { snapshot: { ...snapshot, scope, resourceVersion: '50', ...result, deadLettered: 7 } })
})

test('a part says which of the objects of its stream it holds, and carries no digest', () => {
  const part = (scope: SnapshotScope) => ({ ...placed, snapshot: { ...snapshot, mode: 'part', scope } as const })
  const everywhere = createTranslator({ cluster: 'prod-eu', stream, resource: deployments, scope: {} })
  const scopeOf = (event: ReturnType<typeof send>) => (dataOf(event) as { snapshot: { scope: object } }).snapshot.scope
  const selected = part({ labelSelector: 'app=web' })
  assert.deepEqual(scopeOf(send({ type: 'SnapshotBegin', ...selected })), {
    resource: 'deployments.apps',
    namespaces: ['shop'],
    labelSelector: 'tier!=cache,app=web',
  })
  const begin: Notable = { type: 'SnapshotBegin', ...part({ namespaces: ['pay', 'shop'] }) }
  const scope = { resource: 'deployments.apps', namespaces: ['pay', 'shop'] }
  assert.deepEqual(scopeOf(everywhere(begin)(view(), { deadLettered: () => 0 })), scope)
  const { members, state, ...counts } = result
  const said = { ...snapshot, mode: 'part', scope: scopeOf(send({ type: 'SnapshotBegin', ...selected })) }
  assert.deepEqual(dataOf(send({ type: 'SnapshotEnd', result, ...selected })), {
    snapshot: { ...said, resourceVersion: '50', ...counts, deadLettered: 0 },
  })
})

test('an end that may not wait becomes the abort of its snapshot', () => {
  const aborted = send({ type: 'SnapshotEnd', result, ...placed }).aborted?.('a lane backs off')
  assert.ok(aborted)
  assertValidAttributes(aborted.attributes)
  assert.deepEqual(
    [aborted.kind, aborted.attributes.type, dataOf(aborted)],
    ['aborted', 'io.deltawire.snapshot.aborted.v1', { snapshot: { id: snapshot.id, cause: 'a lane backs off' } }],
  )
})

test('a view that leaves types out gets no digest that its copy could not match', () => {
  const end = send(
    { type: 'SnapshotEnd', result, ...placed },
    { ...view(), on: new Set(['added', 'updated', 'snapshot']) },
  )
  assert.deepEqual(
    Object.keys((dataOf(end) as { snapshot: object }).snapshot).filter(
      (name) => name === 'members' || name === 'state',
    ),
    [],
  )
})

test('P5 a gap says from where to where', () => {
  const gap = send({ type: 'Gap', from: rv('41'), to: rv('50'), cause: 'expired', observedAt: at })
  assertValidAttributes(gap.attributes)
  assert.deepEqual(
    [gap.attributes.id, gap.attributes.sequence, dataOf(gap)],
    [`${stream}:41:50:gap`, '00000000000000000050', { gap: { from: '41', to: '50', cause: 'expired' } }],
  )
})

test('P6 the final form of an end is the same event, with the dead letters of that moment', () => {
  let deadLettered = 1
  const offered = translate({ type: 'SnapshotEnd', result, ...placed })(view(), { deadLettered: () => deadLettered })
  deadLettered = 3
  const final = offered.final?.()
  assert.deepEqual(final?.attributes, offered.attributes)
  const told = (event: typeof final) => event && JSON.parse(event.data ?? '').snapshot.deadLettered
  assert.deepEqual([told(offered), told(final)], [1, 3])
  assert.equal(final?.aborted?.('late').kind, 'aborted')
})

test('P4 only a gap after which versions begin anew supersedes what its stream offered before', () => {
  const gap = (cause: 'expired' | 'restored'): Notable => ({
    type: 'Gap',
    from: rv('90'),
    to: rv('7'),
    cause,
    observedAt: at,
  })
  assert.equal(send(gap('restored')).supersedes, 'stream')
  assert.equal(send(gap('expired')).supersedes, undefined)
})
