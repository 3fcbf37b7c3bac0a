import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeErrorCode } from './errors.ts'
import { errorFromConnection, errorFromStatus, retryAfterMs } from './status-error.ts'
import { status } from './testing/scripted-server.ts'

const request = 'GET /api/v1/pods'

test('a refusal has the same code as a status and as an ERROR frame', () => {
  const table: readonly (readonly [number, string, KubeErrorCode])[] = [
    [400, 'BadRequest', 'rejected'],
    [401, 'Unauthorized', 'unauthorized'],
    [403, 'Forbidden', 'forbidden'],
    [404, 'NotFound', 'not-found'],
    [409, 'Conflict', 'rejected'],
    [410, 'Expired', 'expired'],
    [410, 'Gone', 'expired'],
    [410, '', 'expired'],
    [422, 'Invalid', 'rejected'],
    [429, 'TooManyRequests', 'throttled'],
    [500, 'InternalError', 'server'],
    [500, 'StoreReadError', 'server'],
    [502, '', 'unavailable'],
    [503, 'ServiceUnavailable', 'unavailable'],
    [504, 'Timeout', 'unavailable'],
    [507, '', 'server'],
  ]
  for (const [code, reason, expected] of table) {
    const body = status(code, reason, 'no')
    const asStatus = errorFromStatus(body, { request, status: code })
    const asFrame = errorFromStatus(body, { request })
    assert.deepEqual([asStatus.code, asFrame.code], [expected, expected], `${code} ${reason}`)
    assert.equal(asStatus.status, code)
    assert.equal(asFrame.message, asStatus.message)
  }
})

test('C18 too large a resourceVersion is told in three ways, and is one code in each, as status and in a stream', () => {
  const bodies = [
    status(504, 'Timeout', 'Timeout', {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'whatever' }],
      retryAfterSeconds: 1,
    }),
    status(504, 'Timeout', 'Timeout', { causes: [{ message: 'Too large resource version' }] }),
    status(504, 'Timeout', 'Timeout: Too large resource version: 9, current: 5'),
  ]
  for (const body of bodies) {
    assert.equal(errorFromStatus(body, { request, status: 504 }).code, 'too-large-resource-version')
    assert.equal(errorFromStatus(body, { request }).code, 'too-large-resource-version')
  }
  assert.equal(errorFromStatus(status(500, '', 'Too large resource version'), { request }).code, 'server')
  assert.equal(errorFromStatus(status(504, 'Timeout', 'etcd'), { request }).code, 'unavailable')
})

test('the delay comes from the header, else from the details', () => {
  const body = status(429, 'TooManyRequests', 'later', { retryAfterSeconds: 3 })
  assert.equal(errorFromStatus(body, { request, status: 429, retryAfterMs: 1000 }).retryAfterMs, 1000)
  assert.equal(errorFromStatus(body, { request }).retryAfterMs, 3000)
  assert.equal(errorFromStatus(undefined, { request, status: 429 }).retryAfterMs, undefined)
  assert.deepEqual(['7', '0', '', '-1', '1.5', 'Wed, 21 Oct 2026 07:28:00 GMT', undefined, ['2']].map(retryAfterMs), [
    7000,
    0,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    2000,
  ])
})

test('P9 no server makes a stream wait longer than five minutes', () => {
  const body = status(503, 'ServiceUnavailable', 'next year', { retryAfterSeconds: 31_536_000 })
  assert.equal(errorFromStatus(body, { request }).retryAfterMs, 300_000)
  assert.equal(retryAfterMs('999999999'), 300_000)
})

test('the message names the request and what the server said, on one line of bounded length', () => {
  const error = errorFromStatus(status(403, 'Forbidden', `pods is forbidden:\n${'x'.repeat(9999)}`), {
    request,
    status: 403,
  })
  assert.match(error.message, /^GET \/api\/v1\/pods: 403 Forbidden: pods is forbidden: x+$/)
  assert.ok(error.message.length < 500)
  assert.equal(errorFromStatus('<html>', { request, status: 502 }).message, 'GET /api/v1/pods: 502')
  assert.equal(errorFromStatus({}, { request }).code, 'server')
})

test('a connection that was not made is refused, one that broke is reset, one that is silent is idle', () => {
  const coded = (code: string, more: object = {}) => Object.assign(new Error(`it was ${code}`), { code }, more)
  const table: readonly (readonly [unknown, KubeErrorCode])[] = [
    [coded('ECONNREFUSED'), 'refused'],
    [coded('ETIMEDOUT', { syscall: 'connect' }), 'refused'],
    [coded('ENOTFOUND'), 'refused'],
    [coded('UND_ERR_CONNECT_TIMEOUT'), 'refused'],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'refused'],
    [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'refused'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'refused'],
    [coded('CERT_HAS_EXPIRED'), 'refused'],
    [coded('ECONNRESET'), 'reset'],
    [coded('EPIPE'), 'reset'],
    [coded('UND_ERR_SOCKET'), 'reset'],
    [coded('ERR_HTTP2_STREAM_ERROR'), 'reset'],
    [coded('Z_BUF_ERROR'), 'reset'],
    [coded('UND_ERR_HEADERS_TIMEOUT'), 'idle'],
    [coded('UND_ERR_BODY_TIMEOUT'), 'idle'],
    ['odd', 'reset'],
  ]
  for (const [cause, code] of table) assert.equal(errorFromConnection(cause, request).code, code, String(cause))
})
