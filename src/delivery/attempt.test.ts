import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ManualClock } from '../lib/manual-clock.ts'
import { Attempts } from './attempt.ts'
import { event, ScriptedSink } from './scripted-sink.ts'

const options = { name: 'audit', timeoutMs: 1000, clock: new ManualClock() }

test('attempts under way share one listener to the signal that ends their worker, and it aborts them all', async () => {
  const stop = new AbortController()
  const sink = new ScriptedSink()
  const attempts = new Attempts(sink, options, stop.signal)
  const results = ['a', 'b', 'c'].map((id) => attempts.attempt([event(id, id)]))
  assert.equal(getEventListeners(stop.signal, 'abort').length, 1)
  sink.attempt('a').answer()
  assert.equal((await results[0])?.type, 'answered')
  stop.abort(new DOMException('closed', 'AbortError'))
  assert.deepEqual(
    sink.attempts.map(({ ids, signal }) => [ids, signal.aborted && signal.reason.message]),
    [
      [['b'], 'closed'],
      [['c'], 'closed'],
    ],
  )
  for (const id of ['b', 'c']) sink.attempt(id).answer()
  await Promise.all(results)
  assert.equal(options.clock.pending, 0, 'no timer is left')
})
