/** Snapshots that are asked for: what goes over the wire of the admin API, for its server and its clients. */

export interface SnapshotQuery {
  /** Name of a source, or of a stream: all of its streams. */
  readonly of: string
  /** Only for this sink. */
  readonly sink?: string | undefined
  /** Only objects of these namespaces, */
  readonly namespaces?: readonly string[] | undefined
  /** and with these labels, as kubectl takes it. */
  readonly labelSelector?: string | undefined
  /** The answer ends when each snapshot has `ended`; else when each has `began`, or after a few seconds. */
  readonly until: 'began' | 'ended'
}

/** What is known of one snapshot for one sink; the last line about them is how things are. */
export type SnapshotLine = { readonly stream: string; readonly sink: string } & SnapshotState

export type SnapshotState =
  /** It begins when what is running now has ended, and the sink has room. */
  | { readonly type: 'requested' }
  | { readonly type: 'began'; readonly snapshotId: string; readonly mode: string }
  /** `members`, `state`: digests as docs/events.md has them; absent for a part. */
  | { readonly type: 'completed'; readonly items: number; readonly members?: string; readonly state?: string }
  | { readonly type: 'aborted'; readonly cause: string }

/** There is no such thing, or not yet: for people, in whole words. */
export class SnapshotRefused extends Error {
  override readonly name = 'SnapshotRefused'
  /** Of HTTP. */
  readonly status: 404 | 409

  constructor(status: 404 | 409, message: string) {
    super(message)
    this.status = status
  }
}

/** What the admin API asks of the bridge. */
export interface SnapshotAdmin {
  /**
   * A line for each stream and sink, and one for each change of it. What was asked for goes on when nobody pulls any more
   * or `signal` aborts. Throws a SnapshotRefused, and then has asked for nothing.
   */
  request(query: SnapshotQuery, signal: AbortSignal): AsyncIterable<SnapshotLine>
}
