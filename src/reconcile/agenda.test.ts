import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agenda, type Due } from './agenda.ts'
import type { SnapshotListener, SnapshotScope } from './change.ts'

const listener = (signal = new AbortController().signal): SnapshotListener => ({ tell: () => {}, signal })
const part = (scope: SnapshotScope, one?: SnapshotListener) =>
  ({ reason: 'requested', mode: 'part', scope, ...(one && { listener: one }) }) as const
const full = { reason: 'requested', mode: 'full' } as const

/** All that is due, in its order. */
function drained(agenda: Agenda): readonly (Pick<Due, 'mode' | 'reason'> & { readonly of?: string | undefined })[] {
  const all = []
  for (let due = agenda.next; due; due = agenda.next) {
    all.push({ reason: due.reason, mode: due.mode, ...(due.scope && { of: String(due.scope.namespaces) }) })
    agenda.take()
  }
  return all
}

test('two parts of one scope are one, those of different scopes come in their order', () => {
  const agenda = new Agenda()
  for (const name of ['shop', 'pay', 'shop']) agenda.add(part({ namespaces: [name] }))
  assert.deepEqual(drained(agenda), [
    { reason: 'requested', mode: 'part', of: 'shop' },
    { reason: 'requested', mode: 'part', of: 'pay' },
  ])
})

test('a full one stands for all that is due and comes to be, and whoever waits hears of it', () => {
  const agenda = new Agenda()
  const [before, later, other] = [listener(), listener(), listener()]
  agenda.add({ reason: 'periodic', mode: 'markers' })
  agenda.add(part({ namespaces: ['shop'] }, before))
  agenda.add({ ...full, listener: other })
  agenda.add(part({ namespaces: ['pay'] }, later))
  assert.equal(agenda.next?.mode, 'full')
  assert.deepEqual(agenda.take(), [before, other, later])
  assert.equal(agenda.next, undefined)
})

test('a scheduled one that is due stands for the next, and is no answer to who asks for objects', () => {
  const agenda = new Agenda()
  agenda.add({ reason: 'periodic', mode: 'delta' })
  agenda.add({ reason: 'periodic', mode: 'delta' })
  agenda.add(part({ labelSelector: 'app=web' }))
  assert.deepEqual(
    drained(agenda).map(({ mode }) => mode),
    ['delta', 'part'],
  )
})

test('P7 more than ten different parts become a full one, and who has gone is forgotten', () => {
  const agenda = new Agenda()
  const gone = AbortSignal.abort()
  const living = listener()
  for (let n = 0; n < 10; n++) agenda.add(part({ namespaces: [`n${n}`] }, listener(gone)))
  assert.equal(agenda.next?.mode, 'part')
  agenda.add(part({ namespaces: ['n10'] }, living))
  assert.deepEqual([agenda.next?.mode, agenda.next?.listeners], ['full', [living]])
  for (let n = 0; n < 100; n++) agenda.add({ ...full, listener: listener(gone) })
  assert.deepEqual(agenda.take(), [living])
  assert.equal(agenda.next, undefined)
})
