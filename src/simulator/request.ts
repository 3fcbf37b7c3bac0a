import type { IncomingMessage } from 'node:http'

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

/** What a request is about, as authorization and faults see it. Source: Kubernetes documentation, "Request Verbs". */
export interface ResourceRequest {
  readonly type: 'resource'
  readonly verb: Verb
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  /** Empty: all namespaces, or cluster-scoped. */
  readonly namespace: string
  readonly name: string
  readonly query: URLSearchParams
}

export type RequestInfo =
  | ResourceRequest
  | {
      readonly type: 'path'
      readonly method: string
      readonly segments: readonly string[]
      readonly query: URLSearchParams
    }

const VERBS: Readonly<Record<string, Verb>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
  GET: 'get',
}

/** Reads method and URL: `/api/v1/namespaces/shop/pods/web-1/status`, `/apis/apps/v1/deployments?watch=true`. */
export function requestInfo({ method = 'GET', url = '/' }: Pick<IncomingMessage, 'method' | 'url'>): RequestInfo {
  const { pathname, searchParams: query } = new URL(url, 'http://simulator')
  const segments = pathname
    .split('/')
    .filter((segment) => segment !== '')
    .map(decodeURIComponent)
  const core = segments[0] === 'api'
  const rest = segments.slice(core ? 2 : 3)
  const verb = VERBS[method]
  if ((!core && segments[0] !== 'apis') || rest.length === 0 || !verb) return { type: 'path', method, segments, query }
  const group = core ? '' : (segments[1] ?? '')
  const version = segments[core ? 1 : 2] ?? ''
  const scoped = rest[0] === 'namespaces' && rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2] ?? '')
  const namespace = scoped ? (rest[1] ?? '') : ''
  const [resource = '', name = '', subresource = ''] = scoped ? rest.slice(2) : rest
  return {
    type: 'resource',
    verb: collectionVerb(verb, name, query),
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    query,
  }
}

/** `/api/v1/namespaces/shop/status` is about the namespace, not about something in it. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize'])

function collectionVerb(verb: Verb, name: string, query: URLSearchParams): Verb {
  // With a name it is a get, whatever the query says
  if (name !== '') return verb
  if (verb === 'get') return isTrue(query.get('watch')) ? 'watch' : 'list'
  return verb === 'delete' ? 'deletecollection' : verb
}

/** How Go's query decoding reads a boolean: present is true, unless it says 0 or false. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false'
}
