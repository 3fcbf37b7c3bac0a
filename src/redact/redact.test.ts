import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { KubeObject } from '../kube/object.ts'
import { takenFrom } from '../kube/taken.ts'
import { parseExactly } from '../lib/exact-json.ts'
import { parsePath } from './path.ts'
import { createRedaction } from './redact.ts'

const defaults = { paths: [], env: ['PASSWORD', 'SECRET', 'TOKEN', 'KEY'] }
const redact = createRedaction(defaults)
const parse = (json: unknown): KubeObject => JSON.parse(JSON.stringify(json)) as KubeObject
const plain = (object: KubeObject): unknown => JSON.parse(JSON.stringify(object))
const metadata = { name: 'a', namespace: 'shop', uid: 'u1', resourceVersion: '7' }

test('P8 managedFields and every last-applied copy are gone, other annotations stay', () => {
  const annotations = {
    'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"password":"canary"}}',
    'kapp.k14s.io/original': 'canary',
    'team/owner': 'shop',
  }
  const managedFields = [{ manager: 'kubectl', operation: 'Apply', time: '2026-01-01T00:00:00Z' }]
  const object = parse({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...metadata, annotations, managedFields } })
  assert.deepEqual(plain(redact(object)), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...metadata, annotations: { 'team/owner': 'shop' } },
  })
})

test('P8 every value of a Secret is redacted and its place is named', () => {
  const secret = parse({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: { 'a/b~c': 'Y2FuYXJ5' },
    stringData: { x: 'canary' },
  })
  const result = redact(secret)
  assert.deepEqual(plain(result), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: { 'a/b~c': 'redacted' },
    stringData: { x: 'redacted' },
  })
  assert.deepEqual(takenFrom(result)?.redacted, ['/data/a~1b~0c', '/stringData/x'])
})

test('with a key a redacted value is a digest of uid, place and value', () => {
  const key = Buffer.from('0123456789abcdef')
  const secret = parse({ apiVersion: 'v1', kind: 'Secret', metadata, data: { password: 'Y2FuYXJ5' } })
  const expected = createHmac('sha256', key).update('u1\n/data/password\nY2FuYXJ5').digest('hex')
  assert.deepEqual(createRedaction({ ...defaults, key })(secret).data, { password: `hmac-sha256:${expected}` })
})

