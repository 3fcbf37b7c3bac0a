/** The judge of logs, judged: what is right passes, and each kind of lie is named. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import type { RecordedChange } from '../testbed/recorder.ts'
import { judge } from './support/oracle-judge.ts'
import type { Arrival } from './support/oracle-receiver.ts'
import { positionOf, Truth } from './support/oracle-truth.ts'

const stream = 'all/pods/shop'
const source = 'kubernetes://test/api/v1/pods'

function change(type: RecordedChange['type'], name: string, uid: string, version: number): RecordedChange {
  const labels = { value: `${uid}-${type === 'deleted' ? 'last' : version}` }
  const object = { metadata: { name, namespace: 'shop', uid, labels } }
  return { type, key: `pods/shop/${name}`, uid, resourceVersion: String(version), object }
}

const history = [
  change('created', 'a', 'a1', 10),
  change('created', 'b', 'b1', 11),
  change('updated', 'a', 'a1', 12),
  change('deleted', 'a', 'a1', 13),
  change('created', 'a', 'a2', 14),
  change('updated', 'b', 'b1', 15),
]

function event(what: string, id: string, at: number, more: object = {}): ReceivedEvent {
  const context = { specversion: '1.0', datacontenttype: 'application/json', time: '2026-01-01T00:00:00Z' }
  const place = { source, stream, cluster: 'test', resource: 'pods', dataschema: 'urn:x', partitionkey: 'x' }
  const type = `io.deltawire.${what}.v1`
  return { ...context, ...place, id, type, sequence: positionOf(String(at)), data: {}, ...more }
}

function version(what: string, name: string, uid: string, of: number, more: object = {}): ReceivedEvent {
  return event(`object.${what}`, `${uid}:${of}`, of, {
    subject: `shop/${name}`,
    uid,
    resourceversion: String(of),
    observed: 'watch',
    data: { object: { metadata: { labels: { value: `${uid}-${of}` } } } },
    ...more,
  })
}

const deleted = (name: string, uid: string, at: number) =>
  event('object.deleted', `${uid}:deleted`, at, { subject: `shop/${name}`, uid })

const digest = (text: string) => createHash('sha256').update(text).digest('hex')

/** Begin and end of a full snapshot that holds b alone. */
const snapshot = { id: 's', reason: 'startup', mode: 'full', ledger: 'cold' }
const begin = event('snapshot.begin', 's:begin', 9, { snapshotid: 's', data: { snapshot } })
const end = (members: string) =>
  event('snapshot.end', 's:end', 13, {
    snapshotid: 's',
    data: { snapshot: { ...snapshot, items: 1, deadLettered: 0, members } },
  })

const first = [
  begin,
  version('added', 'a', 'a1', 10),
  version('added', 'b', 'b1', 11),
  version('updated', 'a', 'a1', 12),
  deleted('a', 'a1', 13),
  end(digest('shop/b:b1')),
]
const second = [version('added', 'a', 'a2', 14), version('updated', 'b', 'b1', 15)]

const arrived = (run: number, events: readonly ReceivedEvent[]): readonly Arrival[] =>
  events.map((one) => ({ event: one, run }))
const problemsOf = (...events: readonly ReceivedEvent[]) =>
  judge(new Truth(history), arrived(1, events), 'coalesce').problems
const without = (id: string) => [...first, ...second].filter((one) => one.id !== id)
const insteadOf = (id: string, ...others: readonly ReceivedEvent[]) =>
  [...first, ...second].flatMap((one) => (one.id === id ? others : [one]))

test('what is right has no problem, also if a later run repeats a part of it', () => {
  const log = [...arrived(1, first), ...arrived(2, [...first.slice(1, 3), ...second])]
  const { problems, ...counts } = judge(new Truth(history), log, 'spool')
  assert.deepEqual(problems, [])
  assert.deepEqual(counts, {
    versions: 6,
    delivered: 6,
    collapsed: 0,
    duplicates: 2,
    gaps: 0,
    lost: 0,
    outOfOrder: 0,
    snapshots: 1,
    matching: 1,
  })
})

