import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { CloudEventAttributes } from '../../src/delivery/sink.ts'
import { event } from '../contract-kit.ts'
import { pretty } from './pretty.ts'

const now = new Date('2026-01-01T12:34:56.789Z')

function line(type: string, attributes: Partial<CloudEventAttributes>, data: unknown): string {
  const one = event({
    id: '1',
    type: `io.deltawire.${type}.v1`,
    time: '2025-12-31T00:00:00.000000Z',
    resource: 'deployments.apps',
    ...attributes,
    data: JSON.stringify(data),
  })
  return pretty({ ...one, stream: 'workloads/pods/shop' }, { colors: false, now })
}

test('a line tells when it is written, type, resource, object and what changed', () => {
  const changed = ['/spec/replicas', '/status/replicas']
  assert.equal(
    line('object.updated', {}, { object: {}, changed }),
    '12:34:56 updated  deployments.apps     shop/web /spec/replicas, /status/replicas',
  )
  assert.equal(line('object.added', {}, { object: {} }), '12:34:56 added    deployments.apps     shop/web')
  assert.equal(
    line('object.deleted', { subject: 'node-7', resource: 'nodes', collapsed: true }, { object: {} }),
    '12:34:56 deleted  nodes                node-7 collapsed',
  )
  assert.equal(
    line('object.updated', { degraded: 'reference' }, { object: {}, changed: ['/a', '/b', '/c', '/d', '/e', '/f'] }),
    '12:34:56 updated  deployments.apps     shop/web /a, /b, /c, /d and 2 more degraded',
  )
})

test('snapshots and gaps are told in words and counts, with their stream', () => {
  const none = { subject: '', resource: 'pods' }
  assert.equal(
    line('snapshot.begin', none, { snapshot: { id: 'x', reason: 'startup', mode: 'full' } }),
    '12:34:56 begin    pods                 workloads/pods/shop full snapshot, startup',
  )
  assert.equal(
    line('snapshot.end', none, {
      snapshot: { id: 'x', mode: 'full', items: 12, added: 1, updated: 2, deleted: 0, unchanged: 9 },
    }),
    '12:34:56 end      pods                 workloads/pods/shop snapshot complete: 12 items, 1 added, 2 updated, 0 deleted, 9 unchanged',
  )
  assert.equal(
    line('snapshot.aborted', none, { snapshot: { id: 'x', cause: 'shutdown' } }),
    '12:34:56 aborted  pods                 workloads/pods/shop snapshot aborted: shutdown',
  )
  assert.equal(
    line('stream.gap', none, { gap: { from: '41', to: '57', cause: 'expired' } }),
    '12:34:56 gap      pods                 workloads/pods/shop expired: versions from 41 to 57 were not seen',
  )
})

test('no name or pointer can move the cursor, colour the terminal or begin a line', () => {
  const text = line(
    'object.updated',
    { subject: 'a\u001b[2J\r\n\u202e\u2028b' },
    { changed: ['/metadata/labels/\u001b]0;x\u0007'] },
  )
  assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Zl}]/u)
  assert.match(text, /^12:34:56 updated .* a�\[2J����b /)
})

test('colours only dress the line', () => {
  const one = event({ id: '1' })
  const dressed = pretty(one, { colors: true, now })
  assert.notEqual(dressed, pretty(one, { colors: false, now }))
  assert.equal(stripVTControlCharacters(dressed), pretty(one, { colors: false, now }))
})
