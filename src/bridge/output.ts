import type { Outcome, SharedAck } from '../delivery/entry.ts'
import type { OutboundEvent } from '../delivery/sink.ts'
import type { SinkWorker } from '../delivery/worker.ts'
import { compareResourceVersions, type ResourceVersion } from '../kube/object.ts'
import type { Change, Snapshot } from '../reconcile/change.ts'
import { Debt } from '../reconcile/debt.ts'
import { type View, wants } from '../route/view.ts'
import { type Slot, Watermark } from '../state/watermark.ts'
import type { Notable, Translation } from '../translate/translate.ts'
import { SpooledChanges } from './spooled-changes.ts'

/**
 * What one sink knows of one stream.
 *
 *   even ---- the queue overflows ----> owing ---- its snapshot begins ----> repaying ---- that has ended ----> even
 *                                         ^                                     |
 *                                         +-------- it overflows again ---------+
 */
type Standing =
  | { readonly type: 'even' }
  /** It is told of no change until a snapshot begins that holds them all. */
  | { readonly type: 'owing'; readonly debt: Debt; slot: Slot | undefined }
  /** It is told of changes again; with the end of this snapshot it knows everything. */
  | { readonly type: 'repaying'; readonly debt: Debt; slot: Slot | undefined; readonly snapshotId: string }

/** What one sink sees of one stream, and how far it has it. */
export class Output {
  readonly view: View
  readonly watermark = new Watermark()
  readonly #worker: SinkWorker
  readonly #onSettled: OutputParts['onSettled']
  readonly #onSnapshot: OutputParts['onSnapshot']
  readonly #onRepaid: OutputParts['onRepaid']
  #standing: Standing = { type: 'even' }
  /** Since the last full snapshot that this sink has the end of. */
  #deadLettered = 0
  /** What takes further changes in. */
  #spooled: SpooledChanges | undefined

  constructor({ view, worker, onSettled, onSnapshot, onRepaid }: OutputParts) {
    this.view = view
    this.#worker = worker
    this.#onSettled = onSettled
    this.#onSnapshot = onSnapshot
    this.#onRepaid = onRepaid
  }

  /**
   * Whether its snapshots are its own, at its pace: they must not fill a queue that holds up nobody, or a disk. Those that
   * hold up each other share theirs.
   */
  get hasOwnSnapshots(): boolean {
    return this.#worker.whenFull !== 'block'
  }

  /** Whether a part of a snapshot may be offered. */
  get hasRoom(): boolean {
    return !this.hasOwnSnapshots || this.#worker.hasRoom
  }

  onRoom(listener: () => void): void {
    this.#worker.onRoom(listener)
  }

  /** What the sink is not told; undefined from when the snapshot begins that makes up for it. */
  get debt(): Debt | undefined {
    return this.#standing.type === 'owing' ? this.#standing.debt : undefined
  }

  /** Whether there is something that the sink was not told, or not yet told again. */
  get isOwed(): boolean {
    return this.#standing.type !== 'even'
  }

