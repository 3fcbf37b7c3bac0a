import type { ListOptions } from './list-options.ts'
import type { Representation } from './representation.ts'
import { badRequest, expired } from './status.ts'
import type { Table, Version } from './table.ts'

/** One page of a list: what is in it, and where the next one begins. */
export interface Page {
  readonly versions: readonly Version[]
  readonly revision: bigint
  readonly continue: string
  readonly remaining: number | undefined
}

const VERSION_TOO_OLD = 'The resourceVersion for the provided list is too old.'
const TOKEN_TOO_OLD =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the ' +
  'continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing ' +
  'with the provided token results in an inconsistent list - objects that were created, modified, or deleted between ' +
  'the time the first chunk was returned and now may show up in the list.'

/**
 * The page that `options` ask for, out of the objects of one namespace, or of all (`''`).
 * `current` is the store's revision; every page of a list shows the state at the revision of its first page.
 */
export function page(table: Table, namespace: string, options: ListOptions, current: bigint): Page {
  const token = options.continue === '' ? undefined : decodeToken(options.continue)
  const revision = token ? (token.revision ?? current) : (exactRevision(options) ?? current)
  const snapshot = table.snapshot(revision)
  if (!snapshot) throw token ? expired(TOKEN_TOO_OLD, encodeToken(undefined, token.start)) : expired(VERSION_TOO_OLD)
  const limit = options.resourceVersion === 0n ? 0 : options.limit
  const start = token ? firstAfter(snapshot, token.start) : 0
  const versions: Version[] = []
  let next = start
  for (; next < snapshot.length && (limit === 0 || versions.length < limit); next++) {
    const version = snapshot[next]
    if (version && (namespace === '' || version.namespace === namespace) && options.selects(version))
      versions.push(version)
  }
  const remaining = limit === 0 ? 0 : countAfter(snapshot, next, namespace, options)
  const last = versions.at(-1)
  const more = remaining > 0 && last !== undefined
  return {
    versions,
    revision,
    continue: more ? encodeToken(revision, last.key) : '',
    remaining: more && !options.selective ? remaining : undefined,
  }
}

function exactRevision({ resourceVersion, match, limit }: ListOptions): bigint | undefined {
  if (resourceVersion === undefined || resourceVersion === 0n || match === 'NotOlderThan') return undefined
  return match === 'Exact' || limit > 0 ? resourceVersion : undefined
}

function firstAfter(snapshot: readonly Version[], key: string): number {
  let low = 0
  let high = snapshot.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((snapshot[middle]?.key ?? '') <= key) low = middle + 1
    else high = middle
  }
  return low
}

/** How many are left; for a selection, which the server does not count, only whether any is. */
function countAfter(
  snapshot: readonly Version[],
  from: number,
  namespace: string,
  { selects, selective }: ListOptions,
): number {
  if (namespace === '' && !selective) return snapshot.length - from
  let count = 0
  for (let index = from; index < snapshot.length; index++) {
    const version = snapshot[index]
    if (!version || (namespace !== '' && version.namespace !== namespace) || !selects(version)) continue
    count++
    if (selective) break
  }
  return count
}

interface Token {
  /** Undefined: at the newest revision, for a list that gave up being consistent. */
  readonly revision: bigint | undefined
  readonly start: string
}

function encodeToken(revision: bigint | undefined, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: String(revision ?? -1), start })).toString('base64url')
}

function decodeToken(text: string): Token {
  try {
    const { rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString()) as { rv: string; start: string }
    return { revision: rv === '-1' ? undefined : BigInt(rv), start: String(start) }
  } catch (cause) {
    throw badRequest(`invalid continue token: continue key is not valid: ${String(cause)}`)
  }
}

/** The list's JSON in pieces of at most some 64 KiB and one object. */
export function* listText(
  { versions, revision, continue: token, remaining }: Page,
  form: Representation,
): Generator<string> {
  const metadata = {
    resourceVersion: String(revision),
    // Lists of custom resources have the member even when it is empty
    ...(token || form.namesContinue ? { continue: token } : {}),
    ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
  }
  let text = `{"kind":"${form.listKind}","apiVersion":"${form.listApiVersion}","metadata":${JSON.stringify(metadata)},"items":[`
  let separator = ''
  for (const version of versions) {
    text += separator + form.item(version)
    separator = ','
    if (text.length > 65_536) {
      yield text
      text = ''
    }
  }
  yield `${text}]}\n`
}
