import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inShort, list, modified, pod, Rig, watch } from './test-kit.ts'

test('a relist that is asked for mends what the watch did not tell, also at the version that is known', async () => {
  await using rig = new Rig([
    list(9, [pod('shop/a', 3), pod('shop/b', 4), pod('shop/c', 5)]),
    watch(),
    list(9, [pod('shop/a', 3), pod('shop/b', 8), pod('shop/d', 9)]),
    watch({ afterMs: 10 }, [modified(pod('shop/a', 12))]),
    list(15, [pod('shop/a', 12), pod('shop/b', 8), pod('shop/d', 9)]),
    watch(),
  ])
  await rig.deltas()
  rig.informer.relist()
  const told = await rig.full(5_000)
  assert.deepEqual(told.map(inShort), [
    'Deleted shop/c@5 inferred',
    'Updated shop/b@4->shop/b@8 ~',
    'Added shop/d@9 ~',
    'Progress 9',
    'Updated shop/a@3->shop/a@12',
  ])
  assert.deepEqual(rig.failures, [])
  rig.informer.relist()
  rig.informer.relist()
  assert.deepEqual(await rig.deltas(5_000), ['Gap 12->15 expired', 'Progress 15'])
})