  /**
   * A live change. Resolves when the sink's worker has accepted its event, or the view does not want it, or the sink is
   * owed a snapshot that will hold it.
   */
  async offer(change: Notable, translation: Translation, signal: AbortSignal): Promise<void> {
    if (change.type === 'Gap' && change.cause === 'restored') {
      this.watermark.restart()
      this.#spooled = undefined // its slot holds nothing any more
      if (this.isOwed) this.#repaid()
    }
    if (this.#standing.type !== 'owing') return await this.send(change, translation, signal)
    const slot = this.#slotFor(change)
    if (!wants(this.view, change)) {
      if (slot) this.watermark.settle(slot)
      return
    }
    this.#hold(this.#standing, slot)
    if (change.type === 'Added' || change.type === 'Updated' || change.type === 'Deleted') {
      this.#standing.debt.miss(change)
    }
  }

  /** A change that is for this sink whatever it is owed: a part of its snapshot, or what comes before that. */
  async send(change: Notable, translation: Translation, signal: AbortSignal): Promise<void> {
    if (change.type === 'SnapshotBegin' && change.snapshot.mode === 'full') this.#repay(change.snapshot)
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
    const settle = (outcome: Outcome) => {
      if (outcome.type === 'overflowed') this.#lose(change, slot)
      else if (slot) this.watermark.settle(slot)
      if (outcome.type === 'dead-lettered') this.#deadLettered++
      const result = resultOf(change, outcome)
      if (result && 'snapshot' in change) {
        if (result.type === 'completed' && change.snapshot.mode === 'full') {
          this.#deadLettered -= told
          if (this.#standing.type === 'repaying' && this.#standing.snapshotId === change.snapshot.id) this.#repaid()
        }
        this.#onSnapshot(change.snapshot, result)
      }
      this.#onSettled(event, outcome, change.observedAt)
    }
    await this.#worker.enqueue(event, Object.assign(settle, { share: () => this.#share(slot) }), signal)
  }

  /** The change waits on disk, and is known there alone. */
  #share(slot: Slot | undefined): SharedAck {
    if (!this.#spooled || this.#spooled.isClosed) {
      this.#spooled = new SpooledChanges({
        settle: (one) => this.watermark.settle(one),
        onSettled: (event, outcome, offeredAt) => {
          if (outcome.type === 'dead-lettered') this.#deadLettered++
          this.#onSettled(event, outcome, offeredAt)
        },
        onLost: (one) => {
          const resourceVersion = one?.position ?? this.watermark.value
          // items alone, before anything was told: their snapshot has no end, and is sent again
          if (resourceVersion !== undefined) this.#lose({ type: 'Progress', resourceVersion }, one)
        },
      })
    }
    this.#spooled.add(slot)
    return this.#spooled
  }

  /** Everything up to `position` was offered. */
  complete(position: ResourceVersion): void {
    this.watermark.complete(position)
  }

  /** The queue overflowed, or the disk has failed: this is gone with all that waited. */
  #lose(change: Change, slot: Slot | undefined): void {
    const before = this.#standing
    let standing: Standing & { readonly type: 'owing' }
    if (before.type === 'owing') standing = before
    else if (before.type === 'repaying') standing = { type: 'owing', debt: before.debt, slot: before.slot }
    else standing = { type: 'owing', debt: new Debt(this.watermark.value ?? placeOf(change)), slot: undefined }
    this.#standing = standing
    standing.debt.lose(change)
    this.#hold(standing, slot)
  }

  /**
   * The watermark stays at the first slot of what is owed; the others have nothing more to say. The first is not always
   * lost first: what is under way when the queue overflows can fail, and be lost at the next time.
   */
  #hold(standing: Standing & { readonly type: 'owing' }, slot: Slot | undefined): void {
    if (!slot) return
    const held = standing.slot
    const isFirst = !held || compareResourceVersions(slot.position, held.position) < 0
    if (isFirst) standing.slot = slot
    const other = isFirst ? held : slot
    if (other) this.watermark.settle(other)
  }

  #repay({ id }: Snapshot): void {
    if (this.#standing.type === 'even') return
    const { debt, slot } = this.#standing
    this.#standing = { type: 'repaying', debt, slot, snapshotId: id }
    if (!this.view.on.has('snapshot')) this.#repaid() // there is nothing else that could be sent
  }

  #repaid(): void {
    if (this.#standing.type === 'even') return
    const { slot } = this.#standing
    this.#standing = { type: 'even' }
    if (slot) this.watermark.settle(slot)
    this.#onRepaid()
  }

  /** Items and markers hold no watermark: what they say is said again by the next snapshot. */
  #slotFor(change: Notable): Slot | undefined {
    switch (change.type) {
      case 'Added':
      case 'Updated':
      case 'Deleted':
      case 'Gap':
        return this.watermark.open(placeOf(change), change.observedAt)
      default:
        return undefined
    }
  }
}

function placeOf(change: Change): ResourceVersion {
  return change.type === 'Gap' ? change.to : change.resourceVersion
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
    case 'merged':
    case 'dropped':
    case 'overflowed': // a snapshot is owed anyway
      return undefined
  }
}

export interface OutputParts {
  readonly view: View
  readonly worker: SinkWorker
  /** Called once for each accepted event; `observedAt` is when its change was read (RFC 3339). */
  readonly onSettled: (event: OutboundEvent, outcome: Outcome, observedAt: string) => void
  /** Called once for each snapshot that the sink was told of, or should have been. */
  readonly onSnapshot: (snapshot: Snapshot, outcome: SnapshotOutcome) => void
  /** What was dropped when the queue overflowed has been made up for. */
  readonly onRepaid: () => void
}
