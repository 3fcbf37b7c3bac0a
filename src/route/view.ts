import type { Change } from '../reconcile/change.ts'

/** What a route may ask for. `snapshot`: begin, items, end and aborted. */
export type On = 'added' | 'updated' | 'deleted' | 'snapshot' | 'gap'

/** What an event's data holds. */
export interface Payload {
  readonly shape: 'object' | 'metadata' | 'reference' | 'bare'
  /** Sends the previous observed state with an `updated`. */
  readonly previous: boolean
}

export interface Route {
  readonly name: string
  /** Names of sources; absent = all. */
  readonly from?: readonly string[]
  /** Names of sinks. */
  readonly to: readonly string[]
  /** Membership: the route lets an object through while this CEL expression is true of it. Absent = always. */
  readonly where?: string
  /** Absent = what is usual for the stream. */
  readonly on?: readonly On[]
  readonly payload: Payload
}

/**
 * What one sink sees of one stream. The first route from the source to the sink shapes everything that the sink gets:
 * there is no fall-through, and a change reaches a sink once.
 */
export interface View {
  readonly sink: string
  readonly payload: Payload
  readonly on: ReadonlySet<On>
}

export const allOn = ['added', 'updated', 'deleted', 'snapshot', 'gap'] as const satisfies readonly On[]
/**
 * What is usual for KubeEvents: they are deleted by the hundred when their time is over, which says nothing of the
 * cluster. A copy of them is made right by full snapshots.
 */
export const onOfKubeEvents = allOn.filter((type) => type !== 'deleted')
export const wholeObject: Payload = { shape: 'object', previous: false }

const kindOfChange: Record<Exclude<Change['type'], 'Progress'>, On> = {
  Added: 'added',
  Updated: 'updated',
  Deleted: 'deleted',
  Gap: 'gap',
  SnapshotBegin: 'snapshot',
  SnapshotItem: 'snapshot',
  SnapshotEnd: 'snapshot',
  SnapshotAborted: 'snapshot',
}

/** Whether the view's sink is to get this change. */
export function wants({ on }: View, change: Exclude<Change, { type: 'Progress' }>): boolean {
  return on.has(kindOfChange[change.type])
}
