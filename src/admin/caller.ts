/**
 * Whether a request to the admin API comes from who it seems to: it has no login, and is safe only because nobody but
 * this machine can reach it. A browser on this machine can, on behalf of any page that it shows.
 */
import type { IncomingMessage } from 'node:http'
import { isLoopback } from '../lib/listen-address.ts'

/** Why the request is refused; undefined if it is not. */
export function foreignCaller({ headers, method }: IncomingMessage): string | undefined {
  const { host = '', origin } = headers
  // A name of another page's that suddenly leads here (DNS rebinding) stands in `host`.
  if (!isLoopback(hostnameOf(host))) return 'only for callers that ask for localhost, 127.0.0.1 or [::1]'
  if (origin !== undefined && origin !== `http://${host}`) return 'not for pages of other origins'
  const site = headers['sec-fetch-site'] ?? 'none'
  if (site !== 'none' && site !== 'same-origin') return 'not for pages of other origins'
  // What a page of another origin may send without asking first is text or a form.
  const isJson = /^application\/json(?:\s*;|$)/i.test(headers['content-type'] ?? '')
  if (method === 'POST' && !isJson) return 'POST takes application/json'
  return undefined
}

/** Without its port and brackets; empty for what is none. */
function hostnameOf(host: string): string {
  const [, bracketed, name] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+))(?::\d{1,5})?$/.exec(host) ?? []
  return bracketed ?? name?.toLowerCase() ?? ''
}
