import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { QueueOptions } from '../delivery/options.ts'
import { temporaryFolder } from '../journal/testing/kit.ts'
import { enduresDeadSink, type Footprint } from './testing/dead-sink.ts'

const limits = { events: 1_000, bytes: 2 ** 20 }

for (const policy of ['coalesce', 'block', 'spool'] as const) {
  test(`P7 a sink that is dead for minutes costs nothing that grows: ${policy}`, async (t) => {
    await using folder = await temporaryFolder()
    const spool = { path: join(folder.path, 'spool'), bytes: 4 * 2 ** 20, fsync: 'none' } as const
    const queue: QueueOptions = { ...limits, whenFull: policy, ...(policy === 'spool' && { spool }) }
    const taken: Footprint[] = []
    const load = { seconds: 180, everySeconds: 60, changesPerSecond: 500, objects: 2_000, random: Math.random }
    await enduresDeadSink({ queue, ...load }, (footprint) => taken.push(footprint))
    t.diagnostic(JSON.stringify(taken))
    const [, first, , last] = taken
    assert.ok(first && last)
    if (policy === 'coalesce') assert.equal(last.offered, 180 * 500, 'nobody waits')
    else assert.equal(last.offered, first.offered, 'the stream waits')
    for (const { queueEvents, slots, departures, lanesInBackOff, blockedOffers } of taken) {
      assert.ok(queueEvents <= limits.events, `${queueEvents} events`)
      assert.ok(slots <= 4 * limits.events, `${slots} slots`)
      assert.ok(departures <= load.objects, `${departures} departures`)
      assert.ok(lanesInBackOff <= limits.events && blockedOffers <= 1)
    }
    assert.ok(last.heapMiB <= first.heapMiB + 5, `${first.heapMiB} MiB of heap became ${last.heapMiB}`)
  })
}
