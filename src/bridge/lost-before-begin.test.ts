/** What is owed to a sink, while another stream takes the room that it has. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bench, event } from '../delivery/scripted-sink.ts'
import type { Uid } from '../kube/object.ts'
import type { StateRecord } from '../state/record.ts'
import { ArrayDisk, DurableStore } from './testing/durable-store.ts'
import { HistoryServer } from './testing/history-server.ts'
import { streamName as stream } from './testing/life.ts'
import { streamToAudit } from './testing/stream-kit.ts'

/** Says when objects are noted that a sink is about to be told of. */
class WatchedStore extends DurableStore {
  onEntries = () => {}

  override async write(records: readonly StateRecord[]): Promise<void> {
    await super.write(records)
    if (records.some(({ type }) => type === 'entry')) this.onEntries()
  }
}

test('I3 deletions that are dropped just before the begin of their catch-up are told again, before it', async () => {
  const { sink, worker, clock } = await bench({
    options: { concurrency: 1, queue: { events: 6, whenFull: 'coalesce' } },
  })
  const stop = new AbortController()
  const store = new WatchedStore('ledger', new ArrayDisk())
  const gone = ['a', 'b', 'c', 'd'].map((uid) => uid as Uid)
  await store.write([
    { type: 'stream', stream, definition: 'of another time', sinks: [{ name: 'audit', view: '' }] },
    ...gone.map(
      (uid) => ({ type: 'entry', stream, uid, key: `shop/${uid}`, told: undefined, may: 1, has: 0 }) as const,
    ),
  ])
  store.onEntries = () => {
    store.onEntries = () => {}
    const others = ['x', 'y', 'z'].map((id) => event(id, id, { stream: 's/other' }))
    for (const other of others) void worker.offer(other, () => {}, stop.signal)
  }
  const server = new HistoryServer()
  server.put('here')
  const bridged = streamToAudit({ server, worker, clock, store, signal: stop.signal })
  const running = bridged.run(stop.signal, stop.signal)
  await clock.advance(0)
  assert.deepEqual(sink.sent, [['a:00000000000000000011:left']], 'the others wait behind it')
  sink.respond = () => []
  sink.attempts[0]?.answer()
  await clock.advance(1_000)
  assert.deepEqual(sink.sent.flat(), [
    'a:00000000000000000011:left',
    'x',
    'y',
    'z',
    'b:00000000000000000011:left',
    'c:00000000000000000011:left',
    'd:00000000000000000011:left',
    's/pods:2:begin',
    'here-1:11:s/pods:2',
    's/pods:2:end',
  ])
  stop.abort()
  await running
})
