/**
 * What keeps credentials out of the log (promise P8), whoever hands them in by mistake. Guarantee for every line: no
 * user, password or query of a URL, no token after `Bearer` or `Basic`, no value under a name that sounds like a
 * credential, and a bounded size.
 */
const MARK = '[redacted]'
const SENSITIVE = /authorization|cookie|passw|secret|token|credential|api-?key|private-?key|signature/i
const USERINFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s"'<>\\/?#]*@/gi
const QUERY = /\b([a-z][a-z0-9+.-]*:\/\/[^\s"'<>\\?]*)\?[^\s"'<>\\]*/gi
const TOKEN = /\b(bearer|basic)\s+[A-Za-z0-9._~+/-]{4,}=*/gi

const MAX_TEXT = 4096
const MAX_DEPTH = 6
const MAX_ELEMENTS = 50

/** The text without credentials that it shows by their form. */
export function scrubText(text: string): string {
  return text.replace(USERINFO, '$1').replace(QUERY, `$1?${MARK}`).replace(TOKEN, `$1 ${MARK}`)
}

/** A copy that can be written as JSON: without values under telling names, cut in depth, width and length. */
export function scrubFields(value: object): Record<string, unknown> {
  return members(value, 0)
}

function members(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).slice(0, MAX_ELEMENTS)
  return Object.fromEntries(
    entries.map(([name, member]) => [name, SENSITIVE.test(name) ? MARK : copy(member, depth + 1)]),
  )
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '…'
  if (value instanceof Error) return errorFields(value, depth)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  if (Array.isArray(value)) return value.slice(0, MAX_ELEMENTS).map((element) => copy(element, depth + 1))
  return members(value, depth)
}

/** Name, message, code, stack and the causes; other properties of an error may hold a whole request. */
function errorFields(error: Error, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    message: copy(error.message, depth),
    ...('code' in error && { code: copy(error.code, depth) }),
    stack: copy(error.stack, depth),
    ...(error.cause !== undefined && { cause: copy(error.cause, depth + 1) }),
    ...(error instanceof AggregateError && { errors: copy(error.errors, depth + 1) }),
  }
}
