import type { KubeObject, ObjectIdentity, ResourceVersion, Timestamp } from '../kube/object.ts'

/** Where, when and how a difference was seen. */
export interface Seen {
  /**
   * The stream's position: a live change's own version; for everything found by a list, the list's version. Only a delete
   * that the server repeats comes at an earlier one.
   */
  readonly resourceVersion: ResourceVersion
  /** `watch`: reported by the server. `relist`: found by comparing with a list. */
  readonly observed: 'watch' | 'relist'
  readonly observedAt: Timestamp
  /** Versions in between were not observed. */
  readonly collapsed: boolean
}

/** What is left of an object that is gone: its last known state, or its identity only. */
export interface Tombstone<T extends KubeObject> {
  readonly identity: ObjectIdentity
  /** The newest state that was seen. Absent if none was kept. */
  readonly object: T | undefined
}

/** One entry of an informer's output. Strictly in the order of arrival; an `Added` initial list ends with a `Progress`. */
export type Delta<T extends KubeObject = KubeObject> =
  | ({ readonly type: 'Added'; readonly object: T } & Seen)
  /** `previous`: the last observed state; unknown without a cache. */
  | ({ readonly type: 'Updated'; readonly object: T; readonly previous: T | undefined } & Seen)
  /**
   * `object` is the last state, with the version of the deletion if it was watched (`finalStateKnown`).
   * `gone`: the object no longer exists; false: it only left the stream's selectors.
   */
  | ({ readonly type: 'Deleted'; readonly finalStateKnown: boolean; readonly gone: boolean } & Tombstone<T> & Seen)
  /** A bookmark, or the initial list is in: everything up to this position has been yielded. */
  | { readonly type: 'Progress'; readonly resourceVersion: ResourceVersion }
  /** Versions after `from`, up to `to`, may be missing; what differs follows as collapsed deltas observed by `relist`. */
  | {
      readonly type: 'Gap'
      readonly from: ResourceVersion
      readonly to: ResourceVersion
      readonly cause: GapCause
      readonly observedAt: Timestamp
    }

/**
 * `expired`: the server's history no longer held the position. `restart`: nor did it hold the one from before the start.
 * `restored`: the server's versions went back.
 */
export type GapCause = 'expired' | 'restart' | 'restored'