test('P1 a version that nothing stands for is lost; the next event stands for it if a queue has merged them', () => {
  assert.match(problemsOf(...without('a1:12')).join(), /^P1 a1:12/)
  const merged = version('updated', 'a', 'a1', 12, { collapsed: true })
  const log = without('a1:10').map((one) => (one.id === 'a1:12' ? merged : one))
  assert.deepEqual(problemsOf(...log), [])
  assert.match(
    judge(new Truth(history), arrived(1, log), 'spool').problems.join('\n'),
    /^P1 a1:12: stands for others, though nothing may be merged, in run 1\nP1 a1:10: version/m,
  )
})

test('P1 what one run has merged is announced, though the next one goes on in the midst of it', () => {
  const merged = { ...deleted('a', 'a1', 13), collapsed: true, observed: 'watch' }
  const one = [begin, version('added', 'b', 'b1', 11), merged, end(digest('shop/b:b1'))]
  const log = [...arrived(1, one), ...arrived(2, [version('updated', 'a', 'a1', 12), ...second])]
  const missing = judge(new Truth(history), log, 'coalesce').problems.filter((problem) => problem.startsWith('P1'))
  assert.deepEqual(missing, [])
})

test('P1 nothing is merged over a mark of its stream, and what comes after the next event stands for nothing', () => {
  const mark = event('snapshot.begin', 't:begin', 11, {
    snapshotid: 't',
    data: { snapshot: { ...snapshot, id: 't', mode: 'markers', reason: 'periodic', ledger: 'warm' } },
  })
  const merged = version('updated', 'a', 'a1', 12, { collapsed: true })
  const log = without('a1:10').flatMap((one) => (one.id === 'a1:12' ? [mark, merged] : [one]))
  assert.match(problemsOf(...log).join(), /^P1 a1:10: version/)
  const late = { ...deleted('a', 'a1', 13), collapsed: true, observed: 'watch' }
  const other = version('updated', 'a', 'a1', 12)
  const gone = without('a1:10').flatMap((one) => (one.id === 'a1:12' ? [other] : one.id === late.id ? [late] : [one]))
  assert.match(problemsOf(...gone).join(), /^P1 a1:10: version/)
})

test('P5 a gap stands for what is within it, if it came before anything later of the object', () => {
  const gap = (from: string, to: string) =>
    event('stream.gap', 'g', 13, { data: { gap: { from, to, cause: 'expired' } } })
  assert.deepEqual(problemsOf(...insteadOf('a1:12', gap('11', '12'))), [])
  assert.match(problemsOf(...insteadOf('a1:12', gap('12', '13'))).join(), /^P1 a1:12/)
  assert.match(problemsOf(...without('a1:12'), gap('11', '12')).join(), /^P1 a1:12/)
})

test('P5 a snapshot stands for what was not told since the gap that announced it, and for nothing without one', () => {
  const gap = event('stream.gap', 'g', 11, { data: { gap: { from: '10', to: '11', cause: 'overflow' } } })
  const full = (reason: string) =>
    event('snapshot.begin', 't:begin', 12, {
      snapshotid: 't',
      data: { snapshot: { id: 't', mode: 'full', reason, ledger: reason === 'gap' ? 'cold' : 'warm' } },
    })
  assert.deepEqual(problemsOf(...insteadOf('a1:12', gap, full('gap'))), [])
  assert.match(problemsOf(...insteadOf('a1:12', full('gap'))).join(), /^P1 a1:12/)
  assert.match(problemsOf(...insteadOf('a1:12', gap, full('periodic'))).join(), /^P1 a1:12/)
})

test('P1 nothing excuses the last version of an object that is there', () => {
  const gap = event('stream.gap', 'g', 15, { data: { gap: { from: '14', to: '15', cause: 'expired' } } })
  assert.match(problemsOf(...insteadOf('b1:15', gap)).join('\n'), /^P1 b1:15/m)
})

test('I3 a deletion that is missing, and one of an object that is there', () => {
  assert.match(problemsOf(...without('a1:deleted')).join('\n'), /^I3 a1:/m)
  assert.match(problemsOf(...first, ...second, deleted('b', 'b1', 15)).join('\n'), /^I3 b1:deleted: it is not gone/m)
})

