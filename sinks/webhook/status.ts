/** What an HTTP answer means for a delivery. */
import type { DeliveryErrorCode } from '../../src/delivery/sink.ts'

const codes: Readonly<Record<number, DeliveryErrorCode>> = {
  401: 'unauthorized',
  403: 'unauthorized',
  404: 'unavailable',
  405: 'unavailable',
  408: 'failed',
  409: 'conflict',
  410: 'gone',
  413: 'too-large',
  415: 'unsupported',
  425: 'failed',
  429: 'throttled',
  500: 'failed',
  501: 'unsupported',
}

/**
 * Undefined: delivered. A redirect is never followed: it could lead anywhere. 404 and 405 are about the URL, not about the
 * event: a wrong path, or a route that is not there yet.
 */
export function failureCode(status: number): DeliveryErrorCode | undefined {
  if (status >= 200 && status < 300) return undefined
  return codes[status] ?? (status >= 500 ? 'unavailable' : 'rejected')
}

/** It begins with the name of a day, in all three formats; Date.parse alone takes `-1` for a year. */
const HTTP_DATE = /^[A-Z][a-z]{2,8},? .*[0-9]{2}:[0-9]{2}:[0-9]{2}/

/**
 * `Retry-After` in ms: seconds, or an HTTP-date, which is 0 when it is past. Undefined for anything else.
 * Source: RFC 9110, 10.2.3.
 */
export function retryAfterMs(header: string | readonly string[] | undefined, now: Date): number | undefined {
  const text = typeof header === 'string' ? header.trim() : header?.[0]?.trim()
  if (!text) return undefined
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000
  const date = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime())
}
