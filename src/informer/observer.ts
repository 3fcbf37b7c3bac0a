import type { KubeError, KubeErrorCode } from '../kube/errors.ts'
import type { ObjectKey, ResourceVersion } from '../kube/object.ts'

/**
 * `closed`: by the server, cleanly. `short`: cleanly, but within a second and without a single frame. `relist`: by the
 * reflector, which was asked for a list.
 */
export type WatchEnd = 'closed' | 'short' | 'relist' | KubeErrorCode

/** How a list came: as a watch that begins with the objects, or page by page. */
export type ListWay = 'streamed' | 'paged'

/** What a stream goes through, for metrics. Called synchronously, on the data path: be quick, never throw. */
export interface StreamObserver {
  /** A whole list is in. */
  listed(way: ListWay, objects: number, resourceVersion: ResourceVersion): void
  /** A list, or a part of one, could not be had; it is tried again. */
  listFailed(code: KubeErrorCode): void
  watchStarted(): void
  /** A watch could not be opened; it is tried again. */
  watchFailed(code: KubeErrorCode): void
  watchEnded(reason: WatchEnd): void
  bookmark(): void
  /** Differences (adds, updates, deletes) that only a relist has shown: the watch had missed them. */
  recoveredByRelist(count: number): void
  /** Deletes that no DELETED frame told of: found by a list, or because the name was taken again. */
  inferredDeletes(count: number): void
  /** A frame that is not newer than what is known of its uid. */
  droppedStale(): void
}

export const silentObserver: StreamObserver = {
  listed() {},
  listFailed() {},
  watchStarted() {},
  watchFailed() {},
  watchEnded() {},
  bookmark() {},
  recoveredByRelist() {},
  inferredDeletes() {},
  droppedStale() {},
}

/** What went wrong around a stream without ending it. */
export type InformerFault =
  /** A list or watch failed; it is tried again. */
  | { readonly type: 'Stream'; readonly error: KubeError }
  /** The transform threw, or the object has no usable key. With a key, the object goes on as its identity only. */
  | { readonly type: 'Object'; readonly key: ObjectKey | undefined; readonly error: unknown }
  /** An index function threw: the object is not in this index. */
  | { readonly type: 'Index'; readonly index: string; readonly key: ObjectKey; readonly error: unknown }
  /** A handler threw or rejected; it gets the next delta after a second. */
  | { readonly type: 'Handler'; readonly error: unknown }
