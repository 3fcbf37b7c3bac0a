/** A consumer that follows docs/events.md has what the cluster has, and the digests prove it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Completion, Copy, decodeStructured } from '../../src/events/index.ts'
import { eventually } from '../support/eventually.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { operate, prefixes, resources } from './support/random-operations.ts'
import { assertCopied, sorted, stateOf } from './support/reference-copy.ts'
import { startCluster, webhook } from './support/stand.ts'

const namespaces = ['shop', 'pay']

test('P6 I1 after every snapshot under load the digests match, and in the end the copy equals the cluster', async (t) => {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  const recorder = await server.record()
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  // the bridge finds objects that are there already
  await operate(server.admin, { count: 200, seed, namespaces })
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces, resync: { every: '1s', snapshot: 'full' } }],
      sinks: [webhook('copy', receiver.url)],
    },
  })
  await bridge.ready()
  await operate(server.admin, { count: 1500, seed: seed + 1, namespaces })
  const truth = stateOf(await recorder.until(await server.revision(), ...prefixes))

  const copy = new Copy()
  const completions: Completion[] = []
  let applied = 0
  const catchUp = () => {
    for (const { data, ...attributes } of receiver.events.slice(applied)) {
      const { completed } = copy.apply(decodeStructured(JSON.stringify({ ...attributes, data })))
      if (completed) completions.push(completed)
      applied++
    }
    return isSame(truth, copyOf(copy))
  }
  await eventually(catchUp, { what: 'the copy has everything' }).catch(() => undefined) // compared below
  assert.deepEqual(copyOf(copy), truth)
  const end = completions.length
  await eventually(() => catchUp() && completions.length >= end + resources.length * namespaces.length, {
    what: 'one more snapshot of each',
  })
  const differing = completions.filter(({ digests }) => digests === 'differ')
  const matching = completions.filter(({ digests }) => digests === 'match').length
  t.diagnostic(JSON.stringify({ events: applied, objects: truth.size, snapshots: completions.length, matching }))
  assert.deepEqual(differing, [])
  assert.ok(matching >= resources.length * namespaces.length)
  const reference = await assertCopied(receiver.events, truth)
  t.diagnostic(`an independent program: ${JSON.stringify(reference)}`)
  assert.ok(reference.matching >= matching)
})

function copyOf(copy: Copy): ReadonlyMap<string, string> {
  return sorted([...copy.objects()].map(({ uid, resourceVersion }) => [uid, resourceVersion ?? '']))
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([uid, version]) => b.get(uid) === version)
}
