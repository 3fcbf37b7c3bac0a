/**
 * A batch of which some events are refused. Real EventBridge fails single entries only under load or by a bug, and moto
 * never does, so this is one that fails what it is told to, and otherwise checks requests as strictly as the real one.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultServer } from '../../sinks/eventbridge/testing/fault-server.ts'
import type { ReceivedEntry } from '../../sinks/eventbridge/testing/strict-service.ts'
import { seeded } from '../e2e/support/random-operations.ts'
import { awsEnvironment, REGION } from '../testbed/moto.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'

const eventOf = ({ Detail = '' }: ReceivedEntry) => JSON.parse(Detail) as ReceivedEvent

test('F44 of a batch that fails in part only the failed entries are sent again, and those of one object stay in order', async (t) => {
  const seed = newSeed(t)
  const random = seeded(seed)
  await using bus = await FaultServer.start()
  const sink = {
    ...{ name: 'bus', type: 'eventbridge', bus: 'k8s', endpoint: bus.url, region: REGION, retry },
    queue: { whenFull: 'block' }, // every version is to arrive
    batch: { linger: '20ms' },
  }
  await using stand = await FaultStand.start([sink], { env: awsEnvironment, seed })
  let refused = 0
  bus.entryFault = () => {
    if (random() >= 0.1) return undefined
    refused++
    return 'InternalFailure'
  }
  await stand.write(600)

  const result = await stand.arrived(() => bus.entries.map(eventOf))
  const shared = bus.requests.filter(({ entries }) => entries > 1).length
  t.diagnostic(JSON.stringify({ ...result, refused, requests: bus.requests.length, shared }))
  assert.ok(refused > 0 && shared > 0)
  assert.equal(result.delivered, result.versions)
  assert.deepEqual([result.duplicates, result.gaps], [0, 0], 'what was taken is not sent again')
  assert.deepEqual(bus.refused, [], 'no request was wrong')
  assert.equal(await stand.metric('sink_retries_total', 'bus', ',reason="failed"'), refused)
  assert.deepEqual([await stand.told('bus'), await stand.retriesTold('bus')], [['healthy'], ['failed']])
  await stand.endsInOrder('bus')
})
