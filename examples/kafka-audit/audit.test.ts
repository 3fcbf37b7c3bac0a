import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CloudEventAttributes, type Decoded, dataSchemas, type EventName, eventTypes } from 'deltawire/events'
import { Audit } from './audit.ts'

const stream = {
  specversion: '1.0',
  source: 'kubernetes://test/apis/apps/v1/deployments',
  datacontenttype: 'application/json',
  dataschema: dataSchemas.object,
  cluster: 'test',
  resource: 'deployments.apps',
  stream: 'workloads/deployments.apps',
} as const

/** An event about shop/NAME at a position: its resourceVersion, and the second of its time. */
function about(name: string, type: EventName, at: number, more: Partial<CloudEventAttributes> = {}): Decoded {
  const version = { uid: `uid-${name}`, resourceversion: `${at}`, sequence: `${at}`.padStart(20, '0') }
  return {
    attributes: {
      ...stream,
      type: eventTypes[type],
      id: type === 'deleted' ? `uid-${name}:deleted` : `uid-${name}:${at}`,
      subject: `shop/${name}`,
      time: timeOf(at),
      ...version,
      ...more,
    },
    data: { object: {}, ...(type === 'updated' && { changed: ['/spec/replicas'] }) },
  }
}

/** An event about the whole stream. */
function marker(type: EventName, at: number, id: string, data: object): Decoded {
  const position = { sequence: `${at}`.padStart(20, '0'), snapshotid: id }
  const dataschema = dataSchemas.snapshot
  const attributes = {
    ...stream,
    dataschema,
    type: eventTypes[type],
    id: `${id}:${type}`,
    time: timeOf(at),
    ...position,
  }
  return { attributes, data }
}

const timeOf = (at: number) => `2026-01-01T00:00:${`${at}`.padStart(2, '0')}Z`
const snapshot = { id: 's1', reason: 'startup', mode: 'full', ledger: 'cold', scope: { resource: 'deployments.apps' } }
const result = { resourceVersion: '9', added: 0, updated: 0, deleted: 0, unchanged: 0, deadLettered: 0 }
const begin = (at: number, id = 's1') => marker('snapshotBegin', at, id, { snapshot: { ...snapshot, id } })
const end = (at: number, more: object, id = 's1') =>
  marker('snapshotEnd', at, id, { snapshot: { ...snapshot, ...result, id, ...more } })
const item = (name: string, at: number, version: number, id = 's1') => {
  const attributes = { id: `uid-${name}:${version}:${id}`, snapshotid: id, resourceversion: `${version}` }
  return about(name, 'snapshotItem', at, attributes)
}

const linesOf = (audit: Audit, ...events: readonly Decoded[]) => events.flatMap((event) => audit.apply(event))

test('a life of an object: who wrote it and what changed, one line an event', () => {
  const lines = linesOf(
    new Audit(),
    about('web', 'added', 1, { fieldmanager: 'helm' }),
    about('web', 'updated', 2, { fieldmanager: 'kubectl' }),
    about('web', 'updated', 3, { fieldmanager: 'helm', collapsed: true, observed: 'relist' }),
    about('web', 'deleted', 4, { fieldmanager: 'helm' }),
  )
  assert.deepEqual(lines, [
    '2026-01-01T00:00:01Z added     test deployments.apps shop/web by helm',
    '2026-01-01T00:00:02Z updated   test deployments.apps shop/web by kubectl /spec/replicas',
    '2026-01-01T00:00:03Z updated   test deployments.apps shop/web by helm /spec/replicas (earlier versions were not seen) (found by comparing with a list)',
    '2026-01-01T00:00:04Z deleted   test deployments.apps shop/web [2 updates, written by helm, kubectl, known since 2026-01-01T00:00:01Z]',
  ])
})

test('what comes again, or late, gives no line', () => {
  const audit = new Audit()
  const events = [
    about('web', 'added', 1),
    about('web', 'updated', 2),
    begin(2),
    item('web', 2, 2),
    end(2, { items: 1 }),
  ]
  assert.equal(linesOf(audit, ...events).length, 5)
  assert.deepEqual(linesOf(audit, ...events), [])
  const last = about('web', 'deleted', 3)
  assert.equal(linesOf(audit, last).length, 1)
  assert.deepEqual(linesOf(audit, last, about('web', 'updated', 2)), [])
})

test('the delete of an object that was never seen is news', () => {
  const [line = ''] = linesOf(new Audit(), about('web', 'deleted', 4))
  assert.match(line, /deleted .* shop\/web \[0 updates\]$/)
})

