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
  /** A newer event of the same object stands for it. That one is settled, or waits in the place of an older one. */
  | { readonly type: 'merged' }
  /** It was not delivered: its stream has offered an event since that makes it void. */
  | { readonly type: 'dropped' }
  /** It was not delivered, nor was anything else that its stream had waiting: the queue was full. */
  | { readonly type: 'overflowed' }

export interface Ack {
  (outcome: Outcome): void
  /** For an event that waits on disk while its object leaves the memory: what is told of it then, instead of this. */
  readonly share?: () => SharedAck
}

/** Answers for many events that wait on disk: those of one stream, in the order of their offers. */
export interface SharedAck {
  /** What became of one of them. `offeredAt` is RFC 3339. */
  settle(event: OutboundEvent, outcome: Outcome, offeredAt: string): void
  /** So many of them, the last ones, are lost: the disk has failed. */
  lose(events: number): void
}

/**
 * An offered event on its way through a worker. It is in exactly one place at a time: held by a fence, in its lane, or
 * in a batch; and it is settled exactly once.
 */
export class Entry {
  /** What will be sent: as offered, or smaller, or the final or the `aborted` form of an `end`. */
  event: OutboundEvent
  /** Size of `event` as the sink encodes it. */
  bytes: number
  /** As it was offered, or what it is together with those that were merged into it. */
  offered: OutboundEvent
  /** It was offered as an item of a snapshot. */
  readonly isItem: boolean
  /** On the worker's clock. */
  readonly offeredAt: number
  /** Of the newest event in it. */
  #ack: Ack
  /** Of the oldest one, if that is another: it is settled last, so nothing seems settled that stands behind it. */
  #firstAck: Ack | undefined
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
  /** How often the sink took others of its batch and asked for patience with it. */
  throttles = 0
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
  /** It was taken, and not put back. */
  isUnderWay = false
  /** How many markers and gaps its stream had offered before it. */
  era = 0
  /** The one before it with its key, if they might become one after all. */
  before: Entry | undefined
  /** It was given up, and its letter is on the way to the store. */
  isHeld = false
  /** Its place in the spool; undefined if it has none. */
  offset: number | undefined
  settled = false

  constructor(event: OutboundEvent, bytes: number, offeredAt: number, ack: Ack) {
    this.event = event
    this.bytes = bytes
    this.offered = event
    this.isItem = event.kind === 'item'
    this.offeredAt = offeredAt
    this.#ack = ack
  }

  /** The event that this is the ack of was merged into this one. */
  takeOver(ack: Ack): void {
    if (this.#firstAck) this.#ack({ type: 'merged' })
    else this.#firstAck = this.#ack
    this.#ack = ack
  }

  /** So was that entry, which answers for nothing any more. */
  absorb(newer: Entry): void {
    if (newer.#firstAck) this.takeOver(newer.#firstAck)
    this.takeOver(newer.#ack)
    newer.#firstAck = undefined
    newer.#ack = () => {}
  }

  /** See `Ack`. Asked once. */
  shareAck(): SharedAck | undefined {
    return this.#ack.share?.()
  }

  /** Whoever offered it does not wait for it any more. */
  mute(): void {
    this.#ack = () => {}
  }

  /** Tells everybody whose event it holds. */
  ack(outcome: Outcome): void {
    const isLost = outcome.type === 'dropped' || outcome.type === 'overflowed'
    this.#firstAck?.(isLost ? outcome : { type: 'merged' })
    this.#ack(outcome)
  }
}
