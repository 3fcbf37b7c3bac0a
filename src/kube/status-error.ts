/** The one place where what an API server answers, or a broken connection, becomes a `KubeError`. */
import { KubeError, type KubeErrorCode } from './errors.ts'
import { isRecord, type JsonRecord } from './json.ts'

export interface StatusContext {
  /** What was asked for, without its query: `GET /api/v1/pods`. */
  readonly request: string
  /** HTTP status; a Status object in a watch brings its own. */
  readonly status?: number
  /** From the `Retry-After` header. */
  readonly retryAfterMs?: number | undefined
}

/**
 * A refusal, from its HTTP status and the Status object in its body, or from the Status object of an ERROR frame.
 * The code is the same both ways, because servers report the same failure in either.
 * Source: apimachinery `errors.go` (reasons), client-go `isTooLargeResourceVersionError`.
 */
export function errorFromStatus(body: unknown, { request, ...context }: StatusContext): KubeError {
  const status: JsonRecord = isRecord(body) && body.kind === 'Status' ? body : {}
  const details: JsonRecord = isRecord(status.details) ? status.details : {}
  const number = context.status ?? (typeof status.code === 'number' ? status.code : undefined)
  const reason = typeof status.reason === 'string' ? status.reason : undefined
  const seconds = details.retryAfterSeconds
  const retryAfterMs =
    context.retryAfterMs ?? (typeof seconds === 'number' && seconds > 0 ? delayOf(seconds) : undefined)
  const code = isTooLarge(number, status, details) ? 'too-large-resource-version' : codeOf(number, reason)
  const message = typeof status.message === 'string' ? `: ${printable(status.message)}` : ''
  return new KubeError(code, `${request}: ${[number, reason].filter(Boolean).join(' ') || 'failed'}${message}`, {
    ...(number === undefined ? {} : { status: number }),
    ...(reason === undefined ? {} : { reason }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

function codeOf(status: number | undefined, reason: string | undefined): KubeErrorCode {
  if (reason === 'Expired' || reason === 'Gone') return 'expired'
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
      return 'not-found'
    case 410:
      return 'expired'
    case 429:
      return 'throttled'
    case 502:
    case 503:
    case 504:
      return 'unavailable'
    default:
      // a Status without a code in a watch is a failure of the server, not of the request
      return status === undefined || status === 0 || status >= 500 ? 'server' : 'rejected'
  }
}

const TOO_LARGE = 'Too large resource version'

/** By cause reason (since 1.19), by cause message (1.17 to 1.18), by the message alone (before). */
function isTooLarge(number: number | undefined, status: JsonRecord, details: JsonRecord): boolean {
  const causes: readonly unknown[] = Array.isArray(details.causes) ? details.causes : []
  const caused = causes.some(
    (cause) => isRecord(cause) && (cause.reason === 'ResourceVersionTooLarge' || includes(cause.message, TOO_LARGE)),
  )
  return caused || (number === 504 && includes(status.message, TOO_LARGE))
}

const includes = (value: unknown, text: string): boolean => typeof value === 'string' && value.includes(text)

/** A server's message, on one line and of bounded length. */
const printable = (text: string): string => text.slice(0, 400).replaceAll(/\p{Cc}+/gu, ' ')

/** Failures before a byte of the request could be processed. */
const REFUSED =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|UND_ERR_CONNECT_TIMEOUT|UND_ERR_PRX_TLS)$|^ERR_(TLS|SSL|OSSL)|CERT|SELF_SIGNED|UNABLE_TO_/

/** A connection that was not made, or broke. */
export function errorFromConnection(cause: unknown, request: string): KubeError {
  if (cause instanceof KubeError) return cause
  const { code: systemCode, syscall, message } = facts(cause)
  const where = `${request}: ${printable(message)}`
  if (systemCode === 'UND_ERR_HEADERS_TIMEOUT' || systemCode === 'UND_ERR_BODY_TIMEOUT') {
    return new KubeError('idle', where, { cause })
  }
  if (REFUSED.test(systemCode) || syscall === 'connect') return new KubeError('refused', where, { cause })
  return new KubeError('reset', where, { cause })
}

function facts(error: unknown): { readonly code: string; readonly syscall: unknown; readonly message: string } {
  if (!(error instanceof Error)) return { code: '', syscall: undefined, message: 'failed' }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // an AggregateError, one attempt per address, has no message of its own
  return { code, syscall: 'syscall' in error ? error.syscall : undefined, message: error.message || code || error.name }
}

/** Nothing is heard of a server while it is waited for. */
const MAX_RETRY_AFTER_MS = 300_000

const delayOf = (seconds: number): number => Math.min(seconds * 1000, MAX_RETRY_AFTER_MS)

/** Milliseconds of a `Retry-After` header in seconds, at most five minutes; an HTTP date counts as none, as in client-go. */
export function retryAfterMs(header: string | readonly string[] | undefined): number | undefined {
  const text = typeof header === 'string' ? header : header?.[0]
  return text !== undefined && /^\d{1,9}$/.test(text) ? delayOf(Number(text)) : undefined
}
