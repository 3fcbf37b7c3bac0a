/** A bridge that was killed, and what happened meanwhile: a real API server, a real receiver, state on a disk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../../src/journal/testing/kit.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { compare } from './support/oracle.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { startCluster, webhook } from './support/stand.ts'
import { positionsIn } from './support/state-folder.ts'

const namespaces = ['shop']

interface Scenario {
  readonly seed: number
  /** What happens to the server while the bridge is away, after the operations. */
  readonly meanwhile: (server: TestApiServer) => Promise<void>
}

/** Operations before, while the bridge is killed, and after. */
async function restart({ seed, meanwhile }: Scenario) {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const config = {
    state: { type: 'file', path: folder.path },
    sources: [{ name: 'all', resources, namespaces }],
    sinks: [webhook('audit', receiver.url, { queue: { whenFull: 'block' } })],
  }
  const write = (part: number, count: number) => operate(server.admin, { count, seed: seed + part, namespaces })
  const recorder = await server.record()
  const arrived = async () => {
    const history = await recorder.until(await server.revision(), ...prefixes)
    const isThere = () => compare(history, receiver.events).problems.length === 0
    await eventually(isThere, { what: 'all has arrived' }).catch(() => undefined) // the comparison says what is missing
    return compare(history, receiver.events)
  }
  await using first = await startBridge({ kubeconfig, config })
  await first.ready()
  await write(1, 150)
  await arrived()
  await eventually(async () => (await positionsIn(folder.path)).size === resources.length, {
    what: 'the position of each stream is on disk',
  })
  await first.end('SIGKILL')
  await write(2, 300)
  await meanwhile(server)
  await using second = await startBridge({ kubeconfig, config })
  await second.ready()
  await write(3, 50)
  const result = await arrived()
  const rungs = (await second.log()).flatMap(({ rung }) => (typeof rung === 'string' ? [rung] : []))
  assert.equal(await second.end('SIGTERM'), 0)
  return { result, rungs, snapshots: receiver.events.filter(({ type }) => type.includes('snapshot.begin')).length }
}

const seed = Math.floor(Math.random() * 1e6)

test('P1 P3 P4 F32 after a kill -9 every version and every deletion arrives as if the bridge had never been away', async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { result, rungs, snapshots } = await restart({ seed, meanwhile: async () => {} })
  t.diagnostic(JSON.stringify({ ...result, rungs }))
  assert.deepEqual(result.problems, [])
  assert.deepEqual([result.delivered, result.collapsed, result.gaps], [result.versions, 0, 0])
  assert.deepEqual(new Set(rungs), new Set(['replay']))
  assert.equal(snapshots, resources.length, 'those of the first start alone')
})

test('P4 after a stop in quiet times nothing is told again, though no bookmark has come', async (t) => {
  t.diagnostic(`seed ${seed}`)
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const config = {
    state: { type: 'file', path: folder.path },
    sources: [{ name: 'all', resources, namespaces }],
    sinks: [webhook('audit', receiver.url)],
  }
  const recorder = await server.record()
  const write = async (part: number) => {
    await operate(server.admin, { count: 60, seed: seed + part, namespaces })
    const history = await recorder.until(await server.revision(), ...prefixes)
    const isThere = () => compare(history, receiver.events).problems.length === 0
    await eventually(isThere, { what: 'all has arrived' }).catch(() => undefined) // the comparison says what is missing
    return compare(history, receiver.events)
  }
  await using first = await startBridge({ kubeconfig, config })
  await first.ready()
  await write(1)
  assert.equal(await first.end('SIGTERM'), 0)
  await using second = await startBridge({ kubeconfig, config })
  await second.ready()
  const { problems, duplicates, gaps } = await write(2)
  assert.deepEqual({ problems, duplicates, gaps }, { problems: [], duplicates: 0, gaps: 0 })
  assert.equal(await second.end('SIGTERM'), 0)
})

test('P3 P5 F01 where the history was compacted away meanwhile, a gap and the differences arrive, every deletion among them', async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { result, rungs, snapshots } = await restart({
    seed,
    meanwhile: async (server) => {
      await server.compact()
      await server.kill() // its watch cache begins anew
      await server.start()
    },
  })
  t.diagnostic(JSON.stringify({ ...result, rungs }))
  assert.deepEqual(result.problems, [])
  assert.ok(rungs.includes('compare'), rungs.join())
  assert.ok(result.gaps > 0 && result.collapsed > 0)
  assert.equal(snapshots, resources.length, 'those of the first start alone')
})

test('P6 a sink that is new at a restart has its snapshot of a quiet stream before the first bookmark of a minute', async () => {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using newcomer = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const config = (...sinks: readonly object[]) => ({
    state: { type: 'file', path: folder.path },
    sources: [{ name: 'all', resources: ['widgets.v1.example.com'], namespaces }],
    sinks: [webhook('audit', receiver.url), ...sinks],
  })
  const ended = ({ events }: FaultyReceiver) => events.some(({ type }) => type.includes('snapshot.end'))
  const first = await startBridge({ kubeconfig, config: config() })
  await using _ = first
  await eventually(() => ended(receiver), { what: 'its first snapshot' })
  assert.equal(await first.end('SIGTERM'), 0)
  await operate(server.admin, { count: 20, seed, namespaces }) // the server moves on, most of it elsewhere
  await using second = await startBridge({ kubeconfig, config: config(webhook('late', newcomer.url)) })
  await second.ready()
  await eventually(() => ended(newcomer), { what: 'the snapshot of the new sink' })
  const rungs = (await second.log()).flatMap(({ rung }) => (typeof rung === 'string' ? [rung] : []))
  assert.deepEqual(rungs, ['replay'])
  assert.equal(await second.end('SIGTERM'), 0)
})
