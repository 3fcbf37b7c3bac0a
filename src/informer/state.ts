import type { Frame, Frames } from '../kube/list-watch.ts'
import { compareResourceVersions, type KubeObject, type ResourceVersion, type Uid } from '../kube/object.ts'
import type { InitCause, Item } from './watch-event.ts'

/** What is known about a stream: exactly what the next step needs. */
export type State<T extends KubeObject> =
  /** Nothing of the next list is in. */
  | ({ readonly type: 'Empty'; readonly ask: Ask } & ListBegun)
  /** Some pages are in; `next` continues them. `objects`: how many so far. */
  | ({
      readonly type: 'Paging'
      readonly resourceVersion: ResourceVersion
      readonly next: string
      readonly objects: number
      readonly pages: number
      /** One of the pages so far: met again, the list goes round in a circle. */
      readonly landmark: Landmark
    } & ListBegun)
  /** A watch is open that begins with the objects, and the marker that ends them has not come. */
  | ({
      readonly type: 'Streaming'
      readonly ask: StreamAsk
      readonly objects: number
      /** How long the server was waited for, in ms. What the reader took for itself does not count. */
      readonly waitedMs: number
    } & ListBegun &
      OpenWatch<T>)
  /** The connection was lost: before the next watch the server must prove that its versions have not gone back. */
  | ({ readonly type: 'Lost' } & Position)
  /** No watch is open. */
  | ({
      readonly type: 'Listed'
      /** The server was ahead when it was asked last: how far this stream is says only a bookmark. */
      readonly isBehind?: boolean
    } & Position)
  | ({ readonly type: 'Watching'; readonly framesSeen: number } & Position & OpenWatch<T>)

/** Batches of items and the state after them. */
export type Step<T extends KubeObject> = readonly [readonly Item<T>[], State<T>]

/** Why a list is taken. `last`: the position before it, unless it is the first. */
export interface ListBegun {
  readonly cause: InitCause
  readonly last: ResourceVersion | undefined
}

/** How the next list is asked for. */
export type Ask = StreamAsk | PagesAsk

/** As a watch that begins with the objects (WatchList). */
export interface StreamAsk {
  readonly type: 'Stream'
  /** Undefined: the newest state. */
  readonly notOlderThan: ResourceVersion | undefined
  /** Times that it broke off before its marker, one after another. */
  readonly broken: number
}

/** Page by page. It stays so until a list is in: what made the stream fail may last. */
export interface PagesAsk {
  readonly type: 'Pages'
}

export interface OpenWatch<T extends KubeObject> {
  readonly frames: Frames<T>
  readonly chunks: AsyncIterator<readonly Frame<T>[]>
  /** `Clock.monotonic`. */
  readonly openedAt: number
}

export interface Position {
  /** Of the last list, frame or bookmark. */
  readonly resourceVersion: ResourceVersion
  /** Where an unusable frame was met. Met again at the same place, only a list leads past it. */
  readonly unusableAfter: ResourceVersion | undefined
  /** A newer version that the server has shown and the stream has not reached: a lower one proves a restore. */
  readonly seen: ResourceVersion | undefined
}

/** What a page with more to come is known by. */
export interface Landmark {
  readonly next: string
  readonly first: Uid | undefined
  readonly last: Uid | undefined
}

/** The newest version that the server is known to have had. */
export function newestOf({ resourceVersion, seen }: Position): ResourceVersion {
  return seen !== undefined && compareResourceVersions(seen, resourceVersion) > 0 ? seen : resourceVersion
}

/** Before a list. After a restored history the server has yet to reach the version that was the last one. */
export function beforeList(cause: InitCause, last: ResourceVersion | undefined): State<KubeObject> & { type: 'Empty' } {
  const notOlderThan = cause === 'restored' ? undefined : last
  return { type: 'Empty', cause, last, ask: { type: 'Stream', notOlderThan, broken: 0 } }
}
