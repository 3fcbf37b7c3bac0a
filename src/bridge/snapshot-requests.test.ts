/** Who asks for a snapshot hears how it has ended, also where the stream cannot send one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bench } from '../delivery/scripted-sink.ts'
import { snapshotRequests } from './snapshot-requests.ts'
import { ArrayDisk, DurableStore } from './testing/durable-store.ts'
import { HistoryServer } from './testing/history-server.ts'
import { streamName } from './testing/life.ts'
import { streamToAudit } from './testing/stream-kit.ts'

/** A stream that is synced, over a sink that takes everything. */
async function synced() {
  const { sink, worker, clock } = await bench()
  sink.respond = () => []
  const server = new HistoryServer()
  server.put('here')
  const stop = new AbortController()
  const errors: unknown[] = []
  let faults = 0
  const store = new DurableStore('nothing', new ArrayDisk())
  const stream = streamToAudit(
    { server, worker, clock, store, signal: stop.signal },
    {
      onChange: () => {
        if (faults-- > 0) throw new Error('it cannot be followed')
      },
      onError: (error) => errors.push(error),
    },
  )
  const running = stream.run(stop.signal, stop.signal)
  await clock.advance(1_000)
  assert.equal(stream.isSynced, true)
  const requests = snapshotRequests({ streams: () => [stream], sinks: ['audit'], clock })
  const leave = new AbortController()
  return {
    clock,
    errors,
    /** The stream fails at its next change, which comes now. */
    async fail(): Promise<void> {
      faults = 1
      server.put('more')
      await clock.advance(0)
    },
    async stop(): Promise<void> {
      stop.abort()
      await running
    },
    /** What somebody is told who asks now and waits for the end, if no time passes. */
    async told(): Promise<readonly string[]> {
      const lines: string[] = []
      const wait = async () => {
        for await (const line of requests.request({ of: streamName, until: 'ended' }, leave.signal)) {
          lines.push(line.type === 'aborted' ? `aborted: ${line.cause}` : line.type)
        }
        lines.push('over')
      }
      const waiting = wait()
      await clock.advance(0)
      const soFar = [...lines]
      leave.abort()
      await waiting
      return soFar
    },
  }
}

const ended = ['requested', 'aborted: the stream was stopped', 'over']

test('who asks a stream for a snapshot that has failed, and is about to start again, hears at once that there is none', async () => {
  const stand = await synced()
  await stand.fail()
  assert.equal(stand.errors.length, 1)
  assert.deepEqual(await stand.told(), ended)
  await stand.stop()
})

test('who asks a stream for a snapshot that follows again gets it', async () => {
  const stand = await synced()
  await stand.fail()
  await stand.clock.advance(5_000)
  assert.deepEqual(await stand.told(), ['requested', 'began', 'completed', 'over'])
  await stand.stop()
})

test('who asks for a snapshot while the bridge delivers what is left hears at once that there is none', async () => {
  const stand = await synced()
  await stand.stop()
  assert.deepEqual(await stand.told(), ended)
})
