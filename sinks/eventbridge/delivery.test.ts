/** The sink behind a worker, and a server that fails: nothing lost, nothing out of order, nothing too large. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { seeded } from '../../test/e2e/support/random-operations.ts'
import { awsEnvironment } from '../../test/testbed/moto.ts'
import { assertOrder, event, makeSink, never, numbered, through } from '../contract-kit.ts'
import { sink as definition } from './index.ts'
import { FaultServer } from './testing/fault-server.ts'

Object.assign(process.env, awsEnvironment)

async function start(config: object = {}, requestBytes = 1_000_000) {
  const server = await FaultServer.start({ requestBytes })
  const own = { bus: 'k8s', region: 'eu-west-1', endpoint: server.url, ...config }
  const made = makeSink(definition, Object.assign(server, { config: own }), {})
  return {
    server,
    limits: made.limits,
    ...through(made, systemClock),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const idOf = ({ Detail = '' }: { readonly Detail?: string }) => JSON.parse(Detail).id as string

test('P1 P2 P4 5,000 events of random sizes up to the limit, entries failing at random: every one is accepted, no request is over a limit', async (t) => {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  const limit = 2 ** 18
  await using run = await start({ requestBytes: '256KiB' }, limit)
  const { server, limits } = run
  const codes = ['InternalFailure', 'ThrottlingException', 'AccessDeniedException', 'SomethingNew'] as const
  server.entryFault = () => (random() < 0.1 ? codes[Math.floor(random() * codes.length)] : undefined)
  server.cutAtRandom = () => (random() < 0.02 ? (random() < 0.5 ? 'mid-answer' : 'before') : undefined)

  const largest = 'ü"x'.repeat(limit)
  const eventOf = (id: number, bytes: number) => {
    const made = (padding: string) =>
      event({ id: `${id}`, partitionkey: `key-${id % 300}`, data: JSON.stringify(padding) })
    return made(largest.slice(0, Math.max(0, Math.floor(((bytes - limits.sizeOf(made(''))) * 3) / 5))))
  }
  for (let id = 0; id < 5000; id++) {
    const bytes = id % 100 === 0 ? limit : Math.exp(random() * Math.log(limit))
    const one = eventOf(id, bytes)
    assert.ok(limits.sizeOf(one) <= limit)
    await run.offer(one)
  }
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })

  assert.deepEqual(server.refused, [])
  assert.ok(server.requests.every(({ entries, bytes }) => entries >= 1 && entries <= 10 && bytes <= limit))
  assert.equal([...run.outcomes.values()].filter(({ type }) => type === 'delivered').length, 5000)
  const ids = server.entries.map(idOf)
  assert.deepEqual(new Set(ids), new Set(Array.from({ length: 5000 }, (_, id) => `${id}`)))
  assertOrder(server.received())
  const first = new Map<string, string | undefined>()
  for (const entry of server.entries) {
    const id = idOf(entry)
    if (first.has(id)) assert.ok(entry.Detail === first.get(id), `${id} came again, and is another event`)
    else first.set(id, entry.Detail)
  }
  const most = Math.max(...server.requests.map(({ bytes }) => bytes))
  const figures = {
    requests: server.requests.length,
    attempts: server.attempts(),
    accepted: ids.length,
    largestRequest: most,
  }
  t.diagnostic(JSON.stringify(figures))
})

test('P1 an account that throttles gets everything in the end, and no event is given up', async (t) => {
  await using run = await start()
  run.server.throttle(60, 5) // so few that a busy machine is faster, too
  for (const one of numbered(2000, 500)) await run.offer(one)
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
  t.diagnostic(`${run.server.throttled} requests were throttled`)
  assert.ok(run.server.throttled > 0)
  assert.equal(new Set(run.server.entries.map(idOf)).size, 2000)
  assertOrder(run.server.received())
})

for (const code of [
  'ThrottlingException',
  'AccessDeniedException',
  'NotAuthorizedForSourceException',
  'InternalFailure',
]) {
  test(`P1 P2 an object whose events get ${code} among others that are accepted is neither lost nor overtaken`, async () => {
    await using run = await start()
    const failures = new Map<string, number>()
    run.server.entryFault = (entry) => {
      const { id, partitionkey } = JSON.parse(entry.Detail ?? '')
      if (partitionkey !== 'key-3') return undefined
      const times = (failures.get(id) ?? 0) + 1
      failures.set(id, times)
      return times <= 4 ? code : undefined
    }
    for (const one of numbered(200, 20)) await run.offer(one)
    assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
    assertOrder(run.server.received())
    const ids = run.server.entries.map(idOf)
    assert.equal(ids.length, 200)
    assert.equal(new Set(ids).size, 200)
    // each time only the one that failed was sent again
    assert.ok([...failures.values()].every((times) => times === 5))
  })
}

test('an event that the region finds too large, whatever requestBytes says, goes out smaller, and its batch with it', async () => {
  await using run = await start({}, 2 ** 18)
  const full = event({ id: 'large', data: `"${'x'.repeat(300_000)}"` })
  const degraded = event({ id: 'large', degraded: 'reference', data: '{}' })
  await run.offer({ ...full, smaller: () => degraded })
  for (const one of numbered(9)) await run.offer(one)
  assert.deepEqual(await run.worker.close(never()), { undelivered: 0 })
  const taken = run.server.received().find(({ attributes }) => attributes.id === 'large')
  assert.equal(taken?.attributes.degraded, 'reference')
  assert.equal(run.server.entries.length, 10)
})
