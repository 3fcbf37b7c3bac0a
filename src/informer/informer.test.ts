import assert from 'node:assert/strict'
import { test } from 'node:test'
import { added, bookmark, deleted, fault, list, listFails, modified, pod, Rig, watch, watchFails } from './test-kit.ts'

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

test('X11 a resource that the server no longer has takes its objects with it, once, and starts anew when it is back', async () => {
  let served = true
  const reborn = [pod('shop/a', 50, { uid: 'new' })]
  await using rig = new Rig(
    [
      list(9, [pod('shop/a', 3)]),
      watch({ afterMs: 10 }, fault('reset')),
      ...Array.from({ length: 4 }, () => listFails('not-found')),
      list(60, reborn),
      watchFails('expired'),
      list(60, reborn),
      watch(),
    ],
    { isServed: async () => served },
  )
  assert.deepEqual(await rig.deltas(), ['Added shop/a@3', 'Progress 9'])
  assert.deepEqual(await rig.deltas(5_000), [], 'a 404 alone says nothing')
  served = false
  const gone = await rig.deltas(20_000)
  assert.deepEqual(gone.slice(0, 2), ['Deleted shop/a@3 inferred', 'Progress 9'])
  const back = [...gone.slice(2), ...(await rig.deltas(120_000))]
  assert.deepEqual(back, ['Gap 9->60 expired', 'Added shop/a@50 ~', 'Progress 60'])
})
