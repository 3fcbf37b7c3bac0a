import type { DeadLetterCode } from './dead-letters.ts'
import type { DeliveryError } from './errors.ts'
import type { Lane } from './lanes.ts'
import type { OutboundEvent } from './sink.ts'

/** How an offered event ended for this sink. */
export type Outcome =
  /** The sink has durably accepted it, possibly in a smaller form. */
  | { readonly type: 'delivered' }
  /** The end of a snapshot that could not wait: the sink has durably accepted its `aborted` form instead. */
  | { readonly type: 'aborted'; readonly cause: string }
  /** It was given up; the dead letters have it. */
  | { readonly type: 'dead-lettered'; readonly code: DeadLetterCode; readonly reason: string }
  /** It was not delivered: its stream has offered an event since that makes it void. */
  | { readonly type: 'dropped' }

export type Ack = (outcome: Outcome) => void

/**
 * An offered event on its way through a worker. It is in exactly one place at a time: held by a fence, in its lane, or
 * in a batch; and it is settled exactly once.
 */
export class Entry {
  /** What will be sent: as offered, or smaller, or the final or the `aborted` form of an `end`. */
  event: OutboundEvent
  /** Size of `event` as the sink encodes it. */
  bytes: number
  /** As it was offered. */
  readonly offered: OutboundEvent
  /** On the worker's clock. */
  readonly offeredAt: number
  readonly ack: Ack
  lane: Lane | undefined
  /** The next one in the same lane. */
  next: Entry | undefined
  /** Why the `aborted` form goes out. */
  abortedBy: string | undefined
  /** How often it was sent. */
  attempts = 0
  /** Failures of its own, not of the sink. */
  failures = 0
  /** How long those and the delays after them took, in ms. */
  spentMs = 0
  /** How many events the sink had taken when this one first failed. */
  deliveriesBefore: number | undefined
  /** How often the sink threw something unknown when it was alone in its batch. */
  throws = 0
  /** How often its failure was the first sign that the sink is out of order. */
  outages = 0
  /** The last failure. */
  error: DeliveryError | undefined
  /** How long its lane waits before it is sent again. */
  delayMs: number | undefined
  /** The end of its snapshot does not wait for another attempt. */
  givesWay = false
  /** Its stream has offered an event since that makes it void. */
  superseded = false
  settled = false

  constructor(event: OutboundEvent, bytes: number, offeredAt: number, ack: Ack) {
    this.event = event
    this.bytes = bytes
    this.offered = event
    this.offeredAt = offeredAt
    this.ack = ack
  }
}
