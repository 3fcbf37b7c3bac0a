import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { QueueOptions } from '../delivery/options.ts'
import { temporaryFolder } from '../journal/testing/kit.ts'
import { enduresDeadSink, type Footprint } from './testing/dead-sink.ts'

const limits = { events: 1_000, bytes: 2 ** 20 }
const scenarios = [
  { policy: 'coalesce', what: 'objects come and go', deleteEvery: 10, objects: 1_000 },
  { policy: 'coalesce', what: 'there is room for all objects', deleteEvery: Number.POSITIVE_INFINITY, objects: 900 },
  { policy: 'block', what: 'objects come and go', deleteEvery: 20, objects: 2_000 },
  { policy: 'spool', what: 'objects come and go', deleteEvery: 20, objects: 2_000 },
] as const

for (const { policy, what, ...cluster } of scenarios) {
  test(`P7 a sink that is dead for minutes costs nothing that grows: ${policy}, ${what}`, async (t) => {
    await using folder = await temporaryFolder()
    const spool = { path: join(folder.path, 'spool'), bytes: 4 * 2 ** 20, fsync: 'none' } as const
    const queue: QueueOptions = { ...limits, whenFull: policy, ...(policy === 'spool' && { spool }) }
    const taken: Footprint[] = []
    const load = { seconds: 120, everySeconds: 40, changesPerSecond: 250, ...cluster, random: Math.random }
    await enduresDeadSink({ queue, ...load }, (footprint) => taken.push(footprint))
    t.diagnostic(JSON.stringify(taken))
    const [, first, , last] = taken
    assert.ok(first && last)
    if (policy === 'coalesce') assert.equal(last.offered, 120 * 250, 'nobody waits')
    else assert.equal(last.offered, first.offered, 'the stream waits')
    for (const { queueEvents, slots, held, lanesInBackOff, blockedOffers } of taken) {
      assert.ok(queueEvents <= limits.events, `${queueEvents} events`)
      // two of each event that stands for others, and one between them, until it is twice that
      assert.ok(slots <= 8 * limits.events, `${slots} slots`)
      assert.ok(held <= 2 * cluster.objects, `${held} held`)
      assert.ok(lanesInBackOff <= limits.events && blockedOffers <= 1)
    }
    assert.ok(last.heapMiB <= first.heapMiB + 5, `${first.heapMiB} MiB of heap became ${last.heapMiB}`)
  })
}
