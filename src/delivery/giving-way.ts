/** What an `end` waits for, if that is nothing but items that keep failing. */
import type { Entry } from './entry.ts'
import type { DeliveryError } from './errors.ts'
import type { Lane } from './lanes.ts'

export interface Blocking {
  readonly entry: Entry
  readonly lane: Lane
  /** Why it, or one before it in its lane, was not delivered. */
  readonly cause: DeliveryError
}

/**
 * Of this stream, in the order of the offers; undefined if it waits for anything else. An item is at fault, too, if one
 * before it in its lane is.
 */
export function itemsAtFault(
  unsettled: Iterable<Entry>,
  stream: string,
  isAtFault: (entry: Entry) => boolean,
): readonly Blocking[] | undefined {
  const causes = new Map<Lane, DeliveryError>()
  const blocking: Blocking[] = []
  for (const entry of unsettled) {
    const { lane, offered, error } = entry
    if (!lane || offered.stream !== stream || entry.isHeld) continue
    if (error && isAtFault(entry)) causes.set(lane, error)
    const cause = causes.get(lane)
    if (offered.kind !== 'item' || !cause) return undefined
    blocking.push({ entry, lane, cause })
  }
  return blocking
}
