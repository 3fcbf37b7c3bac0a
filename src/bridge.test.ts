/** The whole bridge on the simulator: what its parts promise each other. The real API server is in test/e2e. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { eventually } from '../test/support/eventually.ts'
import { Bridge } from './bridge.ts'
import { loadConfig } from './config/load.ts'
import { Copy, type Decoded, decodeStructured } from './events/index.ts'
import { ApiClient } from './kube/api-client.ts'
import { loadKubeConfig } from './kube/kube-config.ts'
import { systemClock } from './lib/clock.ts'
import { Simulator, type SimulatorOptions } from './simulator/index.ts'
import { Metrics } from './telemetry/metrics.ts'

interface Options {
  readonly config: object
  readonly simulator?: SimulatorOptions
  /** What is there before the bridge starts. */
  readonly before?: (simulator: Simulator) => void
  /** Nobody reads what the sinks write. */
  readonly unread?: true
}

/** A simulator and a bridge that writes to its `stdout` sinks. */
class Stand implements AsyncDisposable {
  readonly simulator: Simulator
  readonly bridge: Bridge
  readonly events: Decoded[]
  readonly log: string[]
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  readonly #api: ApiClient

  private constructor(simulator: Simulator, api: ApiClient, bridge: Bridge, events: Decoded[], log: string[]) {
    this.simulator = simulator
    this.#api = api
    this.bridge = bridge
    this.events = events
    this.log = log
    this.#running = bridge.run(this.#stop.signal)
  }

  static async start({ config, simulator: options, before, unread }: Options): Promise<Stand> {
    const simulator = await new Simulator(options).start()
    before?.(simulator)
    const api = new ApiClient(loadKubeConfig({ master: simulator.url }))
    const folder = await mkdtemp(join(tmpdir(), 'deltawire-bridge-'))
    const file = join(folder, 'deltawire.yaml')
    await writeFile(file, JSON.stringify({ apiVersion: 'deltawire.io/v1', kind: 'Bridge', ...config }))
    const events: Decoded[] = []
    const log: string[] = []
    const stdout = unread ? new Writable({ write() {} }) : lines((line) => events.push(decodeStructured(line)))
    const bridge = await Bridge.create({
      config: await loadConfig({ file, env: {} }),
      api,
      metrics: new Metrics({ clock: systemClock, version: 'test' }),
      logger: pino({ level: 'info' }, { write: (line: string) => void log.push(line) }),
      stdout,
      env: {},
      clock: systemClock,
      random: Math.random,
    })
    await rm(folder, { recursive: true })
    return new Stand(simulator, api, bridge, events, log)
  }

  async until(what: string, probe: () => boolean): Promise<void> {
    await eventually(probe, { what, withinMs: 20_000 })
  }

  /** uid -> version, as a consumer that follows docs/events.md has it. */
  copy(): ReadonlyMap<string, string | undefined> {
    const copy = new Copy()
    for (const event of this.events) {
      const { completed } = copy.apply(event)
      assert.notEqual(completed?.digests, 'differ')
    }
    return new Map([...copy.objects()].map(({ uid, resourceVersion }) => [uid, resourceVersion]))
  }

  /** As SIGTERM does. */
  stop(): void {
    this.#stop.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await this.#running
    await this.#api[Symbol.asyncDispose]()
    await this.simulator[Symbol.asyncDispose]()
  }
}

function lines(take: (line: string) => void): NodeJS.WritableStream {
  let rest = ''
  return new Writable({
    write(chunk, _, done) {
      const all = `${rest}${chunk}`.split('\n')
      rest = all.pop() ?? ''
      for (const line of all) take(line)
      done()
    },
  })
}

const configMap = (name: string, value = '1') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data: { value },
})
const out = [{ name: 'out', type: 'stdout' }]
const types = (events: readonly Decoded[]) => events.map(({ attributes }) => attributes.type.split('.').at(-2))

