import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { type BridgeProcess, startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { compare } from './support/oracle.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { startCluster, webhook } from './support/stand.ts'

const namespaces = ['shop']

test('SIGTERM under load stops reading, drains, and ends with 0: the receiver has everything that was read', async (t) => {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  receiver.answer = () => ({ type: 'take', afterMs: 20 })
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: [webhook('slow', receiver.url, { concurrency: 4 })],
    },
  })
  await bridge.ready()
  const recorder = await server.record()
  const stop = new AbortController()
  const writing = operate(server.admin, { count: 100_000, seed: 1, namespaces }, stop.signal)
  await eventually(() => receiver.events.length > 300, { what: 'the load runs' })
  const queued = await bridge.metric('deltawire_sink_queue_events{sink="slow"}')
  const asked = performance.now()
  assert.equal(await bridge.end('SIGTERM'), 0)
  const tookMs = Math.round(performance.now() - asked)
  stop.abort()
  await writing

  const history = await recorder.until(await server.revision(), ...prefixes)
  // what a stream delivered is everything up to where it stopped reading
  const last = new Map<string, string>()
  for (const { source, sequence, type } of receiver.events) {
    if (!type.startsWith('io.deltawire.object')) continue
    if (String(sequence) > (last.get(source) ?? '')) last.set(source, String(sequence))
  }
  const upTo = (key: string) =>
    last.get(
      [...last.keys()].find((source) =>
        source.endsWith(`/${key.includes('widgets') ? 'widgets' : key.split('/')[0]}`),
      ) ?? '',
    ) ?? ''
  const read = history.filter(({ key, resourceVersion }) => resourceVersion.padStart(20, '0') <= upTo(key))
  const { problems, delivered, duplicates } = compare(read, receiver.events)
  t.diagnostic(
    JSON.stringify({ queuedAtSigterm: queued, drainedInMs: tookMs, versions: read.length, delivered, duplicates }),
  )
  assert.deepEqual(problems, [])
  assert.ok(queued > 0, 'there was something to drain')
  const warned = (await bridge.log()).filter(({ level }) => level === 'warn' || level === 'error')
  assert.deepEqual(warned, [])
})

/** A bridge with an event on its way to a sink that never answers. */
async function startHung(server: TestApiServer, receiver: FaultyReceiver, drain: string): Promise<BridgeProcess> {
  receiver.answer = () => ({ type: 'take', afterMs: 3_600_000 })
  const bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ resources: ['namespaces'] }],
      shutdown: { drain },
      sinks: [webhook('hung', receiver.url, { timeout: '30m' })],
    },
  })
  await eventually(() => receiver.answered.size > 0, { what: 'an event is on its way' })
  return bridge
}

test('a second signal does not wait for a sink that never answers', async () => {
  await using server = await startApiServer()
  await using receiver = await FaultyReceiver.start()
  await using bridge = await startHung(server, receiver, '10m')
  process.kill(bridge.pid, 'SIGTERM')
  await bridge.logged('it drains', ({ message }) => message === 'draining')
  process.kill(bridge.pid, 'SIGTERM')
  assert.equal(await bridge.exited(), 1)
})

test('what a hung sink does not take until the drain deadline is named, and the bridge ends with 0', async () => {
  await using server = await startApiServer()
  await using receiver = await FaultyReceiver.start()
  await using bridge = await startHung(server, receiver, '1s')
  assert.equal(await bridge.end('SIGTERM'), 0)
  const line = (await bridge.log()).find(({ level }) => level === 'warn')
  assert.equal(line?.sink, 'hung')
  assert.match(line?.message ?? '', /not acknowledged before the drain deadline/)
})
