import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutboundEvent } from '../delivery/sink.ts'
import type { KubeObject, ResourceVersion, Uid } from '../kube/object.ts'
import { objectionTo } from './objection.ts'

function letter(name: 'added' | 'updated' | 'deleted', uid: string, version: string): OutboundEvent {
  const attributes = {
    specversion: '1.0',
    id: `${uid}:${version}`,
    source: 'kubernetes://c/api/v1/pods',
    type: `io.deltawire.object.${name}.v1`,
    datacontenttype: 'application/json',
    dataschema: 'urn:deltawire:schema:object:v1',
    time: '2026-01-01T00:00:00Z',
    stream: 'all/pods',
    subject: 'shop/web',
    uid,
    resourceversion: version,
  } as const
  return { attributes, key: 'c/pods/shop/web', stream: 'all/pods', kind: 'change', data: undefined, dataBytes: 0 }
}

function pod(uid: string, version: string): KubeObject {
  const metadata = { namespace: 'shop', name: 'web', uid: uid as Uid, resourceVersion: version as ResourceVersion }
  return { apiVersion: 'v1', kind: 'Pod', metadata }
}

const gone = 'the object is gone: it would be there again'
const newer = 'there is a newer version of the object: it would be taken back'
const unknown = 'the sink keeps the last event of each object, and how the object is now is not known (yet)'

test('to a target that keeps the last event goes only what says how things stand now', () => {
  const cases: [OutboundEvent, KubeObject | 'unknown' | undefined, string | undefined][] = [
    [letter('updated', 'u1', '7'), pod('u1', '7'), undefined],
    [letter('updated', 'u1', '7'), pod('u1', '8'), newer],
    [letter('added', 'u1', '7'), pod('u2', '9'), newer],
    [letter('added', 'u1', '7'), undefined, gone],
    [letter('deleted', 'u1', '7'), undefined, undefined],
    [letter('deleted', 'u1', '7'), pod('u2', '9'), 'its name is taken again: that object would be deleted'],
    [letter('deleted', 'u1', '7'), pod('u1', '9'), 'the object is there again'],
    [letter('deleted', 'u1', '7'), 'unknown', unknown],
  ]
  for (const [event, now, expected] of cases) {
    const streamOf = (name: string) => {
      assert.equal(name, 'all/pods')
      return {
        object: (key: string) => {
          assert.equal(key, 'shop/web')
          return now
        },
      }
    }
    assert.equal(objectionTo(event, streamOf), expected)
  }
  assert.equal(
    objectionTo(letter('deleted', 'u1', '7'), () => undefined),
    unknown,
  )
})
