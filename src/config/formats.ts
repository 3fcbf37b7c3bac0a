/**
 * The formats that definitions may name (`format: 'duration'`), and what each accepts.
 * A message says how to write it; it may repeat the text only where nobody would put a credential.
 */
import { parseLabelSelector } from '../lib/label-selector.ts'
import { isLoopback, parseListenAddress } from '../lib/listen-address.ts'
import { parseBytes, parseDuration } from '../lib/units.ts'
import { parsePath } from '../redact/path.ts'
import { createRedaction } from '../redact/redact.ts'
import { compileExpression } from '../route/expression.ts'
import { parseFieldSelector } from './field-selector.ts'
import { parseResourceName } from './resource-name.ts'

export interface Format {
  /** Follows "expected". */
  readonly expected: string
  /** Throws a RangeError or SyntaxError that says what is wrong. */
  check(text: string): void
}

/** `setTimeout` knows no longer delay. */
const MAX_DURATION_MS = 2 ** 31 - 1

export const formats = {
  duration: {
    expected: 'a duration such as 500ms, 10s, 5m or 1h',
    check: (text) => {
      if (parseDuration(text) > MAX_DURATION_MS) throw new RangeError('a duration is at most 596h')
    },
  },
  bytes: {
    expected: 'a size such as 64KiB or 1MiB',
    check: (text) => {
      if (parseBytes(text) === 0) throw new RangeError('a size is above 0')
    },
  },
  'listen-address': { expected: ':8080, 127.0.0.1:8080 or [::1]:8080', check: (text) => void parseListenAddress(text) },
  'admin-address': {
    expected: '127.0.0.1:8090, [::1]:8090 or off',
    check: (text) => {
      if (text === 'off' || isLoopback(parseListenAddress(text).host ?? '')) return
      throw new RangeError(
        'only loopback, as in 127.0.0.1:8090, or off: the admin API shows events and has no login; ' +
          'from elsewhere use kubectl exec or kubectl port-forward',
      )
    },
  },
  'host-port': {
    expected: 'host:port, as in kafka:9092',
    check: (text) => {
      // not repeated: a URL that stands here may hold a password
      const [, port] = /^[^\s:/@[\],]+:([0-9]{1,5})$/.exec(text) ?? []
      if (port === undefined) {
        throw new RangeError(
          'not host:port, as in kafka:9092: one host name or IPv4 address, without a scheme and without a login',
        )
      }
      if (Number(port) < 1 || Number(port) > 65_535) throw new RangeError('a port is from 1 to 65535')
    },
  },
  name: matching(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'lower-case letters, digits, - and .'),
  cluster: matching(/^[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?$/, 'letters, digits, -, . and _'),
  namespace: matching(
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'a namespace: lower-case letters, digits and -, at most 63',
  ),
  resource: {
    expected: 'pods, deployments.apps or widgets.v1.example.com',
    check: (text) => void parseResourceName(text),
  },
  'label-selector': {
    expected: 'a label selector such as app=web,tier!=cache,env in (a,b),!spot',
    check: (text) => {
      if (text.trim() === '') throw new RangeError('an empty selector: leave the key out to select all')
      parseLabelSelector(text)
    },
  },
  'field-selector': {
    expected: 'a field selector such as status.phase!=Running',
    check: (text) => void parseFieldSelector(text),
  },
  expression: {
    expected: "a CEL expression such as object.kind == 'Pod'",
    check: (text) => void compileExpression(text),
  },
  'object-path': {
    expected: 'a path such as spec.users[*].password',
    check: (text) => void createRedaction({ paths: [parsePath(text)], env: [] }),
  },
} as const satisfies Record<string, Format>

function matching(pattern: RegExp, expected: string): Format {
  return {
    expected,
    check: (text) => {
      if (!pattern.test(text))
        throw new RangeError(`${JSON.stringify(text.slice(0, 100))} is not valid; expected ${expected}`)
    },
  }
}

/** What is wrong with the text, or undefined. */
export function checkFormat(name: string, text: string): string | undefined {
  const format = Object.hasOwn(formats, name) ? formats[name as keyof typeof formats] : undefined
  if (!format) throw new TypeError(`the definition names an unknown format: ${name}`)
  try {
    format.check(text)
    return undefined
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) return error.message
    throw error
  }
}

/** Whether a text is of the format, by the format's name. */
export const formatTests: Readonly<Record<string, (text: string) => boolean>> = Object.fromEntries(
  Object.keys(formats).map((name) => [name, (text: string) => checkFormat(name, text) === undefined]),
)