test('a snapshot says what is confirmed, what is new, what changed unseen, and what is gone', () => {
  const audit = new Audit()
  linesOf(audit, about('a', 'added', 1), about('b', 'added', 2), about('c', 'added', 3, { fieldmanager: 'kubectl' }))
  const lines = linesOf(audit, begin(9), item('a', 9, 1), item('b', 9, 8), item('d', 9, 7), end(9, { items: 30 }))
  assert.deepEqual(
    lines.map((line) => line.slice(21)),
    [
      'begin     test deployments.apps - full snapshot (startup)',
      'confirmed test deployments.apps shop/a',
      'missed    test deployments.apps shop/b',
      'present   test deployments.apps shop/d',
      'gone      test deployments.apps shop/c not in this snapshot, its delete was not seen [0 updates, written by kubectl]',
      'end       test deployments.apps - full snapshot (startup): 30 objects in all partitions, 3 in this one, 1 gone',
    ],
  )
  assert.deepEqual(
    [...audit.timelines()].map(({ subject, steps }) => [subject, steps.length]),
    [
      ['shop/a', 1],
      ['shop/b', 2],
      ['shop/d', 1],
    ],
  )
})

test('what is added while a snapshot is taken is not gone at its end', () => {
  const audit = new Audit()
  const lines = linesOf(audit, begin(5), item('a', 5, 1), about('b', 'added', 6), end(6, { items: 2 }))
  assert.match(lines.at(-1) ?? '', /2 in this one, 0 gone$/)
})

test('with dead letters an object is only perhaps gone', () => {
  const audit = new Audit()
  const lines = linesOf(audit, about('a', 'added', 1), begin(5), end(5, { items: 1, deadLettered: 1 }))
  assert.match(lines.at(-2) ?? '', /gone .* shop\/a .* perhaps: see the dead letters/)
  assert.match(lines.at(-1) ?? '', /1 events in the dead letters$/)
})

test('a snapshot that is aborted, or that is not full, takes nothing away', () => {
  const audit = new Audit()
  const aborted = marker('snapshotAborted', 6, 's1', { snapshot: { id: 's1', cause: 'shutdown' } })
  const lines = linesOf(audit, about('a', 'added', 1), begin(5), aborted, end(7, { items: 0 }))
  assert.ok(lines.every((line) => !/ gone /.test(line)))
  assert.match(lines[2] ?? '', /aborted .* proves nothing/)
  const markers = end(8, { items: 1, mode: 'markers' }, 's2')
  assert.match(linesOf(audit, begin(8, 's2'), markers).at(-1) ?? '', /1 in this one, 0 gone/)
})

test('a gap is told, and after a restored backup older versions are news again', () => {
  const audit = new Audit()
  linesOf(audit, about('a', 'added', 40))
  const gap = { ...marker('gap', 41, 'x', { gap: { from: '40', to: '7', cause: 'restored' } }) }
  assert.match(linesOf(audit, gap)[0] ?? '', /gap .* - restored: versions from 40 to 7 were not seen/)
  assert.match(linesOf(audit, about('a', 'updated', 7))[0] ?? '', /updated/)
})

test('two streams of one resource are kept apart: the end of one says nothing of the other', () => {
  const audit = new Audit()
  linesOf(audit, about('a', 'added', 1), about('b', 'added', 2, { stream: 'others/deployments.apps' }))
  const lines = linesOf(audit, begin(5), end(5, { items: 0 }))
  assert.deepEqual(
    lines
      .filter((line) => / gone {6}/.test(line))
      .map((line) => line.split(' ').find((word) => word.startsWith('shop/'))),
    ['shop/a'],
  )
  assert.deepEqual(
    [...audit.timelines()].map(({ subject }) => subject),
    ['shop/b'],
  )
})

test('whatever a name or a pointer holds, an event is one line', () => {
  const event = about('web', 'updated', 2)
  const lines = linesOf(new Audit(), { ...event, data: { object: {}, changed: ['/data/a\nb\u001b[2J'] } })
  assert.equal(lines.length, 1)
  assert.ok(!/\p{Cc}/u.test(lines.join('')))
})

test('a timeline is bounded: its first step and the newest ones stay', () => {
  const audit = new Audit()
  audit.apply(about('web', 'added', 1))
  for (let at = 2; at < 500; at++) audit.apply(about('web', 'updated', at))
  const [{ steps } = assert.fail()] = [...audit.timelines()]
  assert.ok(steps.length <= 101)
  assert.deepEqual([steps[0]?.verb, steps.at(-1)?.resourceVersion], ['added', '499'])
})

test('an event of a type to come gives no line', () => {
  const event = about('web', 'added', 1)
  assert.deepEqual(new Audit().apply({ ...event, attributes: { ...event.attributes, type: 'io.deltawire.x.v1' } }), [])
})
