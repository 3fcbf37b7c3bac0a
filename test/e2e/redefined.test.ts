/** A configuration that has changed while the bridge was stopped, with a state on disk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../../src/journal/testing/kit.ts'
import { Simulator } from '../../src/simulator/index.ts'
import { eventually } from '../support/eventually.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { webhook } from './support/stand.ts'

const names = ['a', 'b', 'c', 'd']

/** What was told, in short: the last part of its type, and the object's name or the gap's cause. */
function short({ type, name, data }: ReceivedEvent): string {
  const { gap, snapshot } = data as Readonly<Record<string, { readonly cause?: string; readonly reason?: string }>>
  return `${type.split('.').at(-2)} ${gap?.cause ?? snapshot?.reason ?? String(name)}`
}

/** Two lives over one state; returns what each sink was told in the second one. */
async function restart(first: object, second: object) {
  await using simulator = await new Simulator({ seed: 1 }).start()
  for (const [index, name] of names.entries()) {
    const metadata = { name, namespace: 'default', labels: { team: index % 2 ? 'pay' : 'shop' } }
    simulator.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata })
  }
  await using folder = await temporaryFolder()
  await using all = await FaultyReceiver.start()
  await using part = await FaultyReceiver.start()
  const base = {
    state: { type: 'file', path: folder.path },
    sources: [{ name: 's', resources: ['configmaps'], namespaces: ['default'] }],
    sinks: [webhook('all', all.url), webhook('part', part.url)],
  }
  const live = async (config: object, ended: (received: FaultyReceiver) => boolean, what: string) => {
    await using bridge = await startBridge({ config: { ...base, ...config }, args: ['--master', simulator.url] })
    await bridge.ready()
    await eventually(() => ended(part), { what })
    assert.equal(await bridge.end('SIGTERM'), 0)
  }
  const ends = ({ events }: FaultyReceiver) => events.filter(({ type }) => type.includes('snapshot.end')).length
  await live(first, (receiver) => ends(receiver) === 1, 'its first snapshot')
  const known = { all: all.events.length, part: part.events.length }
  await live(second, (receiver) => ends(receiver) === 2, 'what it is owed')
  return { all: all.events.slice(known.all), part: part.events.slice(known.part) }
}

const routes = (where: string) => [
  { name: 'whole', to: ['all'] },
  { name: 'team', to: ['part'], where: `object.metadata.labels.team == '${where}'` },
]

test('a sink whose where has changed is told what left and what there is, and the one beside it nothing', async () => {
  const { all, part } = await restart({ routes: routes('shop') }, { routes: routes('pay') })
  assert.deepEqual(all, [])
  const told = part.map(short)
  assert.deepEqual([told[0], told.at(-1)], ['gap redefined', 'end gap'])
  // a begin waits for nothing, so that deletes may arrive behind it
  assert.deepEqual(told.slice(1, -1).sort(), ['begin gap', 'deleted a', 'deleted c', 'item b', 'item d'])
  assert.ok(part.filter(({ type }) => type.includes('deleted')).every(({ id }) => id.endsWith(':left')))
})

test('under another name of the cluster each stream begins anew: nobody has a copy of that source', async () => {
  const { all } = await restart({ cluster: 'one' }, { cluster: 'two' })
  const told = all.map(short)
  assert.deepEqual([...told.slice(0, 2), told.at(-1)], ['gap redefined', 'begin gap', 'end gap'])
  assert.deepEqual(
    told.slice(2, -1).sort(),
    names.map((name) => `item ${name}`),
  )
  assert.deepEqual(new Set(all.map(({ source }) => source)), new Set(['kubernetes://two/api/v1/configmaps']))
})
