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
  /** Of mode `part`, and of no other: the objects that it is about. */
  readonly scope?: SnapshotScope
}

/** A part of a stream; an absent member restricts nothing. */
export interface SnapshotScope {
  /** In their order, each once. */
  readonly namespaces?: readonly string[]
  /** As kubectl takes it. */
  readonly labelSelector?: string
}

/** How a snapshot ended for one sink. */
export type SnapshotOutcome =
  | ({ readonly type: 'completed' } & Pick<SnapshotResult, 'items' | 'members' | 'state'>)
  /** The sink was not told that it began, or ended: it can draw no conclusion from it. */
  | { readonly type: 'aborted'; readonly cause: string }

/**
 * What somebody who has asked for a snapshot is told: that it has begun, and then how it has ended, once. One that is void
 * because the audience has missed something begins again, as a full one.
 */
export type SnapshotNews =
  | { readonly type: 'began'; readonly snapshot: Snapshot }
  | { readonly type: 'ended'; readonly outcome: SnapshotOutcome }

export interface SnapshotListener {
  /** It may not throw. */
  readonly tell: (news: SnapshotNews) => void
  /** Aborted: nobody listens any more. */
  readonly signal: AbortSignal
}

export interface SnapshotRequest {
  readonly reason: SnapshotReason
  readonly mode: SnapshotMode
  readonly scope?: SnapshotScope
  readonly listener?: SnapshotListener
}

/** What was true of the stream at the position of a snapshot's `end`. */
export interface SnapshotResult {
  /** Objects of the view at `end`; of mode `part` those of its scope. */
  readonly items: number
  /** Live changes that were offered between begin and end. */
  readonly added: number
  readonly updated: number
  readonly deleted: number
  /** Those of them that did not change between begin and end. */
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

/** Versions after `from`, up to `to`, are told to one sink in no other way than by the snapshot that follows. */
export interface Overdue {
  readonly type: 'Gap'
  readonly from: ResourceVersion
  readonly to: ResourceVersion
  /**
   * `overflow`: its queue was full. `restart`: what it had before the start is not known, or too long ago. `redefined`:
   * it sees something else of the stream now. `restored`: the server has another history.
   */
  readonly cause: 'overflow' | 'restart' | 'redefined' | 'restored'
  readonly observedAt: Timestamp
}

/** A delta, or a part of a snapshot: what reconciliation yields, in the order in which it is offered to sinks. */
export type Change<T extends KubeObject = KubeObject> =
  | Delta<T>
  | Overdue
  | ({ readonly type: 'SnapshotBegin' } & Placed)
  | ({ readonly type: 'SnapshotItem'; readonly object: T } & Placed)
  | ({ readonly type: 'SnapshotEnd'; readonly result: SnapshotResult } & Placed)
  | ({ readonly type: 'SnapshotAborted'; readonly cause: string } & Placed)

/** A change that events are made of. `Progress` is none. */
export type Notable<T extends KubeObject = KubeObject> = Exclude<Change<T>, { readonly type: 'Progress' }>
