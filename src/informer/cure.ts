import type { KubeErrorCode } from '../kube/errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { assertNever } from '../lib/assert-never.ts'
import { beforeList, type ListBegun, newestOf, type Position, type State, type StreamAsk } from './state.ts'

/** Where a stream goes on after a failed call or watch. Which wait comes first is not decided here (pace.ts). */
export function cure<T extends KubeObject>(state: State<T>, code: KubeErrorCode): State<T> {
  switch (state.type) {
    case 'Lost':
      return state
    case 'Empty':
      return state.ask.type === 'Pages' ? state : cureStream(state, state.ask, code)
    case 'Streaming':
      return cureStream(state, state.ask, code)
    case 'Paging':
      return samePageAgain.has(code) ? state : pagesOf(state)
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

const pagesOf = ({ cause, last }: ListBegun): State<KubeObject> & { type: 'Empty' } => {
  return { type: 'Empty', cause, last, ask: { type: 'Pages' } }
}

/**
 * `again`: the same stream, from its beginning. `few`: the same, but not for ever: what stands before the server may cut
 * long answers. `newest`: the server does not know the version any more, or not yet. `pages`: this time.
 */
type StreamCure = 'again' | 'few' | 'newest' | 'pages'

const streamCures = {
  refused: 'again',
  reset: 'few',
  idle: 'pages',
  throttled: 'again',
  unavailable: 'few',
  server: 'pages',
  expired: 'newest',
  'too-large-resource-version': 'newest',
  unauthorized: 'again',
  // one may be allowed to list and not to watch
  forbidden: 'pages',
  'not-found': 'again',
  rejected: 'pages',
  unusable: 'pages',
} as const satisfies Record<KubeErrorCode, StreamCure>

/** Streams that break off before their marker, one after another, until the list is read page by page. */
const MAX_BROKEN = 3

function cureStream<T extends KubeObject>(list: ListBegun, ask: StreamAsk, code: KubeErrorCode): State<T> {
  const { cause, last } = list
  const cured = streamCures[code]
  switch (cured) {
    case 'again':
      return { type: 'Empty', cause, last, ask }
    case 'few': {
      const broken = ask.broken + 1
      return broken < MAX_BROKEN ? { type: 'Empty', cause, last, ask: { ...ask, broken } } : pagesOf(list)
    }
    case 'newest':
      return { type: 'Empty', cause, last, ask: { ...ask, notOlderThan: undefined } }
    case 'pages':
      return pagesOf(list)
    default:
      return assertNever(cured)
  }
}

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
  { resourceVersion, unusableAfter, seen }: Position,
  cure: Cure,
  code: KubeErrorCode,
): State<T> {
  const newest = newestOf({ resourceVersion, unusableAfter, seen })
  switch (cure) {
    case 'again':
      return { type: 'Listed', resourceVersion, unusableAfter, seen }
    case 'check':
      return { type: 'Lost', resourceVersion, unusableAfter, seen }
    case 'relist':
      return beforeList(code === 'expired' ? 'expired' : 'server-error', newest)
    case 'skip':
      return unusableAfter === resourceVersion
        ? beforeList('unusable', newest)
        : { type: 'Listed', resourceVersion, unusableAfter: resourceVersion, seen }
    default:
      return assertNever(cure)
  }
}
