/** The dead letters as the admin API tells of them: what goes over the wire, for its server and its clients. */

export interface DeadLetterSummary {
  /** For `show` and `replay`. */
  readonly id: string
  /** That did not get it. */
  readonly sink: string
  readonly code: string
  readonly reason: string
  readonly attempts: number
  /** When it was given up, RFC 3339. */
  readonly time: string
  /** Bytes of its data. */
  readonly dataBytes: number
  readonly attributes: Attributes
}

export type Attributes = Readonly<Record<string, string | boolean | undefined>>

export interface DeadLetterDetail extends DeadLetterSummary {
  /** JSON text, as it is sent; undefined: the event has none. */
  readonly data: string | undefined
}

export interface DeadLetterPage {
  readonly store: {
    /** `memory`: they are gone when the process ends. */
    readonly type: 'memory' | 'disk'
    readonly events: number
    /** Pushed out by newer ones since the start. */
    readonly dropped: number
  }
  readonly items: readonly DeadLetterSummary[]
  /** For `after`, if there may be more. */
  readonly next?: string | undefined
}

export interface DeadLetterFilter {
  readonly sink?: string | undefined
  readonly after?: string | undefined
  readonly limit: number
}

export type ReplayRequest =
  | { readonly type: 'ids'; readonly ids: readonly string[] }
  | { readonly type: 'sink'; readonly sink: string }
  | { readonly type: 'all' }

/** What became of one. Only `delivered` is not in the dead letters any more. */
export interface ReplayResult {
  readonly id: string
  readonly outcome: ReplayOutcome
  /** Why it was not delivered. */
  readonly reason?: string | undefined
  /** Absent for `missing`. */
  readonly letter?: Pick<DeadLetterSummary, 'sink' | 'attributes'> | undefined
}

export type ReplayOutcome =
  | 'delivered'
  /** It was given up once more, and is in the dead letters under another id. */
  | 'given-up'
  /** It was not sent, because of what it would do. */
  | 'refused'
  /** It is not known: the bridge stops, or it is being replayed already. */
  | 'unsettled'
  | 'missing'

/** What the admin API asks of the bridge. Rejects, saying why, while the store cannot be read. */
export interface DeadLetterAdmin {
  list(filter: DeadLetterFilter): Promise<DeadLetterPage>
  show(id: string): Promise<DeadLetterDetail | undefined>
  /**
   * In the order in which they are known, one result for each, as it comes. Goes on with those that were sent when nobody
   * pulls any more or `signal` aborts, and sends no others.
   */
  replay(request: ReplayRequest, signal: AbortSignal): AsyncIterable<ReplayResult>
}
