import type { Notable } from '../reconcile/change.ts'
import type { ObjectDelta } from '../route/crossing.ts'
import type { RoutedView } from '../route/routed-view.ts'
import type { View } from '../route/view.ts'
import type { Told } from './told.ts'

/** A change as it is offered to a sink: `shape` is that of the route that lets its object through, or of the stream. */
export interface Form {
  readonly change: Notable
  readonly shape: View
}

/**
 * What a change is to a sink, by its view and what it was told; undefined: nothing. To be asked before the change is
 * expected there.
 */
export function formOf(change: Notable, routed: RoutedView, told: Told): Form | undefined {
  switch (change.type) {
    case 'Added':
    case 'Updated':
      return routed.see(asTold(change, told), wasMember(change, routed, told))
    case 'Deleted':
      return told.awaitsEnd(change.identity.uid) ? routed.see(change, true) : undefined
    case 'SnapshotItem': {
      const shape = routed.match(change.object)
      return shape && { change, shape }
    }
    default:
      return { change, shape: routed.stream }
  }
}

type Present = Extract<ObjectDelta, { readonly type: 'Added' | 'Updated' }>

/** An object that the sink was not told of is new to it. */
function asTold(change: Present, told: Told): Present {
  if (change.type !== 'Updated' || change.previous || told.has(change.object.metadata.uid)) return change
  const { object, resourceVersion, observed, observedAt, collapsed } = change
  return { type: 'Added', object, resourceVersion, observed, observedAt, collapsed }
}

/**
 * By what is recorded; undefined: the previous state says it. Of what is watched the history alone knows what it was:
 * a process that had read further has recorded what comes later. Of what a list has shown, one that is let in may be
 * recorded already because it will be told, and one that is not may have been told by that process.
 */
function wasMember(change: Present, routed: RoutedView, told: Told): boolean | undefined {
  const isWatched = change.observed === 'watch'
  if (isWatched && change.type === 'Added') return false
  const isMember = routed.admits?.(change.object) ?? true
  const isKnown = change.type === 'Updated' && change.previous && (isWatched || isMember)
  return isKnown ? undefined : told.holds(change.object.metadata.uid)
}