test('environment variables that look like credentials are redacted wherever an env list stands', () => {
  const container = {
    name: 'c',
    env: [
      { name: 'LOG_LEVEL', value: 'debug' },
      { name: 'db_password', value: 'canary' },
      { name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
    ],
  }
  const object = parse({
    apiVersion: 'example.com/v1',
    kind: 'Rollout',
    metadata,
    spec: { template: { spec: { containers: [container] } } },
  })
  const result = redact(object)
  assert.deepEqual(takenFrom(result)?.redacted, ['/spec/template/spec/containers/0/env/1/value'])
  assert.deepEqual(plain(result), {
    apiVersion: 'example.com/v1',
    kind: 'Rollout',
    metadata,
    spec: {
      template: {
        spec: {
          containers: [
            { ...container, env: [container.env[0], { name: 'db_password', value: 'redacted' }, container.env[2]] },
          ],
        },
      },
    },
  })
})

test('credentials in an env mapping, and ones that are no text, are redacted too', () => {
  const env = { DB_PASSWORD: 'canary', PIN_TOKEN: 4711, LOG_LEVEL: 'debug', API_KEY: { from: 'elsewhere' } }
  const list = [{ name: 'PIN_TOKEN', value: 4711 }]
  const object = parse({ apiVersion: 'v1', kind: 'App', metadata, spec: { env, more: { env: list } } })
  const result = redact(object)
  assert.deepEqual(plain(result), {
    apiVersion: 'v1',
    kind: 'App',
    metadata,
    spec: {
      env: { DB_PASSWORD: 'redacted', PIN_TOKEN: 'redacted', LOG_LEVEL: 'debug', API_KEY: { from: 'elsewhere' } },
      more: { env: [{ name: 'PIN_TOKEN', value: 'redacted' }] },
    },
  })
  assert.deepEqual(takenFrom(result)?.redacted, [
    '/spec/env/DB_PASSWORD',
    '/spec/env/PIN_TOKEN',
    '/spec/more/env/0/value',
  ])
})

test('configured paths are redacted down to their leaves, in lists and maps', () => {
  const redactMore = createRedaction({ paths: [parsePath('spec.users[*].password'), parsePath('spec.tls.*')], env: [] })
  const object = parse({
    apiVersion: 'v1',
    kind: 'Thing',
    metadata,
    spec: { users: [{ name: 'a', password: 'canary' }, { name: 'b' }], tls: { cert: 'canary', chain: ['canary', 7] } },
  })
  const result = redactMore(object)
  assert.deepEqual(result.spec, {
    users: [{ name: 'a', password: 'redacted' }, { name: 'b' }],
    tls: { cert: 'redacted', chain: ['redacted', 'redacted'] },
  })
  assert.deepEqual(takenFrom(result)?.redacted, [
    '/spec/users/0/password',
    '/spec/tls/cert',
    '/spec/tls/chain/0',
    '/spec/tls/chain/1',
  ])
})

test('redaction is idempotent and leaves its argument alone', () => {
  const key = Buffer.from('0123456789abcdef')
  const once = createRedaction({ ...defaults, key })
  const secret = parse({ apiVersion: 'v1', kind: 'Secret', metadata, data: { password: 'Y2FuYXJ5' } })
  const before = plain(secret)
  const result = once(secret)
  assert.equal(once(result), result)
  assert.deepEqual(plain(secret), before)
})

test('the newest writer is remembered, and how many fields it owns', () => {
  const fieldsV1 = { 'f:status': { 'f:phase': {} } }
  const managedFields = [
    { manager: 'kubelet', operation: 'Update', subresource: 'status', time: '2026-01-01T00:00:09Z', fieldsV1 },
    { manager: 'kubectl', operation: 'Apply', time: '2026-01-01T00:00:00Z' },
  ]
  const taken = takenFrom(redact(parse({ apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, managedFields } })))
  const writer = { manager: 'kubelet', operation: 'Update', subresource: 'status', fields: 2 }
  assert.deepEqual(taken, { writers: [writer], changedAt: '2026-01-01T00:00:09Z', redacted: [] })
})

test('F57 members named __proto__ stay data', () => {
  const object = JSON.parse(
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"u","resourceVersion":"1"},"data":{"__proto__":"x","env":[{"name":"KEY","value":"v"}]}}',
  ) as KubeObject
  const result = JSON.stringify(redact(object))
  assert.match(result, /"__proto__":"x"/)
  assert.equal(Object.hasOwn({}, 'x'), false)
})

test('integers that a double cannot hold come through, or are redacted as the one value that they are', () => {
  const big = parseExactly(
    Buffer.from(
      JSON.stringify(parse({ apiVersion: 'v1', kind: 'T', metadata })).replace(
        /}$/,
        ',"spec":{"id":9223372036854775807}}',
      ),
    ),
  ) as KubeObject
  assert.match(JSON.stringify(redact(big)), /"id":9223372036854775807/)
  const result = createRedaction({ paths: [parsePath('spec.*')], env: [] })(big)
  assert.deepEqual(result.spec, { id: 'redacted' })
  assert.deepEqual(takenFrom(result)?.redacted, ['/spec/id'])
})

test('a path into the identity of objects is refused', () => {
  for (const path of ['metadata.name', 'metadata', '*.uid', 'kind']) {
    assert.throws(() => createRedaction({ paths: [parsePath(path)], env: [] }), /would hide which object/)
  }
})

test('a path that cannot be parsed is refused with the column', () => {
  assert.deepEqual(parsePath('data["tls.key"][0]'), [
    { type: 'member', name: 'data' },
    { type: 'member', name: 'tls.key' },
    { type: 'member', name: '0' },
  ])
  assert.throws(() => parsePath('spec..x'), {
    message: 'not a path: "spec..x", at column 5; write it as spec.users[*].password',
  })
  for (const bad of ['', '.a', 'a[', 'a b', 'a["x]']) assert.throws(() => parsePath(bad), RangeError)
})
