import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeObject, resourceVersion, type Uid } from './object.ts'
import { fieldManager, type Writer, withTaken } from './taken.ts'

const writer = (manager: string, fields = 1): Writer => ({
  manager,
  operation: 'Update',
  subresource: undefined,
  fields,
})

/** As `writers` left it in a second of the minute. */
function written(second: number, ...writers: readonly Writer[]): KubeObject {
  const metadata = { name: 'web', uid: 'u1' as Uid, resourceVersion: resourceVersion('1') }
  const object: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata }
  return withTaken(object, { writers, changedAt: `2026-01-01T00:00:0${second}Z`, redacted: [] })
}

test('the newest writer wrote the change', () => {
  assert.equal(fieldManager(written(2, writer('kubectl')), written(1, writer('helm'))), 'kubectl')
  assert.equal(fieldManager(written(2, writer('kubectl')), undefined), 'kubectl')
  assert.equal(fieldManager(written(2), undefined), undefined)
})

test('of two that wrote within one second it was the one that had not written in that second before', () => {
  const before = written(1, writer('helm', 5))
  assert.equal(fieldManager(written(1, writer('kubectl'), writer('helm', 4)), before), 'kubectl')
  assert.equal(fieldManager(written(1, writer('helm', 4), writer('kubectl')), before), 'kubectl')
  const earlier = written(0, writer('kubectl', 9))
  assert.equal(fieldManager(written(1, writer('kubectl', 9), writer('helm', 5)), earlier), 'helm')
})

test('of two that had both written in that second it was the one that owns more fields than before', () => {
  const before = written(1, writer('kubectl', 2), writer('helm', 4))
  assert.equal(fieldManager(written(1, writer('kubectl', 3), writer('helm', 3)), before), 'kubectl')
  assert.equal(fieldManager(written(1, writer('kubectl', 1), writer('helm', 5)), before), 'helm')
})

test('entries of one manager are told apart by operation and subresource', () => {
  const status = { ...writer('controller', 3), subresource: 'status' }
  const before = written(1, writer('controller', 3))
  assert.equal(fieldManager(written(1, status, writer('controller', 3)), before), 'controller')
  assert.equal(fieldManager(written(1, { ...status, manager: 'x' }, writer('controller', 3)), before), 'x')
})
