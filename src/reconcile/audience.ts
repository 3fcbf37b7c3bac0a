/** What snapshots need to know: of those who get them, and of what is there. */
import type { KubeObject } from '../kube/object.ts'
import type { Held } from '../state/ledger.ts'
import type { Debt } from './debt.ts'
import type { Admits } from './members.ts'

/** Those who get the same snapshots of a stream, each at the same time. */
export interface Audience {
  /** Whether it is told of snapshots at all. If not, none is scheduled for it, and what it is owed is made up for silently. */
  readonly takesSnapshots: boolean
  /** Whether there is room for what is not urgent. Asked before each item. */
  readonly hasRoom: () => boolean
  /** What it was not told. From when the next snapshot begins for it this is undefined. */
  readonly debt: () => Debt | undefined
  /** What it does not have as it is, although that was offered; undefined: too much of it. */
  readonly untold: () => readonly Held[] | undefined
  /** Which objects it sees; absent: all. Audiences that share it share what is kept for it. */
  readonly admits?: Admits | undefined
}

/** The informer's store, as far as snapshots read it. */
export interface SnapshotStore<T extends KubeObject> {
  /** The iterator may be held while the store changes, as that of a Map. */
  objects(): IterableIterator<T>
  get(key: string): T | undefined
  /** `whole`: what is not there does not exist. `selected`: it may only have left the selectors. */
  readonly scope: 'whole' | 'selected'
}

/** Scheduled reconciliation of a stream. */
export interface ResyncOptions {
  /** Milliseconds from one snapshot to the next, ±10 %; 0 = only on request. */
  readonly everyMs: number
  /** What a scheduled snapshot holds; `off`: none is scheduled. The first is always full. */
  readonly snapshot: 'full' | 'delta' | 'markers' | 'off'
  /** Whether the server is asked before, whether the store is right. If that cannot be known, the snapshot is left out. */
  readonly verify: boolean
}
