/** A receiver that is slow, fails, cuts connections or is not there: what arrives, and what somebody is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { seeded } from '../e2e/support/random-operations.ts'
import { webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'

test('F42 a sink that is slow gets the newest state of each object, in order; its queue is bounded, nobody calls it out of order', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const queue = { events: 1_200 }
  await using stand = await FaultStand.start([webhook('receiver', receiver.url, { queue, retry, concurrency: 1 })], {
    seed: newSeed(t),
  })
  receiver.answer = () => ({ type: 'take', afterMs: 100 })
  let most = 0
  for (let n = 0; n < 10; n++) {
    await stand.write(150)
    most = Math.max(most, await stand.metric('sink_queue_events', 'receiver'))
  }
  assert.ok(most <= queue.events, `the queue held ${most}`)
  assert.match(await stand.readiness('receiver'), /connected$/)
  receiver.answer = () => ({ type: 'take' })

  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify({ ...result, mostQueued: most }))
  assert.ok(result.collapsed > 0, 'it was slower than the changes')
  assert.equal(result.delivered + result.collapsed, result.versions)
  assert.deepEqual([result.duplicates, result.gaps], [0, 0])
  assert.ok((await stand.metric('sink_merged_events_total', 'receiver')) > 0)
  assert.deepEqual([await stand.told('receiver'), await stand.retriesTold('receiver')], [['healthy'], []])
  await stand.endsInOrder('receiver')
})

for (const status of [500, 503]) {
  test(`F43 a sink that answers ${status} to everything is told to be unavailable, once, gives up nothing, and gets all when it is back`, async (t) => {
    await using receiver = await FaultyReceiver.start()
    await using stand = await FaultStand.start([webhook('receiver', receiver.url, { retry })], { seed: newSeed(t) })
    await stand.write(100)
    receiver.answer = () => ({ type: 'refuse', status })
    await stand.write(300)
    await stand.untilTold('receiver', 'unavailable')
    await stand.write(100)
    await eventually(async () => (await stand.metric('sink_circuit_state', 'receiver')) > 0, { what: 'it is paused' })
    const { status: ready } = await stand.bridge.get('/readyz')
    assert.equal(ready, 200, 'a receiver that is away is no reason to restart the bridge')
    assert.match(
      await stand.readiness('receiver'),
      new RegExp(`^\\[!\\] sink receiver: connected, degraded: .*127.0.0.1:\\d+ answered ${status}$`),
    )
    const refused = receiver.answered.get(String(status)) ?? 0
    receiver.answer = () => ({ type: 'take' })

    const result = await stand.arrived(() => receiver.events)
    t.diagnostic(JSON.stringify({ ...result, refused }))
    assert.equal(result.delivered + result.collapsed, result.versions)
    assert.deepEqual([result.duplicates, result.gaps], [0, 0])
    assert.deepEqual(await stand.told('receiver'), ['healthy', 'unavailable', 'healthy'])
    assert.deepEqual(await stand.retriesTold('receiver'), status === 500 ? ['failed'] : [])
    await stand.endsInOrder('receiver')
  })
}

test('F51 what was taken and not acknowledged comes again with the same id: by id it is there exactly once', async (t) => {
  const seed = newSeed(t)
  const random = seeded(seed)
  await using receiver = await FaultyReceiver.start()
  const queue = { whenFull: 'block' } // every version is to arrive
  await using stand = await FaultStand.start([webhook('receiver', receiver.url, { retry, queue })], { seed })
  receiver.answer = () => ({ type: random() < 0.03 ? 'take-then-reset' : 'take' })
  await stand.write(600)

  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify({ ...result, cut: receiver.answered.get('take-then-reset') }))
  assert.ok(result.duplicates > 0)
  assert.ok(result.duplicates <= (receiver.answered.get('take-then-reset') ?? 0), 'only what was cut came again')
  assert.equal(result.delivered, result.versions)
  const first = new Map<string, string>()
  for (const [index, { source, id }] of receiver.events.entries()) {
    const body = receiver.bodies[index] ?? ''
    const known = first.get(`${source} ${id}`) ?? body
    first.set(`${source} ${id}`, known)
    assert.equal(body, known, 'what comes again is the same, to the byte')
  }
  await stand.endsInOrder('receiver')
})

test('F53 one sink of three that is down is told by name; the others get every version meanwhile, and it gets all later', async (t) => {
  const names = ['one', 'two', 'three'] as const
  await using one = await FaultyReceiver.start()
  await using two = await FaultyReceiver.start()
  await using three = await FaultyReceiver.start()
  const receivers = { one, two, three }
  const sinks = names.map((name) => webhook(name, receivers[name].url, { retry }))
  await using stand = await FaultStand.start(sinks, { seed: newSeed(t) })
  await stand.write(100)
  two.answer = () => ({ type: 'reset-before' })
  await stand.write(600)

  for (const name of ['one', 'three'] as const) {
    const { delivered, versions } = await stand.arrived(() => receivers[name].events)
    assert.equal(delivered, versions, `${name} has every version while two is down`)
    await eventually(async () => (await stand.lag(name)) === 0, { what: `the watermarks of ${name} advance` })
    assert.ok((await stand.metric('delivery_latency_seconds_count', name)) >= versions)
    assert.match(await stand.readiness(name), /connected$/)
    assert.deepEqual(await stand.told(name), ['healthy'])
  }
  await stand.untilTold('two', 'unavailable')
  assert.match(
    await stand.readiness('two'),
    /^\[!\] sink two: connected, degraded: 127.0.0.1:\d+ cannot be reached: ECONNRESET$/,
  )
  assert.ok((await stand.lag('two')) > 0)
  assert.equal((await stand.bridge.get('/readyz')).status, 200)
  two.answer = () => ({ type: 'take' })

  const result = await stand.arrived(() => two.events)
  t.diagnostic(JSON.stringify(result))
  assert.equal(result.delivered + result.collapsed, result.versions)
  assert.deepEqual([result.duplicates, result.gaps], [0, 0])
  assert.deepEqual(await stand.told('two'), ['healthy', 'unavailable', 'healthy'])
  await eventually(async () => (await stand.lag('two')) === 0, { what: 'its watermarks, too' })
  await stand.endsInOrder(...names)
})
