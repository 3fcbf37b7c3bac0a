import assert from 'node:assert/strict'
import { test } from 'node:test'
import { added, bookmark, deleted, list, modified, pod, Rig, watch } from './test-kit.ts'

test('C08 the first list and then every add, update and delete reach the store and the reader, one delta each', async () => {
  await using rig = new Rig([
    list(10, [pod('shop/a', 3), pod('shop/b', 4)]),
    watch([added(pod('shop/c', 11)), modified(pod('shop/a', 12)), deleted(pod('shop/b', 13)), bookmark(20)]),
  ])
  assert.deepEqual(await rig.deltas(), [
    'Added shop/a@3',
    'Added shop/b@4',
    'Progress 10',
    'Added shop/c@11',
    'Updated shop/a@3->shop/a@12',
    'Deleted shop/b@13',
    'Progress 20',
  ])
  assert.deepEqual(rig.store, ['shop/a@12', 'shop/c@11'])
  assert.equal(rig.informer.indexer.resourceVersion, '20')
  assert.equal(rig.informer.lastSyncResourceVersion, '20')
  assert.deepEqual(rig.api.asked, ['list', 'watch 10'])
})
