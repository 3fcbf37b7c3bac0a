import type { KubeError } from '../kube/errors.ts'
import type { KubeObject, ResourceVersion } from '../kube/object.ts'

/** Why a list is taken. `gone`: the server has the resource no more, so the list is empty without being asked for. */
export type InitCause = 'first' | 'expired' | 'restored' | 'server-error' | 'unusable' | 'short-watch' | 'gone'

/** What a reflector has read. `InitApply` between `Init` and `InitDone` are one atomic replace; a new `Init` voids them. */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'Init'; readonly cause: InitCause }
  | { readonly type: 'InitApply'; readonly object: T }
  | { readonly type: 'InitDone'; readonly resourceVersion: ResourceVersion }
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
