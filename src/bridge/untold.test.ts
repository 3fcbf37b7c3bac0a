import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Uid } from '../kube/object.ts'
import { Untold } from './untold.ts'

const held = (name: string) => ({ uid: name as Uid, key: `shop/${name}` })
const names = (untold: Untold) => untold.all()?.map(({ uid }) => uid)

test('what was given up is not told until something newer of the same object is', () => {
  const untold = new Untold()
  for (const name of ['a', 'b', 'a']) untold.failed(held(name))
  assert.deepEqual(names(untold), ['a', 'b'])
  untold.told(held('a').uid)
  assert.deepEqual([names(untold), untold.has(held('b').uid)], [['b'], true])
})

test('a full snapshot that is complete stands for what was given up before it, and not for its own items', () => {
  const untold = new Untold()
  untold.failed(held('a'))
  untold.began('s')
  untold.failed(held('b'))
  untold.completed('another')
  assert.deepEqual(names(untold), ['a', 'b'])
  untold.completed('s')
  assert.deepEqual(names(untold), ['b'])
})

test('P7 more than can be known one by one is known as too much, until a full snapshot is complete', () => {
  const untold = new Untold()
  for (let n = 0; n < 10_001; n++) untold.failed(held(`o${n}`))
  assert.equal(untold.all(), undefined)
  untold.began('s')
  untold.completed('s')
  assert.deepEqual(names(untold), [])
})
