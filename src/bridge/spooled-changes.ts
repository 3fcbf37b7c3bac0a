import type { Outcome, SharedAck } from '../delivery/entry.ts'
import type { OutboundEvent } from '../delivery/sink.ts'
import type { Slot } from '../state/watermark.ts'

export interface SpooledChangesParts {
  readonly settle: (slot: Slot) => void
  readonly onSettled: (event: OutboundEvent, outcome: Outcome, offeredAt: string) => void
  /** The disk has failed: what they say is to be made up for, and `slot` is held by that. */
  readonly onLost: (slot: Slot | undefined) => void
}

/** So far at most the watermark lags behind. */
const MOST = 1000

/**
 * Changes of a stream in a row that wait on disk, and that nothing else is kept of in memory: the first of their slots
 * stands for all. So what a sink's absence costs in memory is a slot per thousand changes.
 */
export class SpooledChanges implements SharedAck {
  readonly #parts: SpooledChangesParts
  #slot: Slot | undefined
  #offered = 0
  #unsettled = 0

  constructor(parts: SpooledChangesParts) {
    this.#parts = parts
  }

  /** No more may be added: it is full, or done with. */
  get isClosed(): boolean {
    return this.#offered === MOST || (this.#offered > 0 && this.#unsettled === 0)
  }

  add(slot: Slot | undefined): void {
    this.#offered++
    this.#unsettled++
    if (slot && this.#slot) this.#parts.settle(slot)
    else if (slot) this.#slot = slot
  }

  settle(event: OutboundEvent, outcome: Outcome, offeredAt: string): void {
    this.#done(1)
    this.#parts.onSettled(event, outcome, offeredAt)
  }

  lose(events: number): void {
    const slot = this.#slot
    this.#slot = undefined
    this.#parts.onLost(slot)
    this.#done(events)
  }

  #done(events: number): void {
    this.#unsettled -= events
    if (this.#unsettled === 0 && this.#slot) this.#parts.settle(this.#slot)
  }
}
