import { type KubeObject, keyOf as keyOfIdentity, type ObjectKey } from '../kube/object.ts'
import type { Tombstone } from './delta.ts'

/**
 * Gets the changes of an informer. Called one at a time: a returned promise is awaited before the next call. So the
 * changes of an object come in order; between handlers there is no order. Each may find a store that is newer than
 * what it is told. A throw or rejection is reported to `onError`; the next call comes a second later.
 */
export interface Handler<T extends KubeObject = KubeObject> {
  /** `isInInitialList`: it was there when the handler began, it did not appear now. */
  onAdd?(object: T, isInInitialList: boolean): unknown
  /** In a handler resync both are the same object. */
  onUpdate?(previous: T, object: T): unknown
  /** The last state, or a tombstone if no DELETED frame told it: then the last known state may be old. */
  onDelete?(object: T | Tombstone<T>): unknown
}

export interface HandlerOptions {
  /**
   * Milliseconds between handler resyncs: every object of the store again, as `onUpdate(object, object)`, without asking
   * the server. At least 1000, and at least what handlers asked for before the informer was started. 0 = never.
   * @default 0
   */
  readonly resyncPeriod?: number
}

/** A handler's place at an informer. The same handler added twice has two, and is called twice. */
export interface Registration {
  /** The informer has synced and this handler has been through all of its initial objects. */
  readonly hasSynced: boolean
  /** Resolves when `hasSynced`. Rejects if the handler is removed or the informer stopped before. */
  readonly synced: Promise<void>
  /**
   * No callback starts after this call; resolves when the running one has ended, so never await it inside of one.
   * Idempotent, also on an informer that was stopped.
   */
  remove(): Promise<void>
}

/**
 * Shows `handler` only what satisfies `predicate`: an update that begins to satisfy it is an add, one that ceases to is
 * a delete of the previous object. Source: client-go, FilteringResourceEventHandler.
 */
export function filteringHandler<T extends KubeObject>(
  predicate: (object: T) => boolean,
  handler: Handler<T>,
): Handler<T> {
  return {
    onAdd: (object, isInInitialList) => (predicate(object) ? handler.onAdd?.(object, isInInitialList) : undefined),
    onUpdate(previous, object) {
      const before = predicate(previous)
      if (predicate(object)) return before ? handler.onUpdate?.(previous, object) : handler.onAdd?.(object, false)
      return before ? handler.onDelete?.(previous) : undefined
    },
    onDelete(object) {
      const state = isTombstone(object) ? object.object : object
      return state === undefined || predicate(state) ? handler.onDelete?.(object) : undefined
    },
  }
}

export function isTombstone<T extends KubeObject>(object: T | Tombstone<T>): object is Tombstone<T> {
  return !('metadata' in object)
}

/** The key of whatever a handler is given: `namespace/name`, or `name`. */
export function keyOf<T extends KubeObject>(object: T | Tombstone<T>): ObjectKey {
  return keyOfIdentity(isTombstone(object) ? object.identity : object.metadata)
}
