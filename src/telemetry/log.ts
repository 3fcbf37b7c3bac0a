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

/** So many lines of a key are written at once, and in each minute. */
const LINES = 10
const PER_MS = 60_000

interface Known {
  state: string
  since: number
  /** Lines since `windowSince`. */
  lines: number
  windowSince: number
  /** The last change, if it has no line yet. */
  unwritten: StateChange | undefined
  /** Changes that get no line, since the last line. */
  skipped: number
}

/**
 * One line for each change of state of a key, however often it is told; the line says how long the last one stood. What
 * changes all the time has ten lines a minute: the next one says how many were skipped, and `flush` writes the last.
 */
export class StateLog {
  readonly #log: Logger
  readonly #now: () => number
  readonly #known = new Map<string, Known>()
  /** Those with `unwritten`. */
  readonly #waiting = new Set<Known>()

  /** `now`: milliseconds that only go forward. */
  constructor(log: Logger, now: () => number) {
    this.#log = log
    this.#now = now
  }

  /** The state that the key was last told to be in. */
  of(key: string): string | undefined {
    return this.#known.get(key)?.state
  }

  /** Whether this was a change. */
  tell(change: StateChange): boolean {
    const { key, state } = change
    const known = this.#known.get(key)
    if (known?.state === state) return false
    const now = this.#now()
    const next = known ?? { state, since: now, lines: 0, windowSince: now, unwritten: undefined, skipped: 0 }
    const before = known && { before: known.state, beforeSeconds: Math.round((now - known.since) / 1000) }
    this.#known.set(key, next)
    next.state = state
    next.since = now
    if (next.unwritten) next.skipped++
    if (mayWrite(next, now)) {
      this.#write(next, change, before)
    } else {
      next.unwritten = change
      this.#waiting.add(next)
    }
    return true
  }

  /** Writes what a key was last told, if it could not be written then and can be now. To be called every few seconds. */
  flush(): void {
    const now = this.#now()
    for (const known of this.#waiting) {
      if (known.unwritten && mayWrite(known, now)) this.#write(known, known.unwritten, undefined)
    }
  }

  #write(known: Known, { key, state, level, message, fields }: StateChange, before: object | undefined): void {
    const skipped = known.skipped > 0 ? { skipped: known.skipped } : undefined
    known.lines++
    known.unwritten = undefined
    known.skipped = 0
    this.#waiting.delete(known)
    this.#log[level]({ key, state, ...before, ...skipped, ...fields }, message)
  }
}

function mayWrite(known: Known, now: number): boolean {
  if (now - known.windowSince >= PER_MS) {
    known.windowSince = now
    known.lines = 0
  }
  return known.lines < LINES
}
