import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceVersion, Uid } from '../kube/object.ts'
import { Ledger, type LedgerOptions } from './ledger.ts'
import { StreamState } from './stream-state.ts'

const uid = 'u1' as Uid
const held = { uid, key: 'shop/a' }
const rv = (version: number) => String(version) as ResourceVersion

function ledgerOf(options: Partial<LedgerOptions> = {}) {
  const state = new StreamState('all/pods')
  const sinks = ['audit', 'lambdas'].map((name) => ({ name, view: '' }))
  state.apply({ type: 'stream', stream: 'all/pods', definition: '', sinks })
  const ledger = new Ledger(state, { required: ['audit', 'lambdas'], keeps: 'ledger', ...options })
  const tell = (sink: string, version: number) => {
    ledger.expect(held, sink)
    ledger.offered(uid, sink, 'version')
    ledger.settled(uid, sink, rv(version))
  }
  const heldBy = (sink: string) => [...ledger.held(sink)].map(({ key }) => key)
  return { state, ledger, tell, heldBy }
}

test('what a sink may be offered is given to be written before it is, once', () => {
  const { ledger } = ledgerOf()
  ledger.expect(held, 'audit')
  ledger.expect(held, 'audit')
  const entry = { type: 'entry', stream: 'all/pods', uid, key: 'shop/a', told: undefined, has: 0 } as const
  assert.deepEqual(ledger.takeExpected(), [{ ...entry, may: 1 }])
  assert.deepEqual(ledger.takeExpected(), [])
  ledger.expect(held, 'lambdas')
  assert.deepEqual(ledger.takeExpected(), [{ ...entry, may: 3 }])
})

test('told is what all required sinks have settled, whatever the order in which they do', () => {
  const { state, ledger, tell } = ledgerOf()
  const told = () => state.entries.get(uid)?.told
  for (const sink of ['audit', 'lambdas']) ledger.expect(held, sink)
  tell('audit', 5)
  assert.equal(told(), undefined)
  tell('audit', 6)
  tell('lambdas', 5)
  assert.equal(told(), undefined, 'one has 6, the other 5')
  tell('lambdas', 6)
  assert.equal(told(), '6')
  tell('lambdas', 9)
  tell('lambdas', 10)
  tell('audit', 10)
  assert.equal(told(), '10', 'numbers, not texts')
})

test('an optional sink has no part in what was told; without required ones all have', () => {
  const optional = ledgerOf({ required: ['audit'] })
  optional.tell('audit', 5)
  optional.tell('lambdas', 4)
  assert.equal(optional.state.entries.get(uid)?.told, '5')
  const none = ledgerOf({ required: [] })
  none.ledger.expect(held, 'lambdas')
  none.tell('audit', 5)
  assert.equal(none.state.entries.get(uid)?.told, undefined)
  none.tell('lambdas', 5)
  assert.equal(none.state.entries.get(uid)?.told, '5')
})

test('a sink that may not hold the object has no part in what was told of it, from when it has settled its end', () => {
  const { state, ledger, tell } = ledgerOf()
  const told = () => state.entries.get(uid)?.told
  tell('audit', 5)
  assert.equal(told(), '5')
  tell('lambdas', 6)
  ledger.offered(uid, 'audit', 'end')
  assert.equal(told(), '5')
  ledger.ended(uid, 'audit')
  assert.equal(told(), '6')
})

test('an object that comes back before the sink has settled its leaving stays with what it may hold', () => {
  const { ledger, tell, heldBy } = ledgerOf()
  tell('audit', 5)
  ledger.offered(uid, 'audit', 'end')
  ledger.expect(held, 'audit')
  ledger.ended(uid, 'audit')
  assert.deepEqual(heldBy('audit'), ['shop/a'])
})

test('P3 an entry goes when the last sink has settled the end of the object, not before', () => {
  const { state, ledger, tell, heldBy } = ledgerOf()
  tell('audit', 5)
  tell('lambdas', 5)
  for (const sink of ['audit', 'lambdas']) ledger.offered(uid, sink, 'end')
  assert.deepEqual([heldBy('audit'), ledger.may(uid, 'audit')], [[], true], 'it is being told')
  ledger.ended(uid, 'audit')
  assert.deepEqual([ledger.may(uid, 'audit'), ledger.may(uid, 'lambdas'), ledger.size], [false, true, 1])
  ledger.takeChanged()
  ledger.ended(uid, 'lambdas')
  assert.deepEqual(ledger.takeChanged(), [{ type: 'gone', stream: 'all/pods', uid }])
  assert.equal(state.entries.size, 0)
})

test('P3 an object that is there again before its end is settled stays', () => {
  const { ledger, tell, heldBy } = ledgerOf()
  tell('audit', 5)
  ledger.offered(uid, 'audit', 'end')
  ledger.offered(uid, 'audit', 'version')
  ledger.ended(uid, 'audit')
  assert.deepEqual([heldBy('audit'), ledger.has(uid, 'audit')], [['shop/a'], true])
  ledger.settled(uid, 'audit', rv(7))
  assert.deepEqual(heldBy('audit'), ['shop/a'])
})

test('P3 the end of an object that was lost on its way is to be told again', () => {
  const { ledger, tell, heldBy } = ledgerOf()
  tell('audit', 5)
  ledger.offered(uid, 'audit', 'version')
  ledger.offered(uid, 'audit', 'end')
  assert.deepEqual(heldBy('audit'), [])
  ledger.unsettled(uid, 'audit', 'end') // dropped; the other one is still under way
  assert.deepEqual(heldBy('audit'), ['shop/a'])
})

test('P3 an end settles also where it stands for an update before it, and where that is settled after it', () => {
  const merged = ledgerOf()
  merged.tell('audit', 5)
  merged.ledger.offered(uid, 'audit', 'version')
  merged.ledger.offered(uid, 'audit', 'end')
  merged.ledger.unsettled(uid, 'audit', 'version')
  assert.deepEqual(merged.heldBy('audit'), [], 'it is being told')
  merged.ledger.ended(uid, 'audit')
  assert.equal(merged.ledger.size, 0)
  const early = ledgerOf()
  early.tell('audit', 5)
  early.ledger.offered(uid, 'audit', 'version')
  early.ledger.offered(uid, 'audit', 'end')
  early.ledger.ended(uid, 'audit')
  assert.equal(early.ledger.size, 1)
  early.ledger.settled(uid, 'audit', rv(6))
  assert.equal(early.ledger.size, 0)
})

test('a version that a sink is owed holds up nobody else, and it does not count as one that it has', () => {
  const { state, ledger, tell } = ledgerOf()
  tell('audit', 5)
  ledger.owed(uid, 'lambdas', rv(5))
  assert.equal(state.entries.get(uid)?.told, '5')
  assert.deepEqual([ledger.has(uid, 'audit'), ledger.has(uid, 'lambdas')], [true, false])
})

test('after a restore no version was told, and what sinks may hold they still may', () => {
  const { state, ledger, tell, heldBy } = ledgerOf({ required: ['audit'] })
  tell('audit', 500)
  ledger.restored()
  assert.deepEqual([state.entries.get(uid)?.told, heldBy('audit')], [undefined, ['shop/a']])
  tell('audit', 7)
  assert.equal(state.entries.get(uid)?.told, '7')
})

test('without a store that keeps it nothing is noted', () => {
  const { ledger, tell } = ledgerOf({ keeps: 'nothing' })
  tell('audit', 5)
  assert.deepEqual([ledger.takeExpected(), ledger.takeChanged()], [[], []])
})
