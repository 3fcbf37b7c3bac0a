/** For tests: what may happen to a stream over many lives, at random. `keepLives` lets it happen. */
import fc from 'fast-check'
import type { ResyncOptions } from '../../reconcile/audience.ts'
import type { SnapshotMode } from '../../reconcile/change.ts'
import type { Kept } from '../../state/store.ts'
import { type Tier, type ViewName, viewNames } from './views.ts'

/** Of a sink. There are two or three. */
export type Place = 0 | 1 | 2

export type Step =
  | ({ readonly type: 'write' } & Write)
  /** Something else of the cluster has changed, and a bookmark tells. */
  | { readonly type: 'bookmark' }
  | { readonly type: 'up' | 'down'; readonly sink: Place }
  /** The next events of this name fail: their lane is in back-off. */
  | { readonly type: 'fail'; readonly sink: Place; readonly name: number; readonly times: number }
  /** kill -9. Of what is being written to the disk so many records are. */
  | ({ readonly type: 'kill'; readonly records: number } & Away)
  /** kill -9 when so many more records are on the disk. */
  | ({ readonly type: 'doom'; readonly records: number } & Away)
  /** SIGTERM. */
  | ({ readonly type: 'stop' } & Away)
  /** The watch cache, or also etcd, forgets everything up to now. */
  | { readonly type: 'expire' | 'compact' }
  /** The same before the stream has read what was written last: 410 while it runs. */
  | { readonly type: 'relist'; readonly how: 'expire' | 'compact'; readonly writes: readonly Write[] }
  /** Connections to the server are cut. */
  | { readonly type: 'reset' }
  /** The resource is served in another version: the stream begins anew in the same process. */
  | { readonly type: 'move' }
  /** While it runs. */
  | { readonly type: 'restore'; readonly versions: number }
  /** Somebody asks for a snapshot; of mode `part`, for one of a tier. */
  | { readonly type: 'ask'; readonly sink: Place; readonly mode: SnapshotMode }
  /** From the next life on, */
  | { readonly type: 'redefine' }
  /** a sink sees it in another way, */
  | { readonly type: 'review'; readonly sink: Place; readonly view: ViewName }
  /** a sink holds the checkpoint, or no longer does, */
  | { readonly type: 'require'; readonly sink: Place }
  /** the last sink is there, or no longer is. */
  | { readonly type: 'enrol' }
  | { readonly type: 'pass'; readonly ms: number }

export interface Write {
  readonly name: number
  readonly what: 'put' | 'delete'
  readonly tier: Tier
  /** So many names in a row. */
  readonly count: number
}

/** What happens while nothing runs. */
export interface Away {
  readonly writes: number
  /** The server is one from a backup, that many versions older than what was settled. 0 = it is not. */
  readonly restored: number
  readonly forgets: 'nothing' | 'expire' | 'compact'
}

export interface SinkSettings {
  readonly policy: 'coalesce' | 'block'
  readonly queueEvents: number
  readonly latencyMs: number
  readonly isRequired: boolean
  /** Without snapshots nothing makes up for what it missed, but for deletions. */
  readonly on: 'all' | 'no snapshots'
  readonly view: ViewName
}

export interface Lives {
  readonly steps: readonly Step[]
  readonly keeps: Kept
  /** What is written becomes durable so much later. */
  readonly writeMs: number
  readonly resync: ResyncOptions['snapshot']
  readonly sinks: readonly SinkSettings[]
}

const name = fc.nat(6)
const sink = fc.constantFrom(0 as const, 1 as const, 2 as const)
const view = fc.constantFrom(...viewNames)
const constant = <const T extends string>(...types: readonly [T, ...T[]]) => fc.constantFrom(...types)

const write = {
  name,
  what: constant('put', 'put', 'delete'),
  tier: constant('a', 'b', 'c'),
  count: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 3 }) }, { weight: 1, arbitrary: fc.constant(7) }),
}
const away = {
  writes: fc.nat(8),
  restored: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) },
  ),
  forgets: constant('nothing', 'nothing', 'nothing', 'expire', 'compact'),
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 22, arbitrary: fc.record({ type: constant('write'), ...write }) },
  { weight: 10, arbitrary: fc.record({ type: constant('pass'), ms: fc.constantFrom(1, 50, 700, 3_000, 60_000) }) },
  { weight: 5, arbitrary: fc.record({ type: constant('up', 'down'), sink }) },
  { weight: 4, arbitrary: fc.record({ type: constant('kill'), records: fc.nat(4), ...away }) },
  { weight: 3, arbitrary: fc.record({ type: constant('doom'), records: fc.nat(9), ...away }) },
  { weight: 2, arbitrary: fc.record({ type: constant('stop'), ...away }) },
  { weight: 2, arbitrary: fc.record({ type: constant('fail'), sink, name, times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ type: constant('expire', 'compact') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: constant('relist'),
      how: constant('expire', 'compact'),
      writes: fc.array(fc.record(write), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: constant('bookmark', 'reset', 'redefine', 'enrol', 'move') }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: constant('ask'), sink, mode: constant('full', 'part', 'delta', 'markers') }),
  },
  { weight: 1, arbitrary: fc.record({ type: constant('restore'), versions: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ type: constant('require'), sink }) },
  { weight: 2, arbitrary: fc.record({ type: constant('review'), sink, view }) },
)

const sinkSettings: fc.Arbitrary<SinkSettings> = fc.record({
  policy: constant('coalesce', 'coalesce', 'block'),
  queueEvents: fc.integer({ min: 3, max: 30 }),
  latencyMs: fc.constantFrom(0, 1, 40),
  isRequired: fc.boolean(),
  on: constant('all', 'all', 'all', 'no snapshots'),
  view: fc.oneof(fc.constant('all' as const), view),
})

/** With one of these stores. */
export function livesWith(...keeps: readonly [Kept, ...Kept[]]): fc.Arbitrary<Lives> {
  return fc.record({
    steps: fc.array(step, { maxLength: 70, size: 'max' }),
    keeps: fc.constantFrom(...keeps),
    writeMs: fc.constantFrom(0, 0, 5, 200),
    resync: constant('off', 'off', 'off', 'full', 'delta', 'markers'),
    sinks: fc.array(sinkSettings, { minLength: 2, maxLength: 3 }),
  })
}

export const lives = livesWith('ledger', 'ledger', 'nothing')