test('one reflector serves every source that is about the same objects', async () => {
  await using stand = await Stand.start({
    config: {
      cluster: 'test',
      sources: [
        { name: 'a', resources: ['configmaps'] },
        { name: 'b', resources: ['configmaps'] },
      ],
      routes: [
        { name: 'a', from: ['a'], to: ['one'] },
        { name: 'b', from: ['b'], to: ['two'] },
      ],
      sinks: [
        { name: 'one', type: 'stdout' },
        { name: 'two', type: 'stdout' },
      ],
    },
  })
  await stand.until('both streams are synced', () => stand.bridge.readiness().ok)
  stand.simulator.create(configMap('x'))
  const of = (stream: string) => stand.events.filter(({ attributes }) => attributes.stream === stream)
  await stand.until('both have it', () => of('a/configmaps').length >= 3 && of('b/configmaps').length >= 3)
  assert.deepEqual(types(of('a/configmaps')), ['begin', 'end', 'added'])
  assert.deepEqual(types(of('b/configmaps')), ['begin', 'end', 'added'])
  assert.equal(stand.simulator.watches({ resource: 'configmaps' }).length, 1)
})

test('a cluster without a name is called by the uid of its namespace kube-system', async () => {
  await using stand = await Stand.start({ config: { sources: [{ resources: ['configmaps'] }], sinks: out } })
  await stand.until('something has arrived', () => stand.events.length > 0)
  const { uid } = stand.simulator.get({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kube-system' },
  }).metadata
  assert.equal(stand.events[0]?.attributes.source, `kubernetes://${uid}/api/v1/configmaps`)
})

test('F59 versions above 2^53 keep every digit', async () => {
  await using stand = await Stand.start({
    config: { cluster: 'test', sources: [{ resources: ['configmaps'] }], sinks: out },
    simulator: { firstRevision: 2n ** 60n },
  })
  await stand.until('the stream is synced', () => stand.bridge.readiness().ok)
  const { resourceVersion } = stand.simulator.create(configMap('x')).metadata
  await stand.until('it has arrived', () => stand.events.length === 3)
  assert.equal(stand.events[2]?.attributes.resourceversion, resourceVersion)
  assert.equal(stand.events[2]?.attributes.sequence, resourceVersion.padStart(20, '0'))
})

test('P9 a stream whose versions no sequence can hold says so and is tried again', async () => {
  await using stand = await Stand.start({
    config: { cluster: 'test', sources: [{ resources: ['configmaps'] }], sinks: out },
    simulator: { firstRevision: 10n ** 21n },
  })
  await stand.until('it says so', () => stand.log.some((line) => line.includes('has more than 20 digits')))
  const readiness = stand.bridge.readiness()
  assert.equal(readiness.ok, false)
  assert.match(readiness.checks[0]?.detail ?? '', /cannot order it/)
})

test('X8 F13 after a restored backup the consumer has what the server has', async () => {
  await using stand = await Stand.start({
    config: { cluster: 'test', sources: [{ resources: ['configmaps'], namespaces: ['default'] }], sinks: out },
    before: (simulator) => {
      for (let index = 0; index < 20; index++) simulator.create(configMap(`m${index}`))
    },
  })
  await stand.until('the stream is synced', () => stand.bridge.readiness().ok)
  const backup = stand.simulator.resourceVersion
  for (let index = 0; index < 10; index++) stand.simulator.delete(configMap(`m${index}`))
  for (let index = 10; index < 15; index++) stand.simulator.patch(configMap(`m${index}`), { data: { value: '2' } })
  stand.simulator.create(configMap('new'))
  await stand.until('it has arrived', () => stand.events.length >= 22 + 16)
  stand.simulator.restore(backup)
  stand.simulator.restart()
  const truth = () =>
    new Map(
      stand.simulator
        .list({ apiVersion: 'v1', kind: 'ConfigMap' })
        .filter(({ metadata }) => metadata.namespace === 'default')
        .map(({ metadata }) => [metadata.uid as string, metadata.resourceVersion as string]),
    )
  await stand.until('the gap is announced', () => types(stand.events).includes('gap'))
  await stand.until(
    'the snapshot is complete',
    () => types(stand.events).lastIndexOf('end') > types(stand.events).indexOf('gap'),
  )
  stand.simulator.patch(configMap('m0'), { data: { value: '3' } })
  await stand.until('the copy is right', () => {
    const copy = stand.copy()
    return [...truth()].every(([uid, version]) => copy.get(uid) === version)
  })
  assert.deepEqual(new Map([...stand.copy()].sort()), new Map([...truth()].sort()))
})

