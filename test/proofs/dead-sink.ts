import assert from 'node:assert/strict'
import { join } from 'node:path'
import { enduresDeadSink, type Footprint } from '../../src/bridge/testing/dead-sink.ts'
import { defaults } from '../../src/delivery/scripted-sink.ts'
import { temporaryFolder } from '../../src/journal/testing/kit.ts'

export const description =
  'P7: a sink that is dead for an hour of 1,000 changes/s, per policy, on a clock that is moved. [SECONDS]'

/** Of the heap after the first sixth of the time. */
const MOST_GROWTH_MIB = 5

const scenarios = [
  { policy: 'coalesce', deleteEvery: 20, objects: 10_000 },
  // room for all of them: what merges goes on merging
  { policy: 'coalesce', deleteEvery: Number.POSITIVE_INFINITY, objects: 9_000 },
  { policy: 'block', deleteEvery: 20, objects: 10_000 },
  { policy: 'spool', deleteEvery: 20, objects: 10_000 },
] as const

export async function prove([text]: readonly string[]): Promise<void> {
  const seconds = Number(text ?? 3_600)
  for (const { policy, ...cluster } of scenarios) {
    await using folder = await temporaryFolder()
    const spool = { path: join(folder.path, 'spool'), bytes: 64 * 2 ** 20, fsync: 'none' } as const
    const taken: Footprint[] = []
    await enduresDeadSink(
      {
        queue: { ...defaults.queue, whenFull: policy, ...(policy === 'spool' && { spool }) },
        seconds,
        everySeconds: seconds / 6,
        changesPerSecond: 1_000,
        ...cluster,
        random: Math.random,
      },
      (footprint) => {
        taken.push(footprint)
        console.log(JSON.stringify({ policy, ...footprint }))
      },
    )
    console.table(taken)
    const [first, last] = [taken[1], taken.at(-1)]
    assert.ok(first && last && last.heapMiB <= first.heapMiB + MOST_GROWTH_MIB, `the heap of ${policy} has grown`)
  }
}
