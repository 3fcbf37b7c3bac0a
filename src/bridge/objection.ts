/**
 * Whether an old event may go to a target that keeps the last one of each key. It would stand there as the newest: an
 * update would take back what came after it, an object that is gone would be there again, and a deletion would delete
 * the living that has its name now.
 */
import type { OutboundEvent } from '../delivery/sink.ts'
import { eventTypes } from '../events/index.ts'
import type { KubeObject } from '../kube/object.ts'

/** A stream as it is now. */
export interface Present {
  /** Of this key, as last seen; undefined: there is none. `unknown` until all were seen once. */
  object(key: string): KubeObject | 'unknown' | undefined
}

/** Why it must not be sent; undefined if it says how things stand now. */
export function objectionTo(
  { attributes }: OutboundEvent,
  streamOf: (name: string) => Present | undefined,
): string | undefined {
  const { stream, subject, uid, resourceversion: version, type } = attributes
  const present = streamOf(String(stream))
  const now = present ? present.object(String(subject)) : 'unknown'
  if (now === 'unknown') {
    return 'the sink keeps the last event of each object, and how the object is now is not known (yet)'
  }
  if (type === eventTypes.deleted) {
    if (!now) return undefined
    return now.metadata.uid === uid
      ? 'the object is there again'
      : 'its name is taken again: that object would be deleted'
  }
  if (!now) return 'the object is gone: it would be there again'
  const isCurrent = now.metadata.uid === uid && now.metadata.resourceVersion === version
  return isCurrent ? undefined : 'there is a newer version of the object: it would be taken back'
}
