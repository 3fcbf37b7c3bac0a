import type { KubeError } from '../kube/errors.ts'
import type { KubeObject, ResourceVersion } from '../kube/object.ts'

/** Why a list is taken. `gone`: the server has the resource no more, so the list is empty without being asked for. */
export type InitCause =
  | 'first'
  /** What is known from before: no list was asked for. */
  | 'primed'
  /** To be compared with that. */
  | 'restart'
  | 'expired'
  | 'restored'
  | 'server-error'
  | 'unusable'
  | 'short-watch'
  /** It was asked for, because the store is not what the server has. */
  | 'drift'
  | 'gone'

/**
 * What a reflector has read. Everything between `Init` and `InitDone` is one atomic replace; a new `Init` voids it. Why
 * the list was taken is known at its end only: a streamed one tells its version last.
 */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'Init' }
  | { readonly type: 'InitApply'; readonly object: T }
  /** Gone again before the list was complete. */
  | { readonly type: 'InitDelete'; readonly object: T }
  | { readonly type: 'InitDone'; readonly cause: InitCause; readonly resourceVersion: ResourceVersion }
  /** `bytes`: size of the frame on the wire. */
  | { readonly type: 'Apply'; readonly object: T; readonly bytes: number }
  | { readonly type: 'Delete'; readonly object: T; readonly bytes: number }
  | { readonly type: 'Bookmark'; readonly resourceVersion: ResourceVersion }

/** What a reflector yields: what it has read, and how reading goes. */
export type Item<T extends KubeObject = KubeObject> =
  | WatchEvent<T>
  /** A watch is open: the stream is healthy, though nothing may come for a minute. */
  | { readonly type: 'Opened' }
  /** Something went wrong; the reflector is already curing it. */
  | { readonly type: 'Failed'; readonly error: KubeError }
