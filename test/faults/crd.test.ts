/** Definitions of custom resources that go, come back and change while the bridge watches them, on a real API server. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { startCluster, webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import { Workspace } from '../testbed/workspace.ts'
import { Converter } from './support/converter.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const namespaces = ['gone', 'removed', 'gone-while-down', 'moved', 'unserved', 'unserved-while-down', 'slow'] as const
let server: TestApiServer
let workspace: Workspace

before(async () => {
  server = await startCluster(namespaces)
  workspace = await Workspace.create('crd')
})
after(async () => {
  await workspace?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const widgetsIn = (namespace: string) => `/apis/example.com/v1/namespaces/${namespace}/widgets`

async function createWidget(namespace: string, name: string): Promise<string> {
  const widget = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name }, spec: {} }
  // a definition that is young refuses for a moment
  const created = () => server.admin.create(widgetsIn(namespace), widget)
  const { metadata } = await eventually(created, { what: `widget ${name} is created` })
  return String(metadata.uid)
}

/** Resolves when it is not served any more. */
async function removeWidgets(): Promise<void> {
  await server.admin.delete(`${DEFINITIONS}/widgets.example.com`)
  const isGone = async () => {
    const groups = (await server.admin.get('/apis')) as { readonly groups?: readonly { readonly name: string }[] }
    return !groups.groups?.some(({ name }) => name === 'example.com')
  }
  await eventually(isGone, { what: 'the widgets are gone' })
}

const idsOf = (receiver: FaultyReceiver) => receiver.events.map(({ id }) => String(id))

test('F16 a definition that is removed takes its objects with it, each with its deleted; created again, its stream starts by itself', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'gone', seed: newSeed(t) })
  await stand.write(60)
  const old = [await createWidget('gone', 'one'), await createWidget('gone', 'two')]
  await removeWidgets()
  const deleted = () => old.every((uid) => idsOf(receiver).includes(`${uid}:deleted`))
  await eventually(deleted, { what: 'each is deleted' })
  await server.admin.createWidgets()
  await createWidget('gone', 'one')
  await stand.write(40)

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
})

test('F16 a definition that is removed while the bridge is down, and is not created again: a deleted for each object, and the stream starts when it is back', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const state = { type: 'file', path: join(workspace.folder, 'removed') }
  const sinks = [webhook('receiver', receiver.url, { retry })]
  const namespace = 'removed'
  await using stand = await FaultStand.start(sinks, { server, namespace, config: { state }, seed: newSeed(t) })
  await stand.write(40)
  const old = [await createWidget(namespace, 'one'), await createWidget(namespace, 'two')]
  await stand.arrived(() => receiver.events)
  await stand.restart('SIGTERM', removeWidgets)
  const deleted = () => old.every((uid) => idsOf(receiver).includes(`${uid}:deleted`))
  await eventually(deleted, { what: 'each is deleted' })
  await stand.arrived(() => receiver.events)
  await server.admin.createWidgets()
  await createWidget(namespace, 'one')

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
})

test('F16 a definition that is removed and created again while the bridge is down: a deleted for each object that there was', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const state = { type: 'file', path: join(workspace.folder, 'state') }
  const sinks = [webhook('receiver', receiver.url, { retry })]
  const namespace = 'gone-while-down'
  await using stand = await FaultStand.start(sinks, { server, namespace, config: { state }, seed: newSeed(t) })
  await stand.write(40)
  const old = [await createWidget(namespace, 'one'), await createWidget(namespace, 'two')]
  await stand.arrived(() => receiver.events)
  await stand.restart('SIGTERM', async () => {
    await removeWidgets()
    await server.admin.createWidgets()
    await createWidget(namespace, 'one')
  })
  await stand.bridge.ready()
  const deleted = () => old.every((uid) => idsOf(receiver).includes(`${uid}:deleted`))
  await eventually(deleted, { what: 'each is deleted' })
  await stand.write(40)

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
})

function version(name: string, stored: string) {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  return { name, served: true, storage: name === stored, subresources: { status: {} }, schema }
}

/** Served in v1 and v2, kept in one of them. */
async function defineBoth(stored: 'v1' | 'v2', conversion: object = { strategy: 'None' }): Promise<void> {
  const versions = [version('v1', stored), version('v2', stored)]
  await server.admin.patch(`${DEFINITIONS}/widgets.example.com`, { spec: { versions, conversion } })
  const served = async () => (await server.admin.get('/apis/example.com/v2')) !== undefined
  await eventually(served, { what: 'both versions are served' })
}

/** Defined in both, served in one. */
async function serveOnly(name: 'v1' | 'v2'): Promise<void> {
  const versions = ['v1', 'v2'].map((one) => ({ ...version(one, name), served: one === name }))
  await server.admin.patch(`${DEFINITIONS}/widgets.example.com`, { spec: { versions } })
  const servedIn = async () => {
    const { groups } = (await server.admin.get('/apis')) as { readonly groups?: readonly ApiGroup[] }
    return groups?.find((group) => group.name === 'example.com')?.versions.map(({ version }) => version)
  }
  await eventually(async () => String(await servedIn()) === name, { what: `${name} alone is served` })
}

interface ApiGroup {
  readonly name: string
  readonly versions: readonly { readonly version: string }[]
}

const typesOf = (events: readonly ReceivedEvent[], uid: string) =>
  events.filter((event) => event.uid === uid).map(({ type }) => type.split('.').at(-2))

