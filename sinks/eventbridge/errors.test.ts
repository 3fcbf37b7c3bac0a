import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { entryCodes, entryError, requestError } from './errors.ts'

const target = { bus: 'k8s', region: 'eu-west-1' }

const ofSdk = (name: string, status: number | undefined, message = '') =>
  Object.assign(new Error(message), { name, ...(status !== undefined && { $metadata: { httpStatusCode: status } }) })

test('a network error is told by its code, and an answer that is none by its status', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:443'), { code: 'ECONNREFUSED' })
  assert.equal(requestError(refused, target).message, 'event bus k8s in eu-west-1: ECONNREFUSED')
  assert.equal(requestError(refused, target).code, 'unavailable')
  const html = ofSdk('SyntaxError', 200, 'Unexpected token < in JSON')
  assert.equal(requestError(html, target).message, 'event bus k8s in eu-west-1: SyntaxError, status 200')
  assert.equal(requestError(html, target).code, 'unavailable')
  assert.equal(requestError('what', target).code, 'unavailable')
})

test('the sum of a request above the limit is too large, whatever the limit of the region is', () => {
  const message = 'Total size of the entries in the request is over the limit.'
  assert.equal(requestError(ofSdk('ValidationException', 400, message), target).code, 'too-large')
  assert.equal(requestError(ofSdk('ValidationException', 400, 'something else'), target).code, 'rejected')
})

test('an error names the place and the way out', () => {
  const said = (name: string, status?: number) => requestError(ofSdk(name, status), target).message
  assert.match(
    said('ResourceNotFoundException', 400),
    /event bus k8s does not exist in eu-west-1: create it, or correct/,
  )
  assert.match(said('AccessDeniedException', 400), /AccessDeniedException, status 400; .*events:PutEvents/)
  assert.match(said('CredentialsProviderError'), /no AWS credentials were found: give the pod a role/)
  assert.match(said('ThrottlingException', 400), /lower concurrency/)
  assert.match(requestError(new Error('Region is missing'), target).message, /set region, or the variable AWS_REGION/)
  assert.match(
    entryError('AccessDeniedException', target).message,
    /event bus k8s in eu-west-1 answered an event with Acc/,
  )
  assert.match(entryError(undefined, target).message, /neither EventId nor ErrorCode/)
})

test('P8 what an endpoint puts in the place of a name is not repeated', () => {
  for (const said of ['{"password":"canary"}', 'canary-1', 'x'.repeat(1000)]) {
    assert.match(entryError(said, target).message, /answered an event with an unknown error$/)
    assert.match(requestError(ofSdk(said, 400, said), target).message, /: an unknown error, status 400$/)
  }
  assert.equal(entryError('constructor', target).code, 'failed')
  assert.equal(requestError(ofSdk('constructor', 500), target).code, 'unavailable')
})

test('docs/sinks/eventbridge.md says of every ErrorCode what happens', () => {
  const document = readFileSync(new URL('../../docs/sinks/eventbridge.md', import.meta.url), 'utf8')
  const [, rows = ''] = /^\| `ErrorCode` .*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(document) ?? []
  const told = rows.split('\n').flatMap((row) => {
    const [, names = '', code = ''] = row.split('|')
    return [...names.matchAll(/`([A-Za-z]+)`/g)].map(
      ([, name = '']) => [name, code.replaceAll('`', '').trim()] as const,
    )
  })
  const { EventId, ...codes } = Object.fromEntries(told)
  assert.equal(EventId, 'delivered')
  assert.deepEqual(codes, entryCodes)
})
