import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type KubeObject, resourceVersion as rv, type Uid } from '../kube/object.ts'
import { Members } from './members.ts'

const object = (name: string, uid: string, resourceVersion: number, namespace?: string): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: uid as Uid, resourceVersion: rv(String(resourceVersion)), ...(namespace && { namespace }) },
  }) as KubeObject

/** The digest's definition, slowly. */
function digest(lines: readonly string[]): string {
  const sum = lines.reduce((total, line) => total + BigInt(`0x${createHash('sha256').update(line).digest('hex')}`), 0n)
  return (sum % (1n << 256n)).toString(16).padStart(64, '0')
}

test('an empty stream has digests too', () => {
  assert.deepEqual(new Members().digests(), { members: '0'.repeat(64), state: '0'.repeat(64) })
})

test('the digests are those of subject, uid and version', () => {
  const members = new Members()
  members.put(object('web', 'u1', 7, 'shop'))
  members.put(object('node-7', 'u2', 9))
  assert.deepEqual(members.digests(), {
    members: digest(['shop/web:u1', 'node-7:u2']),
    state: digest(['shop/web:u1:7', 'node-7:u2:9']),
  })
})

test('P6 a name with characters that no attribute may hold is digested as its subject is sent', () => {
  const members = new Members()
  members.put(object('system:\u0000x\uFFFE', 'u1', 7))
  assert.equal(members.digests().members, digest(['system:\uFFFDx\uFFFD:u1']))
})

test('P6 after any history the running sums equal those of what is there, and order does not matter', () => {
  const step = fc.record({ uid: fc.nat(5), version: fc.integer({ min: 1, max: 9 }), gone: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step), (history) => {
      const members = new Members()
      const truth = new Map<string, number>()
      for (const { uid, version, gone } of history) {
        const one = object(`n${uid}`, `u${uid}`, version, 'shop')
        if (gone) {
          members.remove(one.metadata.uid)
          truth.delete(`shop/n${uid}:u${uid}`)
        } else {
          members.put(one)
          truth.set(`shop/n${uid}:u${uid}`, version)
        }
      }
      assert.equal(members.size, truth.size)
      assert.deepEqual(members.digests(), {
        members: digest([...truth.keys()]),
        state: digest([...truth].map((entry) => entry.join(':'))),
      })
    }),
  )
})
