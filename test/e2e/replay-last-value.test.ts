/** A replay to a target that keeps the last event of each object must not take back what is so now. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import type { DeadLetterPage, ReplayResult } from '../../src/admin/dead-letters.ts'
import { Bridge } from '../../src/bridge.ts'
import { loadConfig, type SinkTypes } from '../../src/config/load.ts'
import { DeliveryError, defineSink, type OutboundEvent } from '../../src/delivery/sink.ts'
import { ApiClient } from '../../src/kube/api-client.ts'
import { loadKubeConfig } from '../../src/kube/kube-config.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { Workspace } from '../testbed/workspace.ts'

/** Keeps the last event of each key, but for those of the types that it refuses. */
class LastValues {
  readonly values = new Map<string, string>()
  refuses: string | undefined

  take({ key, attributes }: OutboundEvent): boolean {
    const [, name = ''] = /\.([a-z]+)\.v1$/.exec(attributes.type) ?? []
    if (name === this.refuses) return false
    this.values.set(key, `${name} ${attributes.id}`)
    return true
  }
}

function sinkTypes(target: LastValues): SinkTypes {
  const sink = defineSink({
    type: 'last',
    schema: { type: 'object', properties: {} },
    limits: () => ({
      maxEventBytes: 1e6,
      maxBatchEvents: 1,
      maxBatchBytes: 1e6,
      sizeOf: ({ dataBytes }) => dataBytes,
      sameKeyInBatch: false,
      concurrency: 1,
      keepsLast: true,
    }),
    create: () => ({
      connect: async () => undefined,
      deliver: async ([event]) =>
        event && !target.take(event) ? [{ index: 0, error: new DeliveryError('rejected', 'refused') }] : [],
      [Symbol.asyncDispose]: async () => undefined,
    }),
  })
  return { last: async () => ({ sink }) }
}

const configMap = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } })

test('a deleted whose name is taken again is refused, and sent once the name is free; so is what else is out of date', async () => {
  await using workspace = await Workspace.create('last')
  const file = join(workspace.folder, 'deltawire.yaml')
  const target = new LastValues()
  const config = {
    apiVersion: 'deltawire.io/v1',
    kind: 'Bridge',
    cluster: 'c',
    sources: [{ name: 'all', resources: ['configmaps'], namespaces: ['default'] }],
    routes: [{ name: 'changes', on: ['added', 'updated', 'deleted'], to: ['target'] }],
    sinks: [{ name: 'target', type: 'last' }],
  }
  await writeFile(file, JSON.stringify(config))
  await using simulator = await new Simulator().start()
  const clock = systemClock
  await using api = new ApiClient(loadKubeConfig({ master: simulator.url }), { clock })
  const bridge = await Bridge.create({
    config: await loadConfig({ file, env: {} }, sinkTypes(target)),
    api,
    metrics: new Metrics({ clock, version: 'test' }),
    logger: pino({ enabled: false }),
    stdout: process.stderr,
    env: {},
    clock,
    random: Math.random,
  })
  const stop = new AbortController()
  const running = bridge.run(stop.signal)
  try {
    await eventually(() => bridge.readiness().ok, { what: 'the bridge is ready' })
    const { deadLetters } = bridge
    const list = async (): Promise<DeadLetterPage['items']> => (await deadLetters.list({ limit: 100 })).items
    const kept = async (count: number) =>
      await eventually(async () => (await list()).length === count && (await list()), { what: `${count} are kept` })
    const holds = (key: string, text: string) =>
      eventually(() => target.values.get(`c/configmaps/default/${key}`)?.startsWith(text), { what: `${key}: ${text}` })
    const replay = async () => {
      const told: (readonly [string, string | undefined])[] = []
      const results: AsyncIterable<ReplayResult> = deadLetters.replay({ type: 'all' }, new AbortController().signal)
      for await (const { outcome, reason } of results) told.push([outcome, reason])
      return told.sort() // each comes when its fate is known
    }

    simulator.create(configMap('web'))
    await holds('web', 'added')
    target.refuses = 'deleted'
    simulator.delete(configMap('web'))
    await kept(1)
    target.refuses = undefined
    const { metadata } = simulator.create(configMap('web'))
    const alive = `added ${metadata.uid}:${metadata.resourceVersion}`
    await holds('web', alive)
    const taken = 'its name is taken again: that object would be deleted'
    assert.deepEqual(await replay(), [['refused', taken]])
    assert.equal(target.values.get('c/configmaps/default/web'), alive)

    target.refuses = 'added'
    simulator.create(configMap('late'))
    await kept(2)
    target.refuses = undefined
    simulator.update({ ...configMap('late'), data: { newer: 'yes' } })
    await holds('late', 'updated')
    const newer = 'there is a newer version of the object: it would be taken back'
    assert.deepEqual(await replay(), [
      ['refused', taken],
      ['refused', newer],
    ])

    simulator.delete(configMap('late'))
    simulator.delete(configMap('web'))
    await holds('late', 'deleted')
    await holds('web', 'deleted')
    assert.deepEqual(await replay(), [
      ['delivered', undefined],
      ['refused', 'the object is gone: it would be there again'],
    ])
    assert.equal((await list()).length, 1)
  } finally {
    stop.abort()
    await running
  }
})
