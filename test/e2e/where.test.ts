/** Sinks that see a part of the cluster: their events are those of a cluster that holds nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../../src/journal/testing/kit.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { compare } from './support/oracle.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { assertCopied, sorted } from './support/reference-copy.ts'
import { startCluster, webhook } from './support/stand.ts'

const namespaces = ['shop']
const isEven = 'int(object.metadata.labels.value) % 2 == 0'

interface Labelled {
  readonly kind: string
  readonly metadata: { readonly labels: { readonly value: string } }
}

/** The same as the routes below say. */
function isMember({ kind, metadata }: Labelled): boolean {
  return kind !== 'Widget' && Number(metadata.labels.value) % 2 === 0
}

/** The changes that those who see only members are told of, made from those that everybody is told of. */
function crossings(all: readonly ReceivedEvent[]): readonly string[] {
  const members = new Set<unknown>()
  return changesOf(all).flatMap(({ id, type, uid, sequence, data }) => {
    const was = members.delete(uid)
    if (type.includes('deleted')) return was ? [`deleted ${id}`] : []
    const { object } = data as { readonly object: Labelled }
    if (!isMember(object)) return was ? [`deleted ${String(uid)}:${String(sequence)}:left`] : []
    members.add(uid)
    return [`${was ? 'updated' : 'added'} ${id}`]
  })
}

/** Each once, without items. */
function changesOf(events: readonly ReceivedEvent[]): readonly ReceivedEvent[] {
  const ids = new Set<string>()
  return events.filter(({ source, id, type }) => {
    const isNew = !ids.has(`${source} ${id}`)
    ids.add(`${source} ${id}`)
    return isNew && /\.(added|updated|deleted)\./.test(type)
  })
}

function told(events: readonly ReceivedEvent[]): readonly string[] {
  return changesOf(events).map(({ type, id }) => `${type.split('.').at(-2)} ${id}`)
}

function byObject(changes: readonly string[]): readonly string[] {
  const uidOf = (change: string) => change.split(' ')[1]?.split(':')[0] ?? ''
  // a stable sort keeps each object's order
  return [...changes].sort((a, b) => uidOf(a).localeCompare(uidOf(b)))
}

/** uid -> resourceVersion of the members, by what everybody was told. */
function membersOf(all: readonly ReceivedEvent[]): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  for (const { type, uid, resourceversion, data } of changesOf(all)) {
    members.delete(String(uid))
    if (type.includes('deleted')) continue
    if (isMember((data as { readonly object: Labelled }).object)) members.set(String(uid), String(resourceversion))
  }
  return sorted(members)
}

/** Operations before and after a kill, and while nobody watched. */
async function watchParts(seed: number, meanwhile: (server: TestApiServer) => Promise<void>) {
  await using server = await startCluster(namespaces)
  await using all = await FaultyReceiver.start()
  await using part = await FaultyReceiver.start()
  await using folder = await temporaryFolder()
  const kubeconfig = await server.kubeconfig()
  const queue = { whenFull: 'block' }
  const config = {
    state: { type: 'file', path: folder.path },
    sources: [{ name: 'all', resources, namespaces, resync: { every: '1s', snapshot: 'full' } }],
    routes: [
      { name: 'everything', to: ['all'] },
      { name: 'pods', where: `object.kind == 'Pod' && ${isEven}`, to: ['part'], payload: { shape: 'reference' } },
      { name: 'maps', where: `object.kind == 'ConfigMap' && ${isEven}`, to: ['part'] },
    ],
    sinks: [webhook('all', all.url, { queue }), webhook('part', part.url, { queue })],
  }
  const recorder = await server.record()
  const write = (n: number, count: number) => operate(server.admin, { count, seed: seed + n, namespaces })
  await using first = await startBridge({ kubeconfig, config })
  await first.ready()
  await write(1, 300)
  await first.end('SIGKILL')
  await write(2, 200)
  await meanwhile(server)
  await using second = await startBridge({ kubeconfig, config })
  await second.ready()
  await write(3, 300)
  const history = await recorder.until(await server.revision(), ...prefixes)
  await eventually(() => compare(history, all.events).problems.length === 0, { what: 'one sink has everything' })
  const members = membersOf(all.events)
  const ends = () => part.events.filter(({ type }) => type.includes('snapshot.end')).length
  const ended = ends()
  await eventually(() => ends() >= ended + 2 * resources.length, {
    what: 'a snapshot of each stream after the last change',
  })
  const copied = await assertCopied(part.events, members)
  assert.ok(copied.matching >= resources.length, 'digests are those of the members')
  assert.equal(await second.end('SIGTERM'), 0)
  return { all: all.events, part: part.events, copied }
}

const seed = Math.floor(Math.random() * 1e6)

test('a sink with where gets, over a kill -9 too, exactly the events of a cluster that holds only the members', async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { all, part, copied } = await watchParts(seed, async () => {})
  const expected = crossings(all)
  const count = (what: RegExp) => expected.filter((change) => what.test(change)).length
  t.diagnostic(JSON.stringify({ ...copied, changes: expected.length, left: count(/:left$/), entered: count(/^added/) }))
  assert.deepEqual(byObject(told(part)), byObject(expected))
  assert.ok(count(/:left$/) > 20 && count(/^updated/) > 20)
  const shapes = new Set(
    part.flatMap(({ kind, dataschema }) => (kind ? [`${String(kind)} ${String(dataschema)}`] : [])),
  )
  assert.deepEqual(
    shapes,
    new Set(['Pod urn:deltawire:schema:reference:v1', 'ConfigMap urn:deltawire:schema:object:v1']),
  )
})

test('a sink with where holds exactly the members after a kill -9 whose missed history was compacted away', async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { part, copied } = await watchParts(seed, async (server) => {
    await server.compact()
    await server.kill() // its watch cache begins anew
    await server.start()
  })
  t.diagnostic(JSON.stringify(copied))
  assert.ok(part.some(({ type }) => type.includes('stream.gap')))
})
