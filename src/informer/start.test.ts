/** C68: an informer that begins where another one has ended. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asRemembered, type KubeObject } from '../kube/object.ts'
import { deleted, inShort, list, modified, pod, Rig, rv, watch, watchFails } from './test-kit.ts'

const remembered = (key: string, version: number): KubeObject => {
  const { metadata } = pod(key, version)
  return asRemembered({ apiVersion: 'v1', kind: 'Pod' }, metadata)
}

test('C68 resumed where it ended, what has changed since comes as if it had been there', async () => {
  const start = {
    type: 'Resume',
    resourceVersion: rv(9),
    seen: rv(9),
    objects: [pod('shop/a', 3), pod('shop/b', 5)],
  } as const
  await using rig = new Rig([list(20, []), watch([modified(pod('shop/a', 12)), deleted(pod('shop/b', 14))])], { start })
  const deltas = await rig.full()
  assert.deepEqual(deltas.map(inShort), [
    'Added shop/a@3',
    'Added shop/b@5',
    'Progress 9',
    'Updated shop/a@3->shop/a@12',
    'Deleted shop/b@14',
  ])
  const [, , , updated] = deltas
  assert.equal(updated?.type === 'Updated' && updated.previous?.metadata.resourceVersion, '3')
  assert.deepEqual(rig.store, ['shop/a@12'])
})

test('C68 where the history no longer reaches back so far, the differences follow a gap', async () => {
  const start = {
    type: 'Resume',
    resourceVersion: rv(9),
    seen: rv(9),
    objects: [pod('shop/a', 3), pod('shop/b', 5)],
  } as const
  const script = [list(20, []), watchFails('expired'), list(30, [pod('shop/a', 3), pod('shop/c', 25)]), watch()]
  await using rig = new Rig(script, { start })
  assert.deepEqual((await rig.deltas(5_000)).slice(3), [
    'Gap 9->30 expired',
    'Deleted shop/b@5 inferred',
    'Added shop/c@25 ~',
    'Progress 30',
  ])
})

test('F13 a server whose versions have gone back meanwhile is one that was restored', async () => {
  const start = { type: 'Resume', resourceVersion: rv(9), seen: rv(9), objects: [pod('shop/a', 3)] } as const
  await using rig = new Rig([list(7, []), list(7, [pod('shop/a', 3)]), watch()], { start })
  const gaps = (await rig.full(5_000)).filter((delta) => delta.type === 'Gap')
  assert.deepEqual(
    gaps.map(({ from, to, cause }) => [from, to, cause]),
    [['9', '7', 'restored']],
  )
})

test('C68 compared with what is remembered, only what differs is told, and the state before is not known', async () => {
  const objects = [remembered('shop/same', 3), remembered('shop/newer', 4), remembered('shop/gone', 5)]
  const start = { type: 'Compare', resourceVersion: rv(9), seen: rv(9), objects } as const
  const here = [pod('shop/same', 3), pod('shop/newer', 15), pod('shop/new', 16)]
  await using rig = new Rig([list(20, here), watch([modified(pod('shop/same', 22))])], { start })
  const deltas = (await rig.full()).slice(4)
  assert.deepEqual(deltas.map(inShort), [
    'Gap 9->20 restart',
    'Deleted gone inferred',
    'Updated ?->shop/newer@15 ~',
    'Added shop/new@16 ~',
    'Progress 20',
    'Updated shop/same@3->shop/same@22',
  ])
  const [gap, gone, newer, , , same] = deltas
  assert.equal(gap?.type === 'Gap' && gap.cause, 'restart')
  assert.deepEqual(gone?.type === 'Deleted' && [gone.object, gone.gone], [undefined, true])
  assert.equal(newer?.type === 'Updated' && newer.previous, undefined)
  assert.equal(same?.type === 'Updated' && same.previous?.metadata.resourceVersion, '3', 'the list had it whole')
})
