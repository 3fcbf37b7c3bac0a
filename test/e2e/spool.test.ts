/** A spool from end to end: a real API server, a bridge that is killed, and a sink that was away. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../../src/journal/testing/kit.ts'
import { eventually } from '../support/eventually.ts'
import { type BridgeProcess, startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { compare } from './support/oracle.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { startCluster, webhook } from './support/stand.ts'

const namespaces = ['shop']

function configOf(url: string, spool: object, queue: object = { events: 100 }): object {
  return {
    sources: [{ name: 'all', resources, namespaces }],
    sinks: [
      webhook('audit', url, { queue: { ...queue, whenFull: 'spool', spool }, retry: { initial: '50ms', max: '1s' } }),
    ],
  }
}

const spooled = (bridge: BridgeProcess) => bridge.metric('deltawire_sink_spool_events{sink="audit"}')

test('P1 P2 P4 F52 F32 a sink is away, the bridge is killed, and every version arrives from the next process', async (t) => {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const config = configOf(receiver.url, { path: folder.path })
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  await using first = await startBridge({ kubeconfig, config })
  await first.ready()
  await eventually(async () => (await spooled(first)) === 0, { what: 'its snapshots are delivered' })
  const recorder = await server.record()
  const write = (part: number, count = 300) => operate(server.admin, { count, seed: seed + part, namespaces })

  await write(1)
  receiver.answer = () => ({ type: 'refuse', status: 503 })
  const delivered = receiver.events.length
  await write(2, 1_000)
  const before = await recorder.until(await server.revision(), ...prefixes)
  await eventually(async () => (await spooled(first)) + receiver.events.length >= before.length, {
    what: 'all is on disk',
  })
  const waiting = await spooled(first)
  const inMemory = await first.metric('deltawire_sink_queue_events{sink="audit"}')
  assert.ok(waiting >= 900, `${waiting} on disk`)
  assert.ok(inMemory <= 100, `${inMemory} in memory`)
  assert.equal(await first.metric('deltawire_sink_blocked_streams{sink="audit"}'), 0)
  await first.end('SIGKILL')

  await using second = await startBridge({ kubeconfig, config })
  const opened = await second.logged('it has found them', ({ message }) => message.startsWith('the spool of the sink'))
  assert.ok(Number(opened.events) >= waiting, `${opened.events} found`)
  await second.logged('its first snapshots have begun', ({ message }) => message === 'started')
  receiver.answer = () => ({ type: 'take' })
  await second.ready()
  await eventually(async () => (await spooled(second)) === 0, { what: 'the spool is empty' })
  await write(3)
  const history = await recorder.until(await server.revision(), ...prefixes)
  await eventually(() => compare(history, receiver.events).delivered === history.length, {
    what: 'all has arrived',
  }).catch(() => undefined) // the comparison says what is missing
  const result = compare(history, receiver.events)
  t.diagnostic(JSON.stringify({ ...result, waiting, delivered }))
  assert.deepEqual(result.problems, [])
  assert.deepEqual([result.delivered, result.collapsed, result.gaps], [history.length, 0, 0])
  assert.ok(result.duplicates <= 1_200, `${result.duplicates} were repeated`)
  assert.equal(await second.end('SIGTERM'), 0)
})

test('F39 F52 a spool that is full holds up its streams, says so, and heals; nothing is lost, and nothing is held up at the end', async (t) => {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: configOf(receiver.url, { path: folder.path, bytes: '400KiB' }, { events: 40 }),
  })
  await bridge.ready()
  const recorder = await server.record()
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  receiver.answer = () => ({ type: 'refuse', status: 503 })
  await operate(server.admin, { count: 1_000, seed, namespaces })
  await bridge.logged(
    'the spool is full',
    ({ level, message }) => level === 'error' && message.includes('takes nothing'),
  )
  await eventually(async () => (await bridge.metric('deltawire_sink_blocked_streams{sink="audit"}')) > 0, {
    what: 'streams wait',
  })
  const { body } = await bridge.get('/readyz')
  assert.match(body, /its spool takes nothing: it is full: its limit of 409600 bytes is reached/)
  const bytes = await bridge.metric('deltawire_sink_spool_bytes{sink="audit"}')
  assert.ok(bytes > 200_000 && bytes <= 409_600, `${bytes} bytes`)
  receiver.answer = () => ({ type: 'take' })
  const history = await recorder.until(await server.revision(), ...prefixes)
  await eventually(() => compare(history, receiver.events).delivered === history.length, {
    what: 'all has arrived',
  }).catch(() => undefined) // the comparison says what is missing
  const result = compare(history, receiver.events)
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual(result.problems, [])
  assert.equal(result.delivered, history.length)
  await bridge.logged('it has healed', ({ message }) => message === 'the spool of the sink is in order')

  receiver.answer = () => ({ type: 'refuse', status: 503 })
  await operate(server.admin, { count: 50, seed: seed + 1, namespaces })
  await bridge.logged('the sink is away again', ({ message }) => message.startsWith('the sink is unavailable'))
  await eventually(async () => (await spooled(bridge)) >= 50, { what: 'they are on disk' })
  const start = performance.now()
  assert.equal(await bridge.end('SIGTERM'), 0)
  t.diagnostic(`stopped in ${Math.round(performance.now() - start)} ms`)
  const left = (await bridge.log()).find(({ message }) => message.startsWith('events stay in the spool'))
  assert.ok(Number(left?.events) >= 50, JSON.stringify(left))
})