test('F17 a storage version that moves, and objects that are written again in it: nothing is added or deleted for that', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'moved', seed: newSeed(t) })
  const uids = [await createWidget('moved', 'one'), await createWidget('moved', 'two')]
  await stand.write(60)
  await stand.arrived(() => receiver.events)
  await defineBoth('v2')
  for (const name of ['one', 'two']) {
    const path = `${widgetsIn('moved')}/${name}`
    await server.admin.replace(path, await server.admin.get(path))
  }
  await stand.write(40)

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  // as themselves, or as what is left of a gap: the server forgets what it was when the definition changes
  for (const uid of uids) assert.deepEqual(typesOf(receiver.events, uid), ['added', 'updated'])
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
  await defineBoth('v1')
})

test('F17 a version that is not served any more: a source without one goes on in the other, with a full snapshot and no deletes', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const sinks = [webhook('receiver', receiver.url, { retry })]
  const namespace = 'unserved'
  await serveOnly('v1')
  const config = { sources: [{ name: 'all', resources: ['widgets.example.com'], namespaces: [namespace] }] }
  await using stand = await FaultStand.start(sinks, { server, namespace, config, seed: newSeed(t) })
  const [same, changed, gone] = [
    await createWidget(namespace, 'same'),
    await createWidget(namespace, 'changed'),
    await createWidget(namespace, 'gone'),
  ]
  const told = (uid: string) => typesOf(receiver.events, uid)
  await eventually(() => told(gone).length > 0, { what: 'they have arrived' })
  await serveOnly('v2')
  const inV2 = (name: string) => `${widgetsIn(namespace).replace('v1', 'v2')}/${name}`
  await server.admin.delete(inV2('gone'))
  await eventually(() => told(gone).includes('deleted'), { what: 'what goes meanwhile is deleted' })
  await eventually(() => told(same).includes('item'), { what: 'there is a snapshot' })
  await server.admin.patch(inV2('changed'), { spec: { color: 'red' } })
  await eventually(() => told(changed).includes('updated'), { what: 'it goes on' })

  assert.deepEqual(told(same), ['added', 'item'])
  assert.deepEqual(told(changed), ['added', 'item', 'updated'])
  const last = receiver.events.findLast(({ uid }) => uid === changed)
  assert.equal(last?.apiversion, 'example.com/v2')
  assert.doesNotMatch((await stand.bridge.get('/readyz')).body, /degraded/)
  await defineBoth('v1')
  await eventually(async () => (await server.admin.get(widgetsIn(namespace))) !== undefined, { what: 'v1 is back' })
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
})

test('F17 a version that is not served any more since the bridge was stopped: the copy is made anew in the other, and what went is deleted', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const namespace = 'unserved-while-down'
  await serveOnly('v1')
  const state = { type: 'file', path: join(workspace.folder, namespace) }
  const config = { state, sources: [{ name: 'all', resources: ['widgets.example.com'], namespaces: [namespace] }] }
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace, config, seed: newSeed(t) })
  const [same, gone] = [await createWidget(namespace, 'same'), await createWidget(namespace, 'gone')]
  const told = (uid: string) => typesOf(receiver.events, uid)
  await eventually(() => told(gone).length > 0 && told(same).length > 0, { what: 'they have arrived' })
  await stand.restart('SIGTERM', async () => {
    await serveOnly('v2')
    await server.admin.delete(`${widgetsIn(namespace).replace('v1', 'v2')}/gone`)
  })
  await eventually(() => told(same).includes('item'), { what: 'there is a snapshot' })

  assert.ok(idsOf(receiver).includes(`${gone}:deleted`))
  const last = receiver.events.findLast(({ uid }) => uid === same)
  assert.equal(last?.apiversion, 'example.com/v2')
  await stand.endsInOrder('receiver')
  await defineBoth('v1')
  await eventually(async () => (await server.admin.get(widgetsIn(namespace))) !== undefined, { what: 'v1 is back' })
  await stand.copied(() => receiver.events)
})

test('F18 a conversion webhook that fails, then one that does not answer, holds up its own resource only; in the end nothing is missing', async (t) => {
  await using receiver = await FaultyReceiver.start()
  await using converter = await Converter.start()
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'slow', seed: newSeed(t) })
  await stand.write(40)
  await stand.arrived(() => receiver.events)
  const has = (name: string) => receiver.events.some(({ subject }) => subject === `slow/${name}`)
  const createConfigMap = (name: string) =>
    server.admin.create('/api/v1/namespaces/slow/configmaps', { metadata: { name } })

  converter.fails = true
  await defineBoth('v2', converter.conversion)
  const isTold = async () => /stream all\/widgets.*degraded/.test((await stand.bridge.get('/readyz')).body)
  await eventually(isTold, { what: 'it says what is wrong' })
  await createConfigMap('while-it-fails')
  await eventually(() => has('while-it-fails'), { what: 'other resources go on' })
  converter.fails = false
  await createWidget('slow', 'after-that')
  await eventually(() => has('after-that'), { what: 'it goes on' })

  converter.hold()
  // of the version that is kept: only who watches the other one has it converted
  const held = { apiVersion: 'example.com/v2', kind: 'Widget', metadata: { name: 'held' }, spec: {} }
  await server.admin.create('/apis/example.com/v2/namespaces/slow/widgets', held)
  await eventually(() => converter.waiting > 0, { what: 'it is asked' })
  await createConfigMap('meanwhile')
  await eventually(() => has('meanwhile'), { what: 'other resources go on' })
  assert.ok(!has('held'))
  converter.release()

  await stand.write(40)
  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
})
