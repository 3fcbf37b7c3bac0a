import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { pino } from 'pino'
import { serveApi } from './api.ts'
import { AdminClient } from './client.ts'
import type { DeadLetterAdmin, ReplayResult } from './dead-letters.ts'
import type { SnapshotAdmin, SnapshotLine } from './snapshots.ts'

/** The clock that undici has for its timeouts. */
const timers = createRequire(import.meta.url)('undici/lib/util/timers.js') as { readonly tick: (ms: number) => void }
const HOUR_MS = 3_600_000

test('who waits for a slow sink waits for hours, before the first line and between two', async () => {
  const asked = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const of = { stream: 'all/pods', sink: 'slow' } as const
  const lines: readonly SnapshotLine[] = [
    { ...of, type: 'requested' },
    { ...of, type: 'completed', items: 1 },
  ]
  const snapshots: SnapshotAdmin = {
    async *request() {
      yield* lines.slice(0, 1)
      await ended.promise
      yield* lines.slice(1)
    },
  }
  const replayed: ReplayResult = { id: '7', outcome: 'delivered' }
  const deadLetters = {
    async *replay() {
      asked.resolve()
      await ended.promise
      yield replayed
    },
  } as Partial<DeadLetterAdmin> as DeadLetterAdmin // nothing else is asked for
  await using server = await serveApi({ listen: '127.0.0.1:0', deadLetters, snapshots, log: pino({ enabled: false }) })
  const client = new AdminClient(new URL(server.url), new AbortController().signal)

  const replay = Array.fromAsync(client.replay({ type: 'all' }))
  await asked.promise
  const snapshot = client.snapshot({ of: 'all', until: 'ended' })
  assert.deepEqual((await snapshot.next()).value, lines[0])
  const second = snapshot.next()
  timers.tick(1) // those that are new begin to run
  timers.tick(HOUR_MS)
  ended.resolve()
  assert.deepEqual(await replay, [replayed])
  assert.deepEqual((await second).value, lines[1])
  assert.equal((await snapshot.next()).done, true)
})