test('a sink that blocks says, when its queue is full, that it holds up its streams', async () => {
  await using stand = await Stand.start({
    config: {
      cluster: 'test',
      shutdown: { drain: '100ms' },
      sources: [{ resources: ['configmaps'] }],
      sinks: [{ name: 'out', type: 'stdout', queue: { events: 5, whenFull: 'block' } }],
    },
    before: (simulator) => {
      for (let index = 0; index < 20; index++) simulator.create(configMap(`m${index}`))
    },
    unread: true,
  })
  await stand.until('it says so', () => stand.log.some((line) => line.includes('the queue of the sink is full')))
  const [check] = stand.bridge.readiness().checks.filter(({ name }) => name === 'sink out')
  assert.match(check?.detail ?? '', /its queue is full, 1 streams wait/)
})

test('a bridge that is stopped while a queue is full says at once what it drains, not when the deadline is over', async () => {
  await using stand = await Stand.start({
    config: {
      cluster: 'test',
      shutdown: { drain: '100ms' },
      sources: [{ resources: ['configmaps'] }],
      sinks: [{ name: 'out', type: 'stdout', queue: { events: 5, whenFull: 'block' } }],
    },
    before: (simulator) => {
      for (let index = 0; index < 20; index++) simulator.create(configMap(`m${index}`))
    },
    unread: true,
  })
  await stand.until('the stream waits', () =>
    stand.bridge.summary().sinks.some(({ blockedOffers }) => blockedOffers > 0),
  )
  stand.stop()
  const line = JSON.parse(stand.log.at(-1) ?? '{}')
  assert.deepEqual(
    {
      message: line.msg,
      sink: line.sink,
      events: line.events,
      blockedOffers: line.blockedOffers,
      deadline: line.deadline,
    },
    { message: 'draining', sink: 'out', events: 5, blockedOffers: 1, deadline: '100ms' },
  )
})

const widgetDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
}
const gizmo = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'gizmo', namespace: 'default' } }
const widgets = {
  config: { cluster: 'test', sources: [{ resources: ['widgets.example.com'] }], sinks: out },
  before: (simulator: Simulator) => {
    simulator.create(widgetDefinition)
    simulator.create(gizmo)
  },
}

test('a custom resource that goes and comes back is followed', async () => {
  await using stand = await Stand.start(widgets)
  await stand.until('it is watched', () => stand.simulator.watches({ resource: 'widgets' }).length === 1)
  stand.simulator.delete(widgetDefinition)
  await stand.until('its objects are gone', () => types(stand.events).includes('deleted'))
  stand.simulator.create(widgetDefinition)
  const again = stand.simulator.create(gizmo)
  await stand.until('the new one has arrived', () => stand.copy().has(again.metadata.uid))
  assert.deepEqual([...stand.copy().keys()], [again.metadata.uid])
})

test('P3 X11 F16 a custom resource that goes while nobody watches takes its objects with it', async () => {
  await using stand = await Stand.start(widgets)
  await stand.until('it is watched', () => stand.simulator.watches({ resource: 'widgets' }).length === 1)
  // no watch can be opened until the definition is gone
  using refusing = stand.simulator.faults.inject({ verb: 'watch' }, { type: 'reset' })
  for (const watch of stand.simulator.watches({ resource: 'widgets' })) watch.reset()
  stand.simulator.delete(widgetDefinition)
  refusing[Symbol.dispose]()
  await stand.until('its objects are gone', () => types(stand.events).includes('deleted'))
  assert.deepEqual([...stand.copy()], [])
  assert.equal(
    stand.events.find(({ attributes }) => attributes.type.includes('deleted'))?.attributes.observed,
    'relist',
  )
  stand.simulator.create(widgetDefinition)
  const again = stand.simulator.create(gizmo)
  await stand.until('the new one has arrived', () => stand.copy().has(again.metadata.uid))
})

test('another name of a resource is refused, with the one to write', async () => {
  await using stand = await Stand.start({
    config: { cluster: 'test', sources: [{ resources: ['po'] }], sinks: out },
  })
  await stand.until('it says so', () => stand.log.some((line) => line.includes('write that in the configuration')))
  assert.match(stand.bridge.readiness().checks[0]?.detail ?? '', /po is another name of pods/)
})
