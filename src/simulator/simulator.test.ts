import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { widget, widgetDefinition } from './scenario-objects.ts'
import { type ObjectInput, Simulator } from './simulator.ts'

const configMap = (name: string): ObjectInput => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'default', name },
})
const reference = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name } })
const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }

function names(simulator: Simulator, kind: string, apiVersion = 'v1'): readonly string[] {
  return simulator.list({ apiVersion, kind }).map(({ metadata }) => metadata.name)
}

test('the same seed gives the same uids and names, another seed others', () => {
  const made = (seed: number) => {
    const { metadata } = new Simulator({ seed }).create({
      ...configMap(''),
      metadata: { namespace: 'default', generateName: 'a-' },
    })
    return [metadata.uid, metadata.name]
  }
  assert.deepEqual(made(7), made(7))
  assert.notDeepEqual(made(7), made(8))
})

test('versions beyond 2^53 are exact', () => {
  const simulator = new Simulator({ firstRevision: 2n ** 64n })
  const { resourceVersion } = simulator.create(configMap('a')).metadata
  assert.equal(BigInt(resourceVersion), 2n ** 64n + 5n)
  assert.equal(simulator.resourceVersion, resourceVersion)
})

test('what a caller gets or gave is not what is stored', () => {
  const simulator = new Simulator()
  const data = { k: 'v' }
  const created = simulator.create({ ...configMap('a'), data })
  data.k = 'changed'
  Object.assign(created, { data })
  assert.deepEqual(simulator.get(reference('a')).data, { k: 'v' })
})

test('members that are undefined are as if they were not there', () => {
  const simulator = new Simulator()
  const created = simulator.create({ ...configMap('a'), data: { k: 'v', l: undefined } })
  assert.deepEqual(simulator.patch(reference('a'), { data: { l: undefined } }), created)
})

test('a kind that is not served is refused by name, with the kinds that are', () => {
  const simulator = new Simulator()
  assert.throws(
    () => simulator.create(widget('default', 'a', 1)),
    /no Widget in example.com\/v1; it serves ConfigMap \(configmaps\)/,
  )
  simulator.create(widgetDefinition)
  simulator.create(widget('default', 'a', 1))
  assert.deepEqual(names(simulator, 'Widget', 'example.com/v1'), ['a'])
})

test('a definition that comes again after its deletion begins without objects', () => {
  const simulator = new Simulator()
  simulator.create(widgetDefinition)
  simulator.create(widget('default', 'a', 1))
  simulator.delete({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
  })
  assert.throws(() => simulator.list({ apiVersion: 'example.com/v1', kind: 'Widget' }), /serves no Widget/)
  simulator.create(widgetDefinition)
  assert.deepEqual(names(simulator, 'Widget', 'example.com/v1'), [])
})

test('a deleted namespace takes its objects with it, a moment later', async () => {
  const clock = new ManualClock()
  const simulator = new Simulator({ clock })
  simulator.create(namespace)
  simulator.create({ ...configMap('a'), metadata: { namespace: 'shop', name: 'a' } })
  assert.equal((simulator.delete(namespace).status as { phase: string }).phase, 'Terminating')
  assert.deepEqual(names(simulator, 'ConfigMap'), ['a'])
  await clock.advance(1_000)
  assert.deepEqual(names(simulator, 'ConfigMap'), [])
  assert.ok(!names(simulator, 'Namespace').includes('shop'))
})

test('a namespace stays until the finalizer of its last object is removed', async () => {
  const clock = new ManualClock()
  const simulator = new Simulator({ clock })
  simulator.create(namespace)
  const held = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'shop', name: 'a', finalizers: ['example.com/hold'] },
  }
  simulator.create(held)
  simulator.delete(namespace)
  await clock.advance(1_000)
  assert.ok(names(simulator, 'Namespace').includes('shop'))
  simulator.patch(held, { metadata: { finalizers: null } })
  assert.ok(!names(simulator, 'Namespace').includes('shop'))
})

test('a pod that runs on a node is terminating first, and gone when it is deleted without grace', () => {
  const simulator = new Simulator({ clock: new ManualClock('2026-01-01T00:00:00Z') })
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: 'a' } }
  simulator.create({ ...pod, spec: { nodeName: 'n1', terminationGracePeriodSeconds: 30 } })
  const { deletionTimestamp } = simulator.delete(pod).metadata
  assert.equal(deletionTimestamp, '2026-01-01T00:00:30Z')
  simulator.delete(pod, { gracePeriodSeconds: 0 })
  assert.deepEqual(names(simulator, 'Pod'), [])
})

test('restore brings back what was deleted, takes what came later, and gives its versions out again', () => {
  const simulator = new Simulator()
  simulator.create(configMap('a'))
  const { resourceVersion } = simulator
  simulator.delete(reference('a'))
  const later = simulator.create(configMap('b'))
  simulator.create(widgetDefinition)
  simulator.restore(resourceVersion)
  assert.deepEqual([names(simulator, 'ConfigMap'), simulator.resourceVersion], [['a'], resourceVersion])
  assert.throws(() => simulator.list({ apiVersion: 'example.com/v1', kind: 'Widget' }), /serves no Widget/)
  simulator.create(configMap('c'))
  const again = simulator.create(configMap('d'))
  assert.equal(again.metadata.resourceVersion, later.metadata.resourceVersion)
  assert.notEqual(again.metadata.uid, later.metadata.uid)
})

test('there is no url before start', () => {
  assert.throws(() => new Simulator().url, /no url before start/)
})
