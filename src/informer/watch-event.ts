import type { KubeObject, ResourceVersion } from '../kube/object.ts'

/** Why a list is taken. */
export type InitCause = 'first' | 'expired' | 'restored' | 'server-error' | 'unusable' | 'short-watch'

/** What a reflector yields. `InitApply` (and `Delete`) between `Init` and `InitDone` are one atomic replace. */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'Init'; readonly cause: InitCause }
  | { readonly type: 'InitApply'; readonly object: T; readonly bytes: number }
  | { readonly type: 'InitDone'; readonly resourceVersion: ResourceVersion }
  | { readonly type: 'Apply'; readonly object: T; readonly bytes: number }
  | { readonly type: 'Delete'; readonly object: T; readonly bytes: number }
  | { readonly type: 'Bookmark'; readonly resourceVersion: ResourceVersion }
