import type { Outcome, SharedAck } from '../delivery/entry.ts'
import type { OutboundEvent } from '../delivery/sink.ts'
import type { SinkWorker } from '../delivery/worker.ts'
import { compareResourceVersions, type KubeObject, type ResourceVersion } from '../kube/object.ts'
import type { Change, Notable, Snapshot, SnapshotOutcome } from '../reconcile/change.ts'
import { Debt } from '../reconcile/debt.ts'
import type { SinkStart } from '../reconcile/ladder.ts'
import type { RoutedView } from '../route/routed-view.ts'
import { wants } from '../route/view.ts'
import type { Held, Ledger } from '../state/ledger.ts'
import type { DebtKind, StateRecord } from '../state/record.ts'
import { type Slot, Watermark } from '../state/watermark.ts'
import type { Translation } from '../translate/translate.ts'
import { type Form, formOf } from './form.ts'
import { SpooledChanges } from './spooled-changes.ts'
import { heldOf, Told } from './told.ts'
import { Untold } from './untold.ts'

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
  | { readonly type: 'repaying'; readonly debt: Debt | undefined; slot: Slot | undefined; readonly snapshotId: string }

/** What one sink sees of one stream, and how far it has it. */
export class Output {
  readonly routed: RoutedView
  readonly watermark = new Watermark()
  readonly #worker: SinkWorker
  readonly #onSettled: OutputParts['onSettled']
  readonly #onSnapshot: OutputParts['onSnapshot']
  readonly #onRepaid: OutputParts['onRepaid']
  #started: Told | undefined
  #onChange = () => {}
  #standing: Standing = { type: 'even' }
  /** What a restart would have to make up for: until the end of a full snapshot that began later. */
  #due: DebtKind | undefined
  /** As they were last noted. */
  #noted: { due: DebtKind | undefined; watermark: ResourceVersion | undefined } = {
    due: undefined,
    watermark: undefined,
  }
  /** What it settled in an earlier life is not told again. */
  #floor: ResourceVersion | undefined
  /** Since the last full snapshot that this sink has the end of. */
  #deadLettered = 0
  readonly #untold = new Untold()
  /** What takes further changes in. */
  #spooled: SpooledChanges | undefined
  /** What makes up for something and comes before the snapshot: so many events are not settled. */
  #ahead = 0

  constructor({ routed, worker, onSettled, onSnapshot, onRepaid }: OutputParts) {
    this.routed = routed
    this.#worker = worker
    this.#onSettled = onSettled
    this.#onSnapshot = onSnapshot
    this.#onRepaid = onRepaid
  }

  /** Before anything is offered. `onChange`: there is something to note. */
  start(ledger: Ledger, { watermark, skips, debt }: SinkStart, onChange = () => {}): void {
    this.#started = new Told(this.sink, ledger, this.#untold)
    this.#onChange = onChange
    this.#floor = skips === 'settled' ? watermark : undefined
    const isVoid = debt?.kind === 'restored' // positions of the history before
    this.#due = debt?.kind
    this.#noted = { due: debt?.kind, watermark: isVoid ? undefined : watermark }
    this.watermark.restart()
    if (watermark !== undefined && !isVoid) this.watermark.complete(watermark)
    this.#standing = { type: 'even' }
    this.#spooled = undefined // its slot is one of the watermark before
    if (!debt) return
    const owing = this.#owe(new Debt({ ...debt, from: watermark, isUrgent: true, held: () => this.#told.held() }))
    // the stream may go on from further ahead
    if (watermark !== undefined && !isVoid) owing.slot = this.watermark.open(watermark)
  }

  get sink(): string {
    return this.routed.sink
  }

  /** Whether a part of a snapshot may be offered. */
  get hasRoom(): boolean {
    return this.#worker.hasRoom
  }

  onRoom(listener: () => void): void {
    this.#worker.onRoom(listener)
  }

  /** What the sink is not told; undefined from when the snapshot begins that makes up for it. */
  get debt(): Debt | undefined {
    return this.#standing.type === 'owing' ? this.#standing.debt : undefined
  }

  /** Whether there is something that the sink missed and was not told again. */
  get isOwed(): boolean {
    return this.#standing.type !== 'even' && this.#due !== 'new'
  }

  /** What the sink does not have as it is, although it was sent; undefined: too much of it. */
  get untold(): readonly Held[] | undefined {
    return this.#untold.all()
  }

  /** An object of a full snapshot that begins: the sink may be offered it if it is a member. */
  expectItem(object: KubeObject): void {
    if (this.#admits(object)) this.#told.expect(object)
  }

  /** A live change will be offered: from before that on the sink may hold the object. */
  expect(change: Change): void {
    if (change.type !== 'Added' && change.type !== 'Updated') return
    if (this.#standing.type === 'owing' || this.#isBelowFloor(change) || !this.#admits(change.object)) return
    this.#told.expect(change.object)
  }

  /** What the change is to this sink, and how it is told; undefined: nothing. To be asked before it is expected. */
  formOf(change: Notable): Form | undefined {
    return formOf(change, this.routed, this.#told)
  }

  /** The object as it was at a position that the sink has settled in an earlier life, or is owed a snapshot since. */
  settledBefore(object: KubeObject): void {
    this.#told.owedBefore(object)
  }

  /** A live change that is nothing to this sink. */
  skip(change: Notable): void {
    const slot = this.#slotFor(change)
    if (slot) this.watermark.settle(slot)
  }

  /**
   * A live change. Resolves when the sink's worker has accepted its event, or the view does not want it, or the sink is
   * owed a snapshot that will hold it.
   */
  async offer({ change, shape }: Form, translation: Translation, signal: AbortSignal): Promise<void> {
    if (change.type === 'Gap' && change.cause === 'restored') this.startOver()
    if (this.#isBelowFloor(change)) return this.#told.owed(change)
    this.#floor = undefined // positions do not go back
    if (this.#standing.type !== 'owing') return await this.send({ change, shape }, translation, signal)
    const slot = this.#slotFor(change)
    if (wants(shape, change)) this.#hold(this.#standing, slot)
    else if (slot) this.watermark.settle(slot)
    if (change.type === 'Deleted') this.#standing.debt.depart(heldOf(change.identity))
    this.#told.owed(change)
  }

  /** A change that is for this sink whatever it is owed: a part of its snapshot, or what comes before that. */
  async send({ change, shape }: Form, translation: Translation, signal: AbortSignal): Promise<void> {
    if (change.type === 'SnapshotBegin' && change.snapshot.mode === 'full') {
      this.#repay(change.snapshot)
      this.#untold.began(change.snapshot.id)
    }
    const slot = this.#slotFor(change)
    this.expect(change) // an end that was under way may have been settled since
    if (!wants(shape, change)) {
      if (slot) this.watermark.settle(slot)
      this.#told.passed(change)
      return
    }
    this.#told.offered(change)
    /** What the event says of them; an `end` is asked again when its turn comes. */
    let told = 0
    const deadLettered = () => {
      told = this.#deadLettered
      return told
    }
    const event = translation(shape, { deadLettered })
    let isAhead = this.#standing.type === 'owing' || change.type === 'Gap'
    if (isAhead) this.#ahead++
    const arrived = () => {
      if (isAhead) this.#ahead--
      isAhead = false
      this.#repaidWithoutSnapshot()
    }
    const settle = (outcome: Outcome) => {
      if (outcome.type === 'overflowed') this.#lose(change, slot)
      else if (slot) this.watermark.settle(slot)
      this.#told.settled(change, outcome)
      if (outcome.type === 'dead-lettered') this.#deadLettered++
      const result = resultOf(change, outcome)
      if (result && 'snapshot' in change) {
        if (result.type === 'completed' && change.snapshot.mode === 'full') {
          this.#deadLettered -= told
          this.#untold.completed(change.snapshot.id)
          if (this.#standing.type === 'repaying' && this.#standing.snapshotId === change.snapshot.id) this.#repaid()
        }
        this.#onSnapshot(change.snapshot, result)
      }
      arrived()
      this.#onSettled(event, outcome, change.observedAt)
      this.#onChange()
    }
    const share = () => {
      arrived() // to where it outlives the process
      return this.#share(slot)
    }
    await this.#worker.enqueue(event, Object.assign(settle, { share }), signal)
  }

  /** The change waits on disk, and is known there alone. */
  #share(slot: Slot | undefined): SharedAck {
    if (!this.#spooled || this.#spooled.isClosed) {
      this.#spooled = new SpooledChanges({
        settle: (one) => this.watermark.settle(one),
        onSettled: (event, outcome, offeredAt) => {
          if (outcome.type === 'dead-lettered') this.#deadLettered++
          this.#told.settledOnDisk(event, outcome)
          this.#onSettled(event, outcome, offeredAt)
          this.#onChange()
        },
        onLost: (one) => {
          const resourceVersion = one?.position ?? this.watermark.value
          // items alone, before anything was told: their snapshot has no end, and is sent again
          this.#told.lost()
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

  /**
   * What the sink is owed and that is not persisted yet: before the entries of the ledger, which count what it is owed as
   * told.
   */
  takeOwed(stream: string): readonly StateRecord[] {
    if (this.#due === undefined || this.#due === this.#noted.due) return []
    this.#noted = { ...this.#noted, due: this.#due }
    return [{ type: 'debt', stream, sink: this.sink, kind: this.#due }]
  }

  /** What else is to be persisted since it was last asked for, after the entries of the ledger. */
  takeNotes(stream: string): readonly StateRecord[] {
    const { sink } = this
    const { value: watermark } = this.watermark
    const notes: StateRecord[] = []
    if (watermark !== undefined && watermark !== this.#noted.watermark)
      notes.push({ type: 'watermark', stream, sink, position: watermark })
    // after the watermark: what a snapshot has made up for would be told once more, behind what was told since
    if (this.#due !== this.#noted.due) notes.push({ type: 'debt', stream, sink, kind: this.#due })
    this.#noted = { due: this.#due, watermark }
    return notes
  }

  get #told(): Told {
    if (!this.#started) throw new Error(`the sink ${this.sink} has not been started for its stream`)
    return this.#started
  }

  #admits(object: KubeObject): boolean {
    return this.routed.admits?.(object) ?? true
  }

  /** Whether it was settled in an earlier life. */
  #isBelowFloor(change: Change): boolean {
    if (this.#floor === undefined || !('resourceVersion' in change)) return false
    return compareResourceVersions(change.resourceVersion, this.#floor) <= 0
  }

  /** The server has another history: no position of the one before is noted any more. */
  startOver(): void {
    this.watermark.restart()
    this.#spooled = undefined // its slot holds nothing any more
    this.#floor = undefined
    this.#repaid()
    this.#due = 'restored'
    this.#noted = { due: 'restored', watermark: undefined } // the stream does that
  }

  /** The queue overflowed, or the disk has failed: this is gone with all that waited. */
  #lose(change: Change, slot: Slot | undefined): void {
    const before = this.#standing
    let standing: Standing & { readonly type: 'owing' }
    if (before.type === 'owing') {
      standing = before
      standing.debt.reopen()
    } else {
      const from = this.watermark.value ?? placeOf(change)
      const kind = this.#due ?? 'missed'
      const debt = new Debt({ kind, cause: 'overflow', from, isUrgent: false, held: () => this.#told.held() })
      standing = this.#owe(debt)
      if (before.type === 'repaying') standing.slot = before.slot
    }
    this.#hold(standing, slot)
    this.#told.owed(change)
  }

  #owe(debt: Debt): Standing & { readonly type: 'owing' } {
    this.#due = debt.kind
    this.#told.owes(debt.kind)
    const standing = { type: 'owing', debt, slot: undefined } as const
    this.#standing = standing
    return standing
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
    if (this.#standing.type === 'even' && this.#due === undefined) return
    const { debt, slot } = this.#standing.type === 'even' ? {} : this.#standing
    this.#standing = { type: 'repaying', debt, slot, snapshotId: id }
    this.#repaidWithoutSnapshot()
  }

  /** There is nothing else that could be sent. */
  #repaidWithoutSnapshot(): void {
    if (this.#standing.type === 'repaying' && this.#ahead === 0 && !this.routed.stream.on.has('snapshot'))
      this.#repaid()
  }

  #repaid(): void {
    if (this.#standing.type === 'even') return
    const { debt, slot } = this.#standing
    this.#standing = { type: 'even' }
    this.#due = undefined
    if (slot) this.watermark.settle(slot)
    if (debt?.cause === 'overflow') this.#onRepaid()
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

function resultOf(change: Notable, outcome: Outcome): SnapshotOutcome | undefined {
  if (change.type !== 'SnapshotBegin' && change.type !== 'SnapshotEnd') return undefined
  switch (outcome.type) {
    case 'delivered':
      return change.type === 'SnapshotEnd' ? { type: 'completed', ...change.result } : undefined
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
  readonly routed: RoutedView
  readonly worker: SinkWorker
  /** Called once for each accepted event; `observedAt` is when its change was read (RFC 3339). */
  readonly onSettled: (event: OutboundEvent, outcome: Outcome, observedAt: string) => void
  /** Called once for each snapshot that the sink was told of, or should have been. */
  readonly onSnapshot: (snapshot: Snapshot, outcome: SnapshotOutcome) => void
  /** What was dropped when the queue overflowed has been made up for. */
  readonly onRepaid: () => void
}
