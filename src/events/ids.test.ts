import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareResourceVersions, type Resource, resourceVersion, type Uid } from '../kube/object.ts'
import {
  deletedId,
  enteredId,
  gapId,
  itemId,
  leftId,
  markerId,
  partitionKey,
  sequence,
  snapshotId,
  sourceOf,
  streamKey,
  streamName,
  subjectOf,
  versionId,
} from './ids.ts'

const uid = '9a2c7e0f-50f5-4e5b-8a0e-2f6a1d1c9b11' as Uid
const rv = resourceVersion('4711')
const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const deployments: Resource = { ...pods, group: 'apps', resource: 'deployments', kind: 'Deployment' }

test('P4 the id of every kind of event is spelled as the contract says', () => {
  const snapshot = snapshotId('workloads/pods', 'b7Qm2x')
  assert.equal(versionId(uid, rv), `${uid}:4711`)
  assert.equal(enteredId(uid, sequence(rv)), `${uid}:00000000000000004711:entered`)
  assert.equal(deletedId(uid), `${uid}:deleted`)
  assert.equal(leftId(uid, sequence(rv)), `${uid}:00000000000000004711:left`)
  assert.equal(itemId(uid, rv, snapshot), `${uid}:4711:workloads/pods:b7Qm2x`)
  assert.equal(markerId(snapshot, 'begin'), 'workloads/pods:b7Qm2x:begin')
  assert.equal(markerId(snapshot, 'end'), 'workloads/pods:b7Qm2x:end')
  assert.equal(markerId(snapshot, 'aborted'), 'workloads/pods:b7Qm2x:aborted')
  assert.equal(gapId('workloads/pods', rv, resourceVersion('4800')), 'workloads/pods:4711:4800:gap')
})

test('a stream is named by source, resource and, if it covers one namespace, that namespace', () => {
  assert.equal(streamName('workloads', 'deployments.apps'), 'workloads/deployments.apps')
  assert.equal(streamName('workloads', 'pods', 'shop'), 'workloads/pods/shop')
})

test('the source is one per cluster and resource, core and named groups as in the API', () => {
  assert.equal(sourceOf('prod-eu', pods), 'kubernetes://prod-eu/api/v1/pods')
  assert.equal(sourceOf('prod-eu', deployments), 'kubernetes://prod-eu/apis/apps/v1/deployments')
})

test('subject and partition key have one part less for a cluster-scoped object', () => {
  assert.equal(subjectOf({ namespace: 'shop', name: 'web' }), 'shop/web')
  assert.equal(subjectOf({ name: 'node-7' }), 'node-7')
  assert.equal(
    partitionKey('prod-eu', 'deployments.apps', { namespace: 'shop', name: 'web' }),
    'prod-eu/deployments.apps/shop/web',
  )
  assert.equal(partitionKey('prod-eu', 'nodes', { name: 'node-7' }), 'prod-eu/nodes/node-7')
  assert.equal(streamKey('workloads/pods', 'gap'), 'workloads/pods:gap')
})

test('a sequence has 20 digits, and the text order of two is the order of their positions', () => {
  assert.equal(sequence(rv), '00000000000000004711')
  assert.equal(sequence(resourceVersion('99999999999999999999')), '99999999999999999999')
  const version = fc.bigInt({ min: 1n, max: 10n ** 20n - 1n }).map((value) => resourceVersion(`${value}`))
  fc.assert(
    fc.property(version, version, (a, b) => {
      const [left, right] = [sequence(a), sequence(b)]
      assert.equal(left.length, 20)
      const textOrder = left < right ? -1 : left > right ? 1 : 0
      assert.equal(textOrder, Math.sign(compareResourceVersions(a, b)))
    }),
  )
})

test('a position of more than 20 digits is refused, because its text would sort wrongly', () => {
  assert.throws(() => sequence(resourceVersion('100000000000000000000')), {
    name: 'RangeError',
    message: /^resourceVersion 100000000000000000000 has more than 20 digits/,
  })
})
