import type { KubeError } from './errors.ts'
import type { KubeObject, ResourceVersion } from './object.ts'
import type { ListStreaming } from './streamed-lists.ts'

/**
 * The two calls that a reflector makes on one stream (resource, namespace, selectors): those are fixed when it is made,
 * so every call asks for the same objects. Both reject with a `KubeError`, or with `signal.reason` after an abort;
 * after an abort nothing opens, whichever await was pending.
 */
export interface ListWatch<T extends KubeObject> {
  /** Whether `watch` may be called with `sendInitialEvents`. Absent: never, lists are read page by page. */
  readonly streaming?: ListStreaming | undefined
  /** One page, in one piece. Items always carry `apiVersion` and `kind`, as watch objects do. */
  list(query: ListQuery, signal: AbortSignal): Promise<ListPage<T>>
  /** Resolves once the server has answered 200; the frames then come from the result. */
  watch(query: WatchQuery, signal: AbortSignal): Promise<Frames<T>>
}

export interface ListQuery {
  /** Objects per page. */
  readonly limit: number
  /** From the previous page; then nothing but `limit` may be set beside it. */
  readonly continue?: string
  readonly resourceVersion?: ResourceVersion
  /** Required with `resourceVersion`: without it the server takes `limit` + a version for Exact. */
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan'
}

export interface ListPage<T extends KubeObject> {
  readonly items: readonly T[]
  /** Of the whole list: every page of one list has the same. */
  readonly resourceVersion: ResourceVersion
  /** Absent on the last page. */
  readonly continue?: string
}

export interface WatchQuery {
  /** The version after which frames are wanted. Absent only with `sendInitialEvents` (a consistent first read). */
  readonly resourceVersion?: ResourceVersion
  /** Seconds after which the server closes the watch cleanly. */
  readonly timeoutSeconds: number
  /** WatchList: the current objects come first, up to a bookmark with `initialEventsEnd`. */
  readonly sendInitialEvents?: true
}

/** One line of a watch response. */
export type Frame<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T; readonly bytes: number }
  /** Progress without a change. `initialEventsEnd`: annotation `k8s.io/initial-events-end` is exactly `"true"`. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: ResourceVersion; readonly initialEventsEnd: boolean }
  /** The server ends the watch with a Status. Nothing follows. */
  | { readonly type: 'ERROR'; readonly error: KubeError }

/**
 * An open watch. Iterate once; each step gives the frames of one chunk, at least one. Not pulling stops reading
 * the socket. Returns when the server closes cleanly. Throws a KubeError: `reset` (also a truncated last line), `idle`,
 * `unusable` (what came before it in the chunk has been yielded). Disposing closes the response once, at any time.
 */
export interface Frames<T extends KubeObject> extends AsyncIterable<readonly Frame<T>[]>, AsyncDisposable {}
