/** For tests: what EventBridge demands of a request and answers to it, where its documentation and its behaviour are plain. */

/** An entry as it came. */
export interface ReceivedEntry {
  readonly EventBusName?: string
  readonly Source?: string
  readonly DetailType?: string
  readonly Detail?: string
  readonly Time?: number
  readonly Resources?: readonly string[]
  readonly TraceHeader?: string
}

export interface ServiceRequest {
  /** `PutEvents` */
  readonly operation: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

export interface ServiceAnswer {
  readonly status: number
  readonly body: string
}

/** Answers requests: the strict one below, or a real service behind. */
export type Service = (request: ServiceRequest) => ServiceAnswer | Promise<ServiceAnswer>

export interface EntryResult {
  readonly EventId?: string
  readonly ErrorCode?: string
  readonly ErrorMessage?: string
}

export interface StrictOptions {
  readonly bus: string
  /** What all entries of a request may have together. */
  readonly requestBytes: number
}

const SIGNATURE =
  /^AWS4-HMAC-SHA256 Credential=[^/\s]+\/\d{8}\/[a-z0-9-]+\/events\/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$/
const MAX_LEVELS = 1000

export function strictService({ bus, requestBytes }: StrictOptions): Service {
  let ids = 0
  const describe = (name: unknown) =>
    isBus(name, bus)
      ? answer(200, { Name: bus, Arn: `arn:aws:events:eu-west-1:123456789012:event-bus/${bus}` })
      : noBus(name)
  return ({ operation, headers, body }) => {
    if (!SIGNATURE.test(headers.authorization ?? '')) return failure(403, 'IncompleteSignatureException', 'not signed')
    if (!headers['content-type']?.startsWith('application/x-amz-json-1.1'))
      return failure(404, 'UnknownOperationException', '')
    const request: { readonly Name?: unknown; readonly Entries?: readonly ReceivedEntry[] } = JSON.parse(body)
    if (operation === 'DescribeEventBus') return describe(request.Name)
    if (operation !== 'PutEvents') return failure(400, 'UnknownOperationException', '')
    const entries = request.Entries ?? []
    if (entries.length < 1) return lengthFailure('greater than or equal to 1')
    if (entries.length > 10) return lengthFailure('less than or equal to 10')
    if (entries.reduce((sum, entry) => sum + bytesOf(entry), 0) > requestBytes) {
      return failure(400, 'ValidationException', 'Total size of the entries in the request is over the limit.')
    }
    const stranger = entries.find(({ EventBusName }) => !isBus(EventBusName, bus))
    if (stranger) return noBus(stranger.EventBusName)
    const results = entries.map((entry): EntryResult => {
      const [ErrorCode, ErrorMessage] = faultOf(entry) ?? []
      if (ErrorCode !== undefined) return { ErrorCode, ...(ErrorMessage !== undefined && { ErrorMessage }) }
      return { EventId: `00000000-0000-4000-8000-${`${ids++}`.padStart(12, '0')}` }
    })
    return answer(200, {
      FailedEntryCount: results.filter(({ EventId }) => EventId === undefined).length,
      Entries: results,
    })
  }
}

/** Counted on what came, by the words of the documentation and by nothing else of the project. */
export function bytesOf({ Source = '', DetailType = '', Detail = '', Time, Resources = [] }: ReceivedEntry): number {
  const bytes = [Source, DetailType, Detail, ...Resources].reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return bytes + (Time === undefined ? 0 : 14)
}

function faultOf(entry: ReceivedEntry): readonly [code: string, message: string] | undefined {
  for (const name of ['Source', 'DetailType', 'Detail'] as const) {
    if (!entry[name]) return invalid(name, `${name} is a required argument.`)
  }
  if ((entry.DetailType ?? '').length > 128) return invalid('DetailType', 'DetailType is longer than 128 characters.')
  if (entry.Source?.startsWith('aws.')) {
    return ['NotAuthorizedForSourceException', 'Not authorized for the source.']
  }
  return isObject(entry.Detail ?? '') ? undefined : ['MalformedDetail', 'Detail is malformed.']
}

function invalid(name: string, reason: string): readonly [string, string] {
  return ['InvalidArgument', `Parameter ${name} is not valid. Reason: ${reason}`]
}

function isObject(detail: string): boolean {
  try {
    const value: unknown = JSON.parse(detail)
    return typeof value === 'object' && value !== null && !Array.isArray(value) && levelsOf(detail) <= MAX_LEVELS
  } catch {
    return false // no JSON
  }
}

function levelsOf(json: string): number {
  let deepest = 0
  let level = 0
  for (const [sign] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (sign === '{' || sign === '[') deepest = Math.max(deepest, ++level)
    else if (sign === '}' || sign === ']') level--
  }
  return deepest
}

function isBus(name: unknown, bus: string): boolean {
  return name === bus || (typeof name === 'string' && name.endsWith(`:event-bus/${bus}`))
}

function noBus(name: unknown): ServiceAnswer {
  return failure(400, 'ResourceNotFoundException', `Event bus ${String(name)} does not exist.`)
}

function lengthFailure(bound: string): ServiceAnswer {
  const what = `1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to satisfy constraint`
  return failure(400, 'ValidationException', `${what}: Member must have length ${bound}`)
}

export function failure(status: number, type: string, message: string): ServiceAnswer {
  return answer(status, { __type: type, message })
}

export function answer(status: number, body: object): ServiceAnswer {
  return { status, body: JSON.stringify(body) }
}
