import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startMoto } from './moto.ts'

test('a rule passes what its pattern takes to its queue, and nothing else', async () => {
  await using moto = await startMoto()
  await moto.createBus('k8s')
  const queue = await moto.createRule({ bus: 'k8s', name: 'web', pattern: { detail: { name: [{ prefix: 'web-' }] } } })
  const Entries = Array.from({ length: 8 }, (_, n) => ({
    EventBusName: 'k8s',
    Source: 'test',
    DetailType: 'changed',
    Detail: JSON.stringify({ name: n % 2 === 0 ? `web-${n}` : `db-${n}` }),
  }))
  for (let time = 0; time < 4; time++) await moto.putEvents(Entries)
  const events = await queue.until(16)
  assert.equal(events.length, 16)
  assert.deepEqual(new Set(events.map(({ detail }) => detail.name)), new Set(['web-0', 'web-2', 'web-4', 'web-6']))
  const [{ source, 'detail-type': type, region } = assert.fail()] = events
  assert.deepEqual({ source, type, region }, { source: 'test', type: 'changed', region: 'eu-west-1' })
})

test('what is not there is an error that says so', async () => {
  await using moto = await startMoto()
  await assert.rejects(moto.createRule({ bus: 'k8s', name: 'web', pattern: {} }), /PutRule was answered with 400.*k8s/)
})
