import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { failureCode, retryAfterMs } from './status.ts'

test('2xx is delivered, a redirect is refused, and every other status is a failure of some class', () => {
  for (const status of [200, 201, 202, 204, 299]) assert.equal(failureCode(status), undefined, `${status}`)
  for (const status of [300, 301, 302, 304, 307, 308, 402, 406, 418, 451, 499]) {
    assert.equal(failureCode(status), 'rejected', `${status}`)
  }
  for (const status of [502, 503, 504, 507, 520, 599]) assert.equal(failureCode(status), 'unavailable', `${status}`)
})

test('S7 Retry-After: seconds, or a date, which counts from now and is 0 when it is past', () => {
  const now = new Date('2026-01-01T00:00:00Z')
  const cases: [string | string[] | undefined, number | undefined][] = [
    ['120', 120_000],
    [' 0 ', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
    [['5', '7'], 5000],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ]
  for (const [header, ms] of cases) assert.equal(retryAfterMs(header, now), ms, JSON.stringify(header))
})

test('docs/sinks/webhook.md says of every status what happens', () => {
  const document = readFileSync(new URL('../../docs/sinks/webhook.md', import.meta.url), 'utf8')
  const [, rows = ''] = /^\| status \|.*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(document) ?? []
  const told = rows.split('\n').flatMap((row) => {
    const [, statuses = '', code = ''] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''))
    return statuses.split(', ').map((status) => [status, code === 'delivered' ? undefined : code] as const)
  })
  const codes = new Map(told)
  for (let status = 200; status < 600; status++) {
    const row = [
      `${status}`,
      `${status}`.replace(/..$/, 'xx'),
      `other ${`${status}`.replace(/..$/, 'xx')}`,
      'anything else',
    ]
    const name = row.find((one) => codes.has(one))
    assert.ok(name, `${status}`)
    assert.equal(codes.get(name), failureCode(status), `${status}`)
  }
})
