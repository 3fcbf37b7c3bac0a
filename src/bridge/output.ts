import type { Outcome } from '../delivery/entry.ts'
import type { OutboundEvent } from '../delivery/sink.ts'
import type { SinkWorker } from '../delivery/worker.ts'
import type { ResourceVersion, Timestamp } from '../kube/object.ts'
import type { Snapshot } from '../reconcile/change.ts'
import { type View, wants } from '../route/view.ts'
import { type Slot, Watermark } from '../state/watermark.ts'
import type { Notable, Translation } from '../translate/translate.ts'

/** What one sink sees of one stream, and how far it has it. */
export class Output {
  readonly view: View
  readonly watermark = new Watermark()
  readonly #worker: SinkWorker
  readonly #onSettled: OutputParts['onSettled']
  readonly #onSnapshot: OutputParts['onSnapshot']
  /** Since the last full snapshot that this sink has the end of. */
  #deadLettered = 0

  constructor({ view, worker, onSettled, onSnapshot }: OutputParts) {
    this.view = view
    this.#worker = worker
    this.#onSettled = onSettled
    this.#onSnapshot = onSnapshot
  }

  /** Resolves when the sink's worker has accepted the change's event, or the view does not want it. */
  async offer(change: Notable, translation: Translation, signal: AbortSignal): Promise<void> {
    if (change.type === 'Gap' && change.cause === 'restored') this.watermark.restart()
    const slot = this.#slotFor(change)
    if (!wants(this.view, change)) {
      if (slot) this.watermark.settle(slot)
      return
    }
    /** What the event says of them; an `end` is asked again when its turn comes. */
    let told = 0
    const deadLettered = () => {
      told = this.#deadLettered
      return told
    }
    const event = translation(this.view, { deadLettered })
    const ack = (outcome: Outcome) => {
      if (slot) this.watermark.settle(slot)
      if (outcome.type === 'dead-lettered') this.#deadLettered++
      const result = resultOf(change, outcome)
      if (result && 'snapshot' in change) {
        if (result.type === 'completed' && change.snapshot.mode === 'full') this.#deadLettered -= told
        this.#onSnapshot(change.snapshot, result)
      }
      this.#onSettled(event, outcome, change.observedAt)
    }
    await this.#worker.offer(event, ack, signal)
  }

  /** Everything up to `position` was offered. */
  complete(position: ResourceVersion): void {
    this.watermark.complete(position)
  }

  /** Items and markers hold no watermark: what they say is said again by the next snapshot. */
  #slotFor(change: Notable): Slot | undefined {
    switch (change.type) {
      case 'Added':
      case 'Updated':
      case 'Deleted':
        return this.watermark.open(change.resourceVersion)
      case 'Gap':
        return this.watermark.open(change.to)
      default:
        return undefined
    }
  }
}

/** How a snapshot ended for one sink. */
export type SnapshotOutcome =
  | { readonly type: 'completed'; readonly items: number }
  /** The sink was not told that it began, or ended: it can draw no conclusion from it. */
  | { readonly type: 'aborted'; readonly cause: string }

function resultOf(change: Notable, outcome: Outcome): SnapshotOutcome | undefined {
  if (change.type !== 'SnapshotBegin' && change.type !== 'SnapshotEnd') return undefined
  switch (outcome.type) {
    case 'delivered':
      return change.type === 'SnapshotEnd' ? { type: 'completed', items: change.result.items } : undefined
    case 'aborted':
      return { type: 'aborted', cause: outcome.cause }
    case 'dead-lettered':
      return { type: 'aborted', cause: outcome.reason }
    case 'dropped':
      return undefined
  }
}

export interface OutputParts {
  readonly view: View
  readonly worker: SinkWorker
  /** Called once for each accepted event; `observedAt` is when its change was read. */
  readonly onSettled: (event: OutboundEvent, outcome: Outcome, observedAt: Timestamp) => void
  /** Called once for each snapshot that the sink was told of, or should have been. */
  readonly onSnapshot: (snapshot: Snapshot, outcome: SnapshotOutcome) => void
}
