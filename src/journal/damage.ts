/** What a journal found on its disk that should not be there, and what it did about it. */
export type Damage =
  /** The log ended in a frame that was not written to its end, as after a crash. It was cut off. */
  | { readonly type: 'torn'; readonly file: string; readonly offset: number; readonly bytes: number }
  /** Bytes have changed since they were written. From `offset` to `to` nothing is readable; it is kept in other files. */
  | {
      readonly type: 'corrupt'
      readonly file: string
      readonly offset: number
      readonly to: number
      readonly setAside: readonly string[]
    }
  /** Where to go on is not known: it is read from the beginning, and what was done may be done again. */
  | { readonly type: 'cursor'; readonly file: string }

/** The log ends before it did: what was acknowledged from `offset` to `to` is gone. Found only where the end is noted. */
export interface Truncation {
  readonly type: 'truncated'
  readonly folder: string
  readonly offset: number
  readonly to: number
}

/** Damage of this kind can be met long after a journal was opened. */
export type Corruption = Extract<Damage, { type: 'corrupt' }>

/** A read met a frame that is not what was written. `setAside` makes the journal readable again. */
export class JournalCorrupt extends Error {
  override readonly name = 'JournalCorrupt'
  readonly file: string
  /** Of the bad frame. */
  readonly offset: number

  constructor(file: string, offset: number) {
    super(`${file}: the record at offset ${offset} is not what was written`)
    this.file = file
    this.offset = offset
  }
}

/** `full`: the disk has no room, and the log is as it was. `failed`: the disk fails. `closed`: too late. */
export type JournalErrorCode = 'full' | 'failed' | 'closed'

/** Nothing of what was to be appended is in the log. */
export class JournalError extends Error {
  override readonly name = 'JournalError'
  readonly code: JournalErrorCode

  constructor(code: JournalErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
