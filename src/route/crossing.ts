import type { Delta } from '../informer/delta.ts'
import type { KubeObject } from '../kube/object.ts'

/** A delta about one object. */
export type ObjectDelta<T extends KubeObject = KubeObject> = Extract<
  Delta<T>,
  { readonly type: 'Added' | 'Updated' | 'Deleted' }
>

/**
 * What a change is to somebody who sees only members: an object that becomes one is `Added`, one that no longer is one is
 * `Deleted` with `gone: false`; undefined: nothing, it neither was nor is one. A `Deleted` carries the last state that was
 * a member's, or none: what is not let through is not shown by its leaving either.
 * `was`: what the receiver holds. `is`: whether the change's object is a member. `before`: whether `previous` was one.
 * Source: client-go FilteringResourceEventHandler.
 */
export function crossing<T extends KubeObject>(
  change: ObjectDelta<T>,
  { was, is, before }: { readonly was: boolean; readonly is: boolean; readonly before: boolean },
): ObjectDelta<T> | undefined {
  switch (change.type) {
    case 'Added':
      if (is) return change
      return was ? left(change, undefined) : undefined
    case 'Updated': {
      if (is && was) return change
      const { previous, ...added } = change
      if (is) return { ...added, type: 'Added' }
      return was ? left(change, before ? previous : undefined) : undefined
    }
    case 'Deleted':
      if (!was) return undefined
      return is || !change.object ? change : { ...change, object: undefined, finalStateKnown: false }
  }
}

function left<T extends KubeObject>(
  { object, resourceVersion, observed, observedAt, collapsed }: Exclude<ObjectDelta<T>, { readonly type: 'Deleted' }>,
  last: T | undefined,
): ObjectDelta<T> {
  const { namespace, name, uid } = object.metadata
  return {
    type: 'Deleted',
    identity: { ...(namespace === undefined ? {} : { namespace }), name, uid },
    object: last,
    gone: false,
    finalStateKnown: false, // that would be one in which it was no member any more
    resourceVersion,
    observed,
    observedAt,
    collapsed,
  }
}
