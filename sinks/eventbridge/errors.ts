/** What EventBridge and the AWS SDK say when something fails, as codes of delivery. Never their messages: those may quote. */
import { DeliveryError, type DeliveryErrorCode } from '../../src/delivery/sink.ts'

/** `ErrorCode` of one entry of an answer with status 200. Any other: `failed`. */
export const entryCodes: Readonly<Record<string, DeliveryErrorCode>> = {
  InternalFailure: 'failed',
  InternalException: 'failed',
  ThrottlingException: 'throttled',
  InvalidArgument: 'rejected',
  MalformedDetail: 'rejected',
  RedactionFailure: 'rejected',
  AccessDeniedException: 'unauthorized',
  InvalidAccountIdException: 'unauthorized',
  NotAuthorizedForSourceException: 'unauthorized',
  NotAuthorizedForDetailTypeException: 'unauthorized',
}

/** Name of an error that is about a whole request. Any other: by status, see `codeOf`. */
export const requestCodes: Readonly<Record<string, DeliveryErrorCode>> = {
  ThrottlingException: 'throttled',
  Throttling: 'throttled',
  ThrottledException: 'throttled',
  RequestThrottled: 'throttled',
  RequestThrottledException: 'throttled',
  RequestLimitExceeded: 'throttled',
  TooManyRequestsException: 'throttled',
  LimitExceededException: 'throttled',
  SlowDown: 'throttled',
  AccessDeniedException: 'unauthorized',
  AccessDenied: 'unauthorized',
  UnrecognizedClientException: 'unauthorized',
  InvalidClientTokenId: 'unauthorized',
  InvalidAccessKeyId: 'unauthorized',
  InvalidSignatureException: 'unauthorized',
  SignatureDoesNotMatch: 'unauthorized',
  IncompleteSignature: 'unauthorized',
  IncompleteSignatureException: 'unauthorized',
  MissingAuthenticationToken: 'unauthorized',
  MissingAuthenticationTokenException: 'unauthorized',
  OptInRequired: 'unauthorized',
  NotAuthorized: 'unauthorized',
  CredentialsProviderError: 'unauthorized',
  TokenProviderError: 'unauthorized',
  ExpiredToken: 'unavailable',
  ExpiredTokenException: 'unavailable',
  RequestExpired: 'unavailable',
  RequestTimeTooSkewed: 'unavailable',
  RequestInTheFuture: 'unavailable',
  ResourceNotFoundException: 'unavailable',
  RequestEntityTooLargeException: 'too-large',
  SerializationException: 'malformed',
}

/** Where a request went, for messages. */
export interface Target {
  readonly bus: string
  readonly region: string
}

export function entryError(errorCode: string | undefined, { bus, region }: Target): DeliveryError {
  const what = errorCode === undefined ? 'neither EventId nor ErrorCode' : nameOr(errorCode, 'an unknown error')
  const code = (Object.hasOwn(entryCodes, errorCode ?? '') ? entryCodes[errorCode ?? ''] : undefined) ?? 'failed'
  return new DeliveryError(code, `event bus ${bus} in ${region} answered an event with ${what}${remedies[code] ?? ''}`)
}

/** `error`: whatever the SDK threw, but for an abort. */
export function requestError(error: unknown, { bus, region }: Target): DeliveryError {
  const { name, status, message, code: network } = factsOf(error)
  if (name === 'ResourceNotFoundException') {
    return new DeliveryError(
      'unavailable',
      `event bus ${bus} does not exist in ${region}: create it, or correct bus or region in the configuration`,
    )
  }
  if (message === 'Region is missing') {
    return new DeliveryError('unavailable', 'no AWS region is known: set region, or the variable AWS_REGION')
  }
  const code = codeOf(name, status, message)
  const what = [nameOr(network ?? name, 'an unknown error'), ...(status === undefined ? [] : [`status ${status}`])]
  const remedy = name === 'CredentialsProviderError' ? NO_CREDENTIALS : (remedies[code] ?? '')
  return new DeliveryError(code, `event bus ${bus} in ${region}: ${what.join(', ')}${remedy}`)
}

const NO_CREDENTIALS =
  '; no AWS credentials were found: give the pod a role (IRSA, EKS Pod Identity), or set the variables or files of the AWS SDK'

const remedies: Partial<Record<DeliveryErrorCode, string>> = {
  throttled:
    '; the quota of PutEvents is one for all buses of an account and region: lower concurrency, or have it raised',
  unauthorized: '; the credentials need the permission events:PutEvents on this bus',
}

function codeOf(name: string, status: number | undefined, message: string): DeliveryErrorCode {
  if (Object.hasOwn(requestCodes, name)) return requestCodes[name] ?? 'failed'
  // the sum of all entries; told as a ValidationException like any other fault
  if (status === 413 || (status === 400 && /total size|too large/i.test(message))) return 'too-large'
  if (status === 429) return 'throttled'
  if (status === 401 || status === 403) return 'unauthorized'
  // no status: no answer, or one that breaks off; 2xx: an answer that is none
  return status !== undefined && status >= 300 && status < 500 ? 'rejected' : 'unavailable'
}

interface Facts {
  readonly name: string
  readonly status: number | undefined
  readonly message: string
  /** `ECONNREFUSED` and the like. */
  readonly code: string | undefined
}

function factsOf(error: unknown): Facts {
  if (!(error instanceof Error)) return { name: '', status: undefined, message: '', code: undefined }
  const { name, message } = error
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined
  const status =
    metadata && typeof metadata === 'object' && 'httpStatusCode' in metadata ? metadata.httpStatusCode : undefined
  const code = 'code' in error ? error.code : undefined
  return {
    name,
    message,
    status: typeof status === 'number' ? status : undefined,
    code: typeof code === 'string' ? code : undefined,
  }
}

/** A name of an error, not anything that an endpoint may have put in its place. */
function nameOr(text: string, otherwise: string): string {
  return /^[A-Za-z_]{1,60}$/.test(text) ? text : otherwise
}