test('I2 back in a run, after a deletion, and a name taken again before the deletion of the former', () => {
  const back = version('updated', 'b', 'b1', 11, { id: 'b1:11:x' })
  assert.match(problemsOf(...first, ...second, back).join('\n'), /^I2 b1:11:x: \d+11 arrived after/m)
  const late = version('updated', 'a', 'a1', 12, { id: 'a1:12:x', sequence: positionOf('16') })
  assert.match(problemsOf(...first, ...second, late).join('\n'), /^I2 a1:12:x: arrived after the object's deletion/m)
  const early = version('added', 'a', 'a2', 14)
  assert.match(
    problemsOf(...insteadOf('a1:deleted', early, deleted('a', 'a1', 13))).join('\n'),
    /^I2 a2:14: arrived before the deletion of a1/m,
  )
})

test('I4 another id, another object, and another object under a known id', () => {
  assert.match(
    problemsOf(...insteadOf('b1:15', version('updated', 'b', 'b1', 15, { id: 'b' }))).join(),
    /I4 b: id is b/,
  )
  const wrong = version('updated', 'b', 'b1', 15, { data: { object: { metadata: { labels: { value: 'x' } } } } })
  assert.match(problemsOf(...insteadOf('b1:15', wrong)).join(), /I4 b1:15: data is x/)
  assert.match(problemsOf(...first, ...second, wrong).join(), /I4 b1:15: came again with another object/)
})

test('I1 an object that never was, digests that differ, and an end that removes what is there', () => {
  assert.match(
    problemsOf(...first, ...second, version('added', 'c', 'c1', 16)).join('\n'),
    /^I1 c1:16: there never was/m,
  )
  assert.match(problemsOf(...insteadOf('s:end', end(digest('shop/b:b2')))).join(), /I1 s:end: the digests differ/)
  const other = { ...begin, id: 't:begin', snapshotid: 't', sequence: positionOf('15') }
  const empty = event('snapshot.end', 't:end', 15, {
    snapshotid: 't',
    data: { snapshot: { ...snapshot, id: 't', items: 0, deadLettered: 0 } },
  })
  assert.match(
    problemsOf(...first, ...second, other, empty).join('\n'),
    /^I1 t:end: b1 is not in the snapshot, and is there/m,
  )
})

test('I4 what came before a snapshot that has ended is not told for the first time by a later run, but where versions are merged', () => {
  const later = { ...begin, sequence: positionOf('14') }
  const log = [...arrived(1, [later, end(digest('shop/b:b1'))]), ...arrived(2, [...first.slice(1, 5), ...second])]
  const told = (whenFull: 'block' | 'coalesce') =>
    judge(new Truth(history), log, whenFull).problems.filter((one) => one.includes(' where a snapshot began '))
  assert.deepEqual(
    told('block').map((one) => one.split(': of before ')[0]),
    ['I4 a1:10', 'I4 b1:11', 'I4 a1:12', 'I4 a1:deleted', 'I4 a2:14'],
  )
  assert.deepEqual(told('coalesce'), [])
})

test('of a view that takes in and lets go, what left is deleted, and what is none of it is not shown', () => {
  const parity = new Truth(history, ({ metadata }) => metadata.uid !== 'b1' || !labelOf(metadata).endsWith('15'))
  const left = event('object.deleted', `b1:${positionOf('15')}:left`, 15, { subject: 'shop/b', uid: 'b1' })
  const log = (...events: readonly ReceivedEvent[]) =>
    judge(parity, arrived(1, [...first, ...events]), 'spool').problems
  const [a2, b15] = second as [ReceivedEvent, ReceivedEvent]
  assert.deepEqual(log(a2, left), [])
  assert.match(log(a2).join('\n'), /^I3 b1: shop\/b .* was left/m)
  assert.match(log(a2, b15).join('\n'), /^I1 b1:15: there is no version 15 in the view/m)
  assert.match(
    log(a2, { ...left, data: b15.data }).join('\n'),
    /^I1 b1:\d+15:left: shows a state that is none of the view/m,
  )
  assert.match(problemsOf(...first, ...second, left).join('\n'), /^I3 b1:\d+15:left: it has not left/m)
})

function labelOf(metadata: object): string {
  return 'labels' in metadata ? String((metadata.labels as { readonly value: string }).value) : ''
}
