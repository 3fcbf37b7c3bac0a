import type { Delta } from '../informer/delta.ts'
import type { KubeObject, ResourceVersion, Timestamp } from '../kube/object.ts'

export type SnapshotReason = 'startup' | 'gap' | 'periodic' | 'requested' | 'failover' | 'view'
export type SnapshotMode = 'full' | 'part' | 'delta' | 'markers'

/** What identifies a snapshot; shared by its begin, items and end. */
export interface Snapshot {
  /** `<stream>:<random>`: the only random part of any id. */
  readonly id: string
  readonly reason: SnapshotReason
  readonly mode: SnapshotMode
  /** `cold`: the bridge does not remember what was sent before it started. */
  readonly ledger: 'warm' | 'cold'
}

/** What was true of the stream at the position of a snapshot's `end`. */
export interface SnapshotResult {
  /** Objects of the view at `end`. */
  readonly items: number
  /** Live changes that were offered between begin and end. */
  readonly added: number
  readonly updated: number
  readonly deleted: number
  /** Objects that did not change between begin and end. */
  readonly unchanged: number
  /** Digest over `<subject>:<uid>` of every object: sum of SHA-256 modulo 2^256, 64 lower-case hex digits. */
  readonly members: string
  /** The same with `:<resourceVersion>` appended. */
  readonly state: string
}

interface Placed {
  readonly snapshot: Snapshot
  /** The stream's position at this place. */
  readonly resourceVersion: ResourceVersion
  readonly observedAt: Timestamp
}

/** Versions after `from`, up to `to`, were dropped because the queue of a sink was full; told to that sink alone. */
export interface Overflow {
  readonly type: 'Gap'
  readonly from: ResourceVersion
  readonly to: ResourceVersion
  readonly cause: 'overflow'
  readonly observedAt: Timestamp
}

/** A delta, or a part of a snapshot: what reconciliation yields, in the order in which it is offered to sinks. */
export type Change<T extends KubeObject = KubeObject> =
  | Delta<T>
  | Overflow
  | ({ readonly type: 'SnapshotBegin' } & Placed)
  | ({ readonly type: 'SnapshotItem'; readonly object: T } & Placed)
  | ({ readonly type: 'SnapshotEnd'; readonly result: SnapshotResult } & Placed)
  | ({ readonly type: 'SnapshotAborted'; readonly cause: string } & Placed)
