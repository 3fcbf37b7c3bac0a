import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { playScenario } from './scenario.ts'
import { Simulator } from './simulator.ts'

test('within ten seconds a rollout, a crash loop, deletes and a forced relist have been shown', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const simulator = new Simulator({ clock })
  const lines: string[] = []
  const playing = playScenario(simulator, { clock, signal: stop.signal, narrate: (line) => lines.push(line) })
  await clock.advance(10_000)
  const steps = lines.map((line) => line.split(':')[0])
  const first = [
    'rollout',
    'crash loop',
    'configuration',
    'custom resource',
    'scale-down',
    'forced relist',
    'scale-up',
    'recovery',
  ]
  assert.deepEqual(steps.slice(0, 8), first)
  stop.abort(new Error('enough'))
  await playing
  assert.equal(clock.pending, 0)
})

test('everything that a watcher should find when it first lists is there at once', () => {
  const clock = new ManualClock()
  const simulator = new Simulator({ clock })
  void playScenario(simulator, { clock, signal: AbortSignal.abort(), narrate: () => undefined })
  const count = (apiVersion: string, kind: string) => simulator.list({ apiVersion, kind }).length
  assert.deepEqual(
    [count('v1', 'Pod'), count('apps/v1', 'Deployment'), count('apps/v1', 'ReplicaSet'), count('v1', 'Node')],
    [5, 2, 2, 3],
  )
  for (const pod of simulator.list({ apiVersion: 'v1', kind: 'Pod' })) {
    const size = JSON.stringify(pod).length
    assert.ok(size > 3_000 && size < 8_000, `a pod has ${size} bytes`)
    assert.equal((pod.status as { phase: string }).phase, 'Running')
  }
})

test('many rounds leave the cluster as large as it was', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const simulator = new Simulator({ clock })
  const lines: string[] = []
  const playing = playScenario(simulator, { clock, signal: stop.signal, narrate: (line) => lines.push(line) })
  while (lines.filter((line) => line.startsWith('rollout')).length < 6) await clock.advance(1_000)
  stop.abort(new Error('enough'))
  await playing
  assert.ok(simulator.list({ apiVersion: 'v1', kind: 'Pod' }).length <= 7)
  assert.equal(simulator.list({ apiVersion: 'apps/v1', kind: 'ReplicaSet' }).length, 3)
  assert.ok(simulator.list({ apiVersion: 'v1', kind: 'Event' }).length < 20)
})
