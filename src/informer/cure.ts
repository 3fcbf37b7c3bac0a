import type { KubeErrorCode } from '../kube/errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { assertNever } from '../lib/assert-never.ts'
import type { Position, State } from './reflector.ts'

/** Where a stream goes on after a failed call or watch. Which wait comes first is not decided here (pace.ts). */
export function cure<T extends KubeObject>(state: State<T>, code: KubeErrorCode): State<T> {
  switch (state.type) {
    case 'Empty':
    case 'Lost':
      return state
    case 'Paging':
      return samePageAgain.has(code) ? state : { type: 'Empty', cause: state.cause, last: state.last }
    case 'Listed':
      return cureWatch(state, watchCures[code].start, code)
    case 'Watching':
      return cureWatch(state, watchCures[code].open, code)
    default:
      return assertNever(state)
  }
}

/** Faults of the way or of the moment. After any other, the list starts again at page 1: it has one version. */
const samePageAgain: ReadonlySet<KubeErrorCode> = new Set([
  'refused',
  'reset',
  'idle',
  'throttled',
  'unavailable',
  'server',
  'unauthorized',
  'forbidden',
])

/**
 * `again`: the same watch. `check`: the same, once the server has proven that its versions have not gone back.
 * `relist`: the watch cannot go on from here. `skip`: the same watch once more, then a list.
 */
type Cure = 'again' | 'check' | 'relist' | 'skip'

/** By code: after a watch that could not be opened, and after one that broke. */
const watchCures = {
  refused: { start: 'check', open: 'check' },
  reset: { start: 'check', open: 'check' },
  idle: { start: 'check', open: 'check' },
  throttled: { start: 'again', open: 'again' },
  unavailable: { start: 'check', open: 'check' },
  // in an open watch: StoreReadError, an object that the server cannot decode. Only a list gets past it
  server: { start: 'check', open: 'relist' },
  expired: { start: 'relist', open: 'relist' },
  'too-large-resource-version': { start: 'again', open: 'again' },
  unauthorized: { start: 'again', open: 'again' },
  forbidden: { start: 'again', open: 'again' },
  'not-found': { start: 'again', open: 'again' },
  rejected: { start: 'again', open: 'relist' },
  unusable: { start: 'skip', open: 'skip' },
} as const satisfies Record<KubeErrorCode, { readonly start: Cure; readonly open: Cure }>

function cureWatch<T extends KubeObject>(
  { resourceVersion, unusableAfter }: Position,
  cure: Cure,
  code: KubeErrorCode,
): State<T> {
  switch (cure) {
    case 'again':
      return { type: 'Listed', resourceVersion, unusableAfter }
    case 'check':
      return { type: 'Lost', resourceVersion, unusableAfter }
    case 'relist':
      return { type: 'Empty', cause: code === 'expired' ? 'expired' : 'server-error', last: resourceVersion }
    case 'skip':
      return unusableAfter === resourceVersion
        ? { type: 'Empty', cause: 'unusable', last: resourceVersion }
        : { type: 'Listed', resourceVersion, unusableAfter: resourceVersion }
    default:
      return assertNever(cure)
  }
}
