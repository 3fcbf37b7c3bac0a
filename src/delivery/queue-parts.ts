/** What a queue is given by its worker, and tells it. */
import type { Disk } from '../journal/disk.ts'
import type { Clock } from '../lib/clock.ts'
import type { DeadLetterCode } from './dead-letters.ts'
import type { Entry } from './entry.ts'
import type { SinkState } from './observer.ts'
import type { SinkLimits } from './sink.ts'
import type { SpoolNews } from './spool-log.ts'

export interface QueueParts {
  readonly limits: SinkLimits
  readonly clock: Clock
  /** Since when the sink is in order, as far as is known, on the clock; undefined while it is not. */
  readonly openSince: () => number | undefined
  /** `probing`: one event at a time is sent. */
  readonly sinkState: () => SinkState['type']
  /** It failed, and the sink is not to blame. */
  readonly isAtFault: (entry: Entry) => boolean
  /** It failed, and something was delivered since: whatever the sink is to blame for now, it was in order then. */
  readonly isPoison: (entry: Entry) => boolean
  /** There may be something to take that was not there before. */
  readonly onReady: () => void
  /** An event goes out smaller than it was offered. */
  readonly onDegraded: () => void
  /** Everything is settled, or on disk. */
  readonly onEmpty: () => void
  /** `hasRoom` is true and was not. */
  readonly onRoom: () => void
  readonly onMerged: (events: number) => void
  readonly onOverflow: (stream: string, events: number) => void
  readonly onSpool: (news: SpoolNews) => void
  /** A bug, met while nobody waits. */
  readonly onError: (error: unknown) => void
  /** Of a spool. @default the one of this machine */
  readonly disk?: Disk
  /** Puts the event into the dead letters and settles it. */
  readonly giveUp: (entry: Entry, code: DeadLetterCode, reason: string) => void
  /** Runs what a timer calls, and reports what it throws. */
  readonly guard: (work: () => void) => void
}
