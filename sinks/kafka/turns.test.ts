import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

test('work of one key is done one after the other, also after a failure; that of another key meanwhile', async () => {
  const turns = new Turns()
  const said: string[] = []
  const gate = Promise.withResolvers<void>()
  const work =
    (name: string, until: Promise<void> = Promise.resolve()) =>
    async () => {
      said.push(`${name} begins`)
      await until
      said.push(`${name} ends`)
      if (name === 'a1') throw new Error('a1 failed')
      return name
    }
  const first = turns.take('a', work('a1', gate.promise))
  const second = turns.take('a', work('a2'))
  assert.equal(await turns.take('b', work('b1')), 'b1')
  gate.resolve()
  await assert.rejects(first, { message: 'a1 failed' })
  assert.equal(await second, 'a2')
  assert.deepEqual(said, ['a1 begins', 'b1 begins', 'b1 ends', 'a1 ends', 'a2 begins', 'a2 ends'])
})
