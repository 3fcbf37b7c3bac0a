import type { JsonObject } from './json.ts'

/** A `Status` object of kind Failure. Members that are undefined are left out of the JSON. */
export interface Failure {
  readonly code: number
  readonly message: string
  readonly reason?: string
  readonly details?: FailureDetails
  /** `metadata` of the Status: a list that expired names a token to go on with. */
  readonly metadata?: JsonObject
}

export interface FailureDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[]
  readonly retryAfterSeconds?: number
}

/** A request that the API server answers with a Status, in the words of kube-apiserver 1.36. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** The Status as the server sends it: as a response body, or as the object of an ERROR frame. */
export function statusObject({ code, message, reason, details, metadata }: Failure): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: metadata ?? {},
    status: 'Failure',
    message,
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    code,
  }
}

/** What an error names: `kind` is the plural resource, as in the server's own details. */
export interface Named {
  readonly group: string
  readonly resource: string
}

function detailsOf({ group, resource }: Named, name: string): FailureDetails {
  return { ...(name ? { name } : {}), ...(group ? { group } : {}), kind: resource }
}

function qualified({ group, resource }: Named): string {
  return group ? `${resource}.${group}` : resource
}

export function badRequest(message: string): StatusError {
  return new StatusError({ code: 400, reason: 'BadRequest', message })
}

export function unauthorized(): StatusError {
  return new StatusError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' })
}

export function forbidden(of: Named, name: string, why: string, causes?: FailureDetails['causes']): StatusError {
  const subject = name ? `${qualified(of)} ${JSON.stringify(name)}` : qualified(of)
  return new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: `${subject} is forbidden: ${why}`,
    details: { ...detailsOf(of, name), ...(causes ? { causes } : {}) },
  })
}

export function notFound(of: Named, name: string): StatusError {
  return new StatusError({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(of)} ${JSON.stringify(name)} not found`,
    details: detailsOf(of, name),
  })
}

export function unknownResource(): StatusError {
  const message = 'the server could not find the requested resource'
  return new StatusError({ code: 404, reason: 'NotFound', message, details: {} })
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource'
  return new StatusError({ code: 405, reason: 'MethodNotAllowed', message, details: {} })
}

export function notAcceptable(): StatusError {
  const message = '406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch'
  return new StatusError({ code: 406, reason: 'NotAcceptable', message, details: {} })
}

export function alreadyExists(of: Named, name: string): StatusError {
  return new StatusError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${qualified(of)} ${JSON.stringify(name)} already exists`,
    details: detailsOf(of, name),
  })
}

export function conflict(of: Named, name: string, why: string): StatusError {
  return new StatusError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualified(of)} ${JSON.stringify(name)}: ${why}`,
    details: detailsOf(of, name),
  })
}

/** The server's history no longer reaches back to what was asked for. */
export function expired(message: string, continueToken?: string): StatusError {
  return new StatusError({
    code: 410,
    reason: 'Expired',
    message,
    ...(continueToken === undefined ? {} : { metadata: { continue: continueToken } }),
  })
}

export function unsupportedMediaType(message = '415: Unsupported Media Type'): StatusError {
  return new StatusError({ code: 415, reason: 'UnsupportedMediaType', message, details: {} })
}

export interface Invalid {
  readonly reason: 'FieldValueInvalid' | 'FieldValueRequired' | 'FieldValueForbidden' | 'FieldValueNotSupported'
  readonly field: string
  readonly message: string
}

/** 422 with one cause per field. `kind` is the kind of the object, here, not its plural. */
export function invalid(kind: string, group: string, name: string, problems: readonly Invalid[]): StatusError {
  const lines = problems.map(({ field, message }) => `${field}: ${message}`)
  const subject = `${group ? `${kind}.${group}` : kind} ${JSON.stringify(name)} is invalid`
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `${subject}: ${lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`}`,
    details: { ...(name ? { name } : {}), ...(group ? { group } : {}), kind, causes: problems },
  })
}

export function internalError(message: string): StatusError {
  return new StatusError({ code: 500, message })
}

/** 504: the client has seen a version that this server has not reached. */
export function tooLargeResourceVersion(asked: bigint, current: bigint): StatusError {
  return new StatusError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: Too large resource version: ${asked}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  })
}
