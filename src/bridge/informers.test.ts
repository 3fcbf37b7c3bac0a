import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fault, list, pod, ScriptedListWatch, watch, watchFails } from '../informer/test-kit.ts'
import { KubeError } from '../kube/errors.ts'
import type { Resource } from '../kube/object.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { Informers } from './informers.ts'

const v1: Resource = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true }
const v2: Resource = { ...v1, version: 'v2' }

test('F17 who names no version shares an informer of it until another one is served instead; who names one waits for it', async () => {
  const clock = new ManualClock()
  const stop = new AbortController()
  const informers = new Informers({
    listWatch: ({ version }) => {
      const ended = [list(9, [pod('shop/a', 3)]), watch({ afterMs: 10_000 }, 'close'), watchFails('not-found')]
      return new ScriptedListWatch(version === 'v1' ? ended : [list(9, [pod('shop/a', 3)]), watch()], clock)
    },
    optionsFor: () => ({ clock, random: () => 0.5 }),
    discovery: {
      find: async (named) => (named === 'widgets.example.com' ? v2 : Promise.reject(fault('not-found'))),
      isServed: async () => true,
    },
    signal: stop.signal,
  })
  const place = { named: 'widgets.example.com', resource: v1 }
  const informer = informers.get('s/a', place)
  assert.equal(informers.get('s/b', place), informer)
  const ofV1 = informers.get('s/c', { ...place, named: 'widgets.v1.example.com' })
  const reader = informer.deltas(stop.signal)
  await clock.advance(30_000)
  assert.deepEqual(
    reader.take().map(({ type }) => type),
    ['Added', 'Progress'],
    'what was read before is handed on',
  )
  await assert.rejects(reader.ready(stop.signal), (error) => error instanceof KubeError && /v1.*v2/.test(error.message))
  const next = informers.get('s/a', { ...place, resource: v2 })
  assert.notEqual(next, informer)
  assert.deepEqual([informer.isStopped, ofV1.isStopped, next.isStopped], [true, false, false])
  stop.abort()
  await informers.stopped()
})
