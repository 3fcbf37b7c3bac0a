/**
 * Every way in which talking to an API server fails. Callers decide by `code`, never by message; a stream tries again
 * after each of them, what differs is from where (informer/cure.ts).
 * Sources: apimachinery `Status`/`StatusReason`, HTTP status codes, informer conformance rows C16-C23, X1-X16.
 */
export type KubeErrorCode =
  /** No connection: refused, DNS, TLS. The request was not processed. */
  | 'refused'
  /** The connection broke after the request was sent: reset, EOF, GOAWAY, a truncated last line of a watch. */
  | 'reset'
  /** Nothing arrived for longer than the watchdog allows. */
  | 'idle'
  /** 429: too many requests, or a watch cache that is not ready. `retryAfterMs` is usually set. */
  | 'throttled'
  /** 503, 502, 504 without a more exact reason. */
  | 'unavailable'
  /** 500 and other 5xx, also in a watch (`StoreReadError`). */
  | 'server'
  /** 410 `Expired` or `Gone`: the resourceVersion or the continue token is older than the server's history. */
  | 'expired'
  /** The server has not reached the resourceVersion that was asked for (504 `ResourceVersionTooLarge`). */
  | 'too-large-resource-version'
  /** 401. */
  | 'unauthorized'
  /** 403. Heals when the right is granted. */
  | 'forbidden'
  /** 404: the resource is not served (a CRD that is gone or not there yet). */
  | 'not-found'
  /** Any other 4xx: the server will not take this request as it is. */
  | 'rejected'
  /** A frame or list that cannot be used: bad JSON, unknown type, no resourceVersion, wrong kind, a `Table`. */
  | 'unusable'

export interface KubeErrorDetails {
  /** HTTP status, or the `code` of a Status object in a watch. */
  readonly status?: number
  /** `reason` of the Status object, for example `Expired`. */
  readonly reason?: string
  /** From `Retry-After` or `details.retryAfterSeconds`; at most five minutes. */
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/** A failed request, or a watch that ended other than cleanly. The message names the request, never a credential. */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly code: KubeErrorCode
  readonly status: number | undefined
  readonly reason: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: KubeErrorCode, message: string, details: KubeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = details.status
    this.reason = details.reason
    this.retryAfterMs = details.retryAfterMs
  }
}
