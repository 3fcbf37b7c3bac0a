/** An hour without the receiver, on a clock that the test moves: real API server, real connections, the whole bridge. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Bridge } from '../../src/bridge.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ApiClient } from '../../src/kube/api-client.ts'
import { loadKubeConfig } from '../../src/kube/kube-config.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { ManualClock } from '../../src/lib/manual-clock.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { compare } from '../e2e/support/oracle.ts'
import { operate, prefixes, resources } from '../e2e/support/random-operations.ts'
import { startCluster, webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import { Workspace } from '../testbed/workspace.ts'
import { newSeed } from './support/fault-stand.ts'

const namespaces = ['shop']
const MINUTE = 60_000
const QUEUE = 2_000
/** Less than an attempt may take: none ends because time leaps. */
const STEP_MS = 10_000

test('F52 an hour without the sink: nothing is given up, its queue is bounded, and half a minute after its return it gets all', async (t) => {
  const seed = newSeed(t)
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using workspace = await Workspace.create('hour')
  const file = join(workspace.folder, 'deltawire.yaml')
  const config = {
    ...{ apiVersion: 'deltawire.io/v1', kind: 'Bridge', cluster: 'test' },
    sources: [{ name: 'all', resources, namespaces }],
    sinks: [webhook('receiver', receiver.url, { queue: { events: QUEUE }, retry: { giveUpAfter: '10m' } })],
  }
  await writeFile(file, JSON.stringify(config))
  const clock = new ManualClock()
  const metrics = new Metrics({ clock, version: 'test' })
  const lines: { readonly key?: string; readonly state?: string; readonly beforeSeconds?: number }[] = []
  const logger = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(JSON.parse(line)) })
  const kubeConfig = loadKubeConfig({ kubeconfig: await server.kubeconfig() })
  await using api = new ApiClient(kubeConfig, { clock: systemClock })
  const bridge = await Bridge.create({
    ...{ config: await loadConfig({ file, env: {} }), api, metrics, logger, clock },
    ...{ stdout: process.stderr, env: {}, random: Math.random },
  })
  const stop = new AbortController()
  let ended = false
  const running = bridge.run(stop.signal).finally(() => {
    ended = true
  })
  const sink = () => bridge.summary().sinks[0]
  /** Time passes, and what is under way ends before more of it does. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await clock.advance(Math.min(left, STEP_MS))
      await eventually(() => sink()?.inFlight === 0, { what: 'nothing is under way' })
    }
  }
  /** Small steps, until it is so. */
  const until = async (is: () => boolean, what: string) =>
    await eventually(
      async () => {
        await clock.advance(100)
        return is()
      },
      { what },
    )
  try {
    await until(() => bridge.readiness().ok, 'the bridge is ready')
    const recorder = await server.record()
    const write = (count: number, round: number) => operate(server.admin, { count, seed: seed + round, namespaces })
    const all = async () => recorder.until(await server.revision(), ...prefixes)
    await write(100, 0)
    const before = await all()
    await until(() => compare(before, receiver.events).problems.length === 0, 'all has arrived')

    receiver.answer = () => ({ type: 'refuse', status: 503 })
    let most = 0
    for (let minute = 0; minute < 60; minute += 5) {
      await write(100, minute + 1)
      await pass(5 * MINUTE)
      most = Math.max(most, sink()?.queueEvents ?? 0)
    }
    assert.ok(most > 0 && most <= QUEUE, `the queue held ${most}`)
    const readiness = bridge.readiness()
    const [detail] = readiness.checks.filter(({ name }) => name === 'sink receiver')
    assert.ok(readiness.ok && /degraded: 127.0.0.1:\d+ answered 503/.test(detail?.detail ?? ''), detail?.detail)
    assert.ok((sink()?.oldestAgeMs ?? 0) > 59 * MINUTE)
    const probes = receiver.answered.get('503') ?? 0
    assert.ok(probes > 110 && probes < 400, `it is asked every 30 s at the latest, and not much more often: ${probes}`)

    receiver.answer = () => ({ type: 'take' })
    const history = await all()
    const back = clock.monotonic()
    await pass(33_000) // a tenth is left to chance
    await until(() => sink()?.queueEvents === 0, 'all is delivered')
    const result = compare(history, receiver.events)
    t.diagnostic(JSON.stringify({ ...result, most, probes, caughtUpMs: clock.monotonic() - back }))
    assert.deepEqual(result.problems, [])
    assert.equal(result.delivered + result.collapsed, result.versions)
    assert.deepEqual([result.duplicates, result.gaps], [0, 0])
    assert.equal((await bridge.deadLetters.list({ limit: 1 })).store.events, 0)
    const told = lines.filter(({ key }) => key === 'sink receiver')
    assert.deepEqual(
      told.map(({ state }) => state),
      ['healthy', 'unavailable', 'healthy'],
    )
    assert.ok((told.at(-1)?.beforeSeconds ?? 0) >= 59 * 60, 'the line says how long it was away')
  } finally {
    stop.abort()
    await until(() => ended, 'the bridge has ended')
    await running
  }
})
