/** Where moto checks something, the strict service of the fault server says the same. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Moto, startMoto } from '../../test/testbed/moto.ts'
import { forwardTo } from './testing/forward.ts'
import { type EntryResult, type Service, strictService } from './testing/strict-service.ts'

let moto: Moto
before(async () => {
  moto = await startMoto()
  await moto.createBus('k8s')
})
after(() => moto?.[Symbol.asyncDispose]())

const strict = strictService({ bus: 'k8s', requestBytes: 1_000_000 })

async function ask(service: Service, operation: string, body: object): Promise<unknown> {
  const signature = `SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/events/aws4_request, ${signature}`,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-date': '20260101T000000Z',
    'x-amz-target': `AWSEvents.${operation}`,
  }
  const answer = await service({ operation, headers, body: JSON.stringify(body) })
  const { CreationTime: _created, LastModifiedTime: _modified, ...said } = JSON.parse(answer.body)
  const entries: readonly EntryResult[] | undefined = said.Entries
  const unified = entries?.map((entry) => (entry.EventId ? { ...entry, EventId: 'some' } : entry))
  return { status: answer.status, ...said, ...(unified && { Entries: unified }) }
}

const good = { EventBusName: 'k8s', Source: 'test', DetailType: 'changed', Detail: '{"n":1}', Time: 1767225600.123 }
const { Source: _source, ...withoutSource } = good
const { DetailType: _type, ...withoutType } = good
const { Detail: _detail, ...withoutDetail } = good

const cases: readonly (readonly [name: string, operation: string, body: object])[] = [
  ['ten events', 'PutEvents', { Entries: Array(10).fill(good) }],
  ['eleven events', 'PutEvents', { Entries: Array(11).fill(good) }],
  [
    'a bus by its ARN',
    'PutEvents',
    { Entries: [{ ...good, EventBusName: 'arn:aws:events:eu-west-1:123456789012:event-bus/k8s' }] },
  ],
  ['a bus that does not exist', 'PutEvents', { Entries: [{ ...good, EventBusName: 'other' }] }],
  [
    'some events that lack what is required',
    'PutEvents',
    { Entries: [good, withoutSource, good, withoutType, withoutDetail, good] },
  ],
  ['a Detail that is no JSON', 'PutEvents', { Entries: [good, { ...good, Detail: '{' }] }],
  ['what bus is there', 'DescribeEventBus', { Name: 'k8s' }],
  ['what bus is not there', 'DescribeEventBus', { Name: 'other' }],
]

for (const [name, operation, body] of cases) {
  test(`the strict service answers as moto does: ${name}`, async () => {
    assert.deepEqual(await ask(strict, operation, body), await ask(forwardTo(moto.url), operation, body))
  })
}

test('the strict service refuses what moto lets pass', async () => {
  const entries = (...Entries: object[]) => ask(strict, 'PutEvents', { Entries })
  const failed = (ErrorCode: string) => (answer: unknown) => {
    const { Entries = [] } = answer as { readonly Entries?: readonly EntryResult[] }
    return Entries[0]?.ErrorCode === ErrorCode
  }
  assert.ok(failed('MalformedDetail')(await entries({ ...good, Detail: '[1]' })))
  assert.ok(failed('MalformedDetail')(await entries({ ...good, Detail: '"text"' })))
  assert.ok(
    failed('MalformedDetail')(await entries({ ...good, Detail: `{"a":${'['.repeat(1000)}${']'.repeat(1000)}}` })),
  )
  assert.ok(failed('InvalidArgument')(await entries({ ...good, DetailType: 'x'.repeat(129) })))
  assert.ok(failed('NotAuthorizedForSourceException')(await entries({ ...good, Source: 'aws.ec2' })))
  const full = { ...good, Detail: `{"x":"${'x'.repeat(1_000_000 - 14 - 4 - 7 - 8)}"}` }
  assert.deepEqual(await entries(full), { status: 200, FailedEntryCount: 0, Entries: [{ EventId: 'some' }] })
  const answer = await entries({ ...full, Source: 'test2' })
  assert.match(JSON.stringify(answer), /"status":400,.*Total size of the entries/)
  assert.match(JSON.stringify(await entries()), /"status":400,.*greater than or equal to 1/)
  const unsigned = await strict({ operation: 'PutEvents', headers: {}, body: '{}' })
  assert.equal(unsigned.status, 403)
})
