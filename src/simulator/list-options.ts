import { isTrue } from './request.ts'
import type { Definition } from './resources.ts'
import { fieldSelector, labelSelector, type Selector } from './selector.ts'
import { badRequest, type Invalid, internalError, invalid } from './status.ts'

/** The query of a list or watch, checked. */
export interface ListOptions {
  /** 0: no limit. */
  readonly limit: number
  readonly continue: string
  /** Undefined if unset; 0 means "any". */
  readonly resourceVersion: bigint | undefined
  readonly match: '' | 'Exact' | 'NotOlderThan'
  readonly sendInitialEvents: boolean
  /** Whether a bookmark tells where the initial objects end. */
  readonly marksTheirEnd: boolean
  readonly allowWatchBookmarks: boolean
  readonly timeoutSeconds: number | undefined
  readonly selects: Selector
  /** True if some objects may be left out: then a list does not say how many remain. */
  readonly selective: boolean
}

/**
 * What becomes of a list that is asked for as a watch. `refused`: 422, as without the feature gate WatchList. `unmarked`:
 * the objects come and their end is never told, as from servers that do not know of it and behind some proxies.
 */
export type StreamedListsMode = 'served' | 'refused' | 'unmarked'

/** Reads and checks the query as apimachinery does for `ListOptions`. Throws a 400, 422 or 500 like the real server. */
export function listOptions(
  query: URLSearchParams,
  definition: Definition,
  mode: { readonly verb: 'list' } | { readonly verb: 'watch'; readonly streamedLists: StreamedListsMode },
): ListOptions {
  const limit = integer(query.get('limit')) ?? 0
  const timeoutSeconds = integer(query.get('timeoutSeconds'))
  const labels = query.get('labelSelector') ?? ''
  const fields = query.get('fieldSelector') ?? ''
  const selectors = [labelSelector(labels), fieldSelector(fields, definition.fields, definition.builtIn)]
  const version = query.get('resourceVersion') ?? ''
  const given = query.get('sendInitialEvents')
  // A watch without a version has always begun with the state: the server treats it as a WatchList
  const implied =
    mode.verb === 'watch' && given === null && !query.has('resourceVersionMatch') && (version === '' || version === '0')
  const match = implied ? 'NotOlderThan' : (query.get('resourceVersionMatch') ?? '')
  const sendInitialEvents = implied ? true : given === null ? undefined : isTrue(given)
  const token = query.get('continue') ?? ''
  const allowWatchBookmarks = isTrue(query.get('allowWatchBookmarks'))
  const problems =
    mode.verb === 'list'
      ? listProblems(version, match, token, sendInitialEvents)
      : watchProblems(match, token, sendInitialEvents, mode.streamedLists === 'refused' && !implied)
  if (problems.length > 0) throw invalid('ListOptions', 'meta.k8s.io', '', problems)
  return {
    limit: Math.max(0, limit),
    continue: token,
    resourceVersion: version === '' ? undefined : parseVersion(version, mode.verb),
    match: match === 'Exact' || match === 'NotOlderThan' ? match : '',
    sendInitialEvents: sendInitialEvents === true,
    marksTheirEnd: mode.verb === 'watch' && mode.streamedLists === 'served' && allowWatchBookmarks,
    allowWatchBookmarks,
    timeoutSeconds,
    selects: (candidate) => selectors.every((selector) => selector(candidate)),
    selective: labels !== '' || fields !== '',
  }
}

function integer(text: string | null): number | undefined {
  if (text === null || text === '') return undefined
  if (!/^-?[0-9]+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}

function parseVersion(text: string, mode: 'list' | 'watch'): bigint {
  if (/^[0-9]+$/.test(text)) return BigInt(text)
  const message = `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`
  throw mode === 'watch' ? internalError(message) : badRequest(`invalid resource version: ${message}`)
}

function listProblems(
  version: string,
  match: string,
  token: string,
  sendInitialEvents: boolean | undefined,
): readonly Invalid[] {
  const problems: Invalid[] = []
  if (match !== '') {
    if (token !== '')
      problems.push(
        forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'),
      )
    else if (version === '')
      problems.push(
        forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
      )
    else if (match !== 'Exact' && match !== 'NotOlderThan')
      problems.push(unsupportedMatch(match, '"Exact", "NotOlderThan", ""'))
    else if (match === 'Exact' && version === '0') {
      problems.push(
        forbiddenField('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
      )
    }
  }
  if (sendInitialEvents !== undefined)
    problems.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  return problems
}

function watchProblems(
  match: string,
  token: string,
  sendInitialEvents: boolean | undefined,
  refused: boolean,
): readonly Invalid[] {
  const problems: Invalid[] = []
  const forbid = (field: string, why: string) => problems.push(forbiddenField(field, `${field} is forbidden ${why}`))
  if (sendInitialEvents !== undefined) {
    if (match !== 'NotOlderThan') {
      const message = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'
      problems.push(forbiddenField('resourceVersionMatch', message))
    }
    if (refused) forbid('sendInitialEvents', 'for watch unless the WatchList feature gate is enabled')
  }
  if (match === '') return problems
  if (sendInitialEvents === undefined) forbid('resourceVersionMatch', 'for watch unless sendInitialEvents is provided')
  if (match !== 'NotOlderThan') problems.push(unsupportedMatch(match, '"NotOlderThan"'))
  if (token !== '') forbid('resourceVersionMatch', 'when continue is provided')
  return problems
}

function forbiddenField(field: string, message: string): Invalid {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${message}`, field }
}

function unsupportedMatch(match: string, supported: string): Invalid {
  const message = `Unsupported value: ${JSON.stringify(match)}: supported values: ${supported}`
  return { reason: 'FieldValueNotSupported', message, field: 'resourceVersionMatch' }
}
