import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import type { LogOptions } from './options.ts'
import { prettyLine } from './pretty.ts'
import { scrubFields, scrubText } from './scrub.ts'

export interface LogTarget {
  /** Takes one line with its newline. The process's standard error: standard output belongs to events. */
  write(line: string): unknown
  /** Whether people with colours read it. */
  readonly isTTY?: boolean
}

/**
 * A log without credentials (scrub.ts). Its lines are in the target's hands when a call returns: no worker, no buffer,
 * so that a crash loses none. A message is a constant; what varies is a field:
 * `log.warn({ stream, error }, 'the watch has failed')`.
 */
export function createLog({ level, format }: LogOptions, target: LogTarget): Logger {
  const pretty = (format ?? (target.isTTY ? 'pretty' : 'json')) === 'pretty'
  const destination: DestinationStream = {
    write: (line) => void target.write(pretty ? prettyLine(line, target.isTTY ? 'colour' : 'plain') : line),
  }
  return pino(options(level), destination)
}

function options(level: LogOptions['level']): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }), log: scrubFields },
    // `scrubFields` has made plain members of errors already, in the causes too.
    serializers: { err: (value) => value },
    errorKey: 'error',
    messageKey: 'message',
    hooks: { streamWrite: scrubText },
  }
}

export type Level = 'debug' | 'info' | 'warn' | 'error'

export interface StateChange {
  /** What is in this state: `sink audit`, `stream workloads/pods`. There must be a bounded number of them. */
  readonly key: string
  /** Compared as text with the last one of the key. */
  readonly state: string
  readonly level: Level
  /** A constant. */
  readonly message: string
  readonly fields?: Readonly<Record<string, unknown>>
}

/** One line for each change of state of a key, however often it is told; the line says how long the last one stood. */
export class StateLog {
  readonly #log: Logger
  readonly #now: () => number
  readonly #states = new Map<string, { readonly state: string; readonly since: number }>()

  /** `now`: milliseconds that only go forward. */
  constructor(log: Logger, now: () => number) {
    this.#log = log
    this.#now = now
  }

  /** The state that the key was last told to be in. */
  of(key: string): string | undefined {
    return this.#states.get(key)?.state
  }

  /** Whether this was a change. */
  tell({ key, state, level, message, fields }: StateChange): boolean {
    const last = this.#states.get(key)
    if (last?.state === state) return false
    const now = this.#now()
    this.#states.set(key, { state, since: now })
    const before = last && { before: last.state, beforeSeconds: Math.round((now - last.since) / 1000) }
    this.#log[level]({ key, state, ...before, ...fields }, message)
    return true
  }
}
