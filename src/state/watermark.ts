import { compareResourceVersions, type ResourceVersion, type Timestamp } from '../kube/object.ts'

/** One place in the offer order of a (stream, sink). */
export interface Slot {
  readonly position: ResourceVersion
  /** How many were opened before it. */
  readonly place: number
  /** When what it stands for was observed, if that is known. */
  readonly observedAt: Timestamp | undefined
  /** Up to where everything was over when it was opened; undefined: nothing is known to be, or it repeats what was. */
  readonly over: ResourceVersion | undefined
  settled: boolean
}

/** So few slots are not worth the trouble. */
const MINIMUM = 1024

/**
 * Up to where all that a stream offered to one sink is settled.
 *
 * Guarantee: `value` is p only when nothing at or below p is unsettled, nor will be: slots are opened in offer order
 * with the stream's position, so p is over once a higher slot is opened or `complete(p)` was called.
 *
 *   opened:   5 settled | 7 settled | 9 open | 9 settled | 12 settled      value: 7
 *
 * Memory grows with the unsettled slots, which the sink's queue bounds: of settled ones in a row behind an unsettled one
 * only the last is kept.
 */
export class Watermark {
  /** At this length the slots are thinned out. */
  #thinAt = MINIMUM
  #slots: Slot[] = []
  /** Slots before this index are settled and counted in `#value`. */
  #head = 0
  /** The highest position that a slot was opened at. */
  #last: ResourceVersion | undefined
  #completed: ResourceVersion | undefined
  #value: ResourceVersion | undefined
  #opened = 0

  /** Undefined until everything at the first position is settled. */
  get value(): ResourceVersion | undefined {
    return this.#value
  }

  /** Slots that hold the watermark back, or wait behind one that does. */
  get lag(): number {
    return this.#slots.length - this.#head
  }

  /** From the oldest unsettled slot to the newest one: how many were opened, and when the oldest was observed. */
  get behind(): { readonly slots: number; readonly since: Timestamp | undefined } {
    const first = this.#slots[this.#head]
    if (!first || first.settled) return { slots: 0, since: undefined }
    return { slots: this.#opened - first.place, since: first.observedAt }
  }

  /**
   * A place for what is offered next. A position below the last one is a frame that the server repeated: its slot stands
   * at the last position, because it can only hold back what comes after it.
   */
  open(position: ResourceVersion, observedAt?: Timestamp): Slot {
    if (this.#last === undefined || compareResourceVersions(position, this.#last) > 0) this.#last = position
    const over = this.#isOver(this.#last) ? undefined : this.#completed
    const slot: Slot = { position: this.#last, place: this.#opened++, observedAt, over, settled: false }
    if (this.lag >= this.#thinAt) this.#thin()
    this.#slots.push(slot)
    this.#advance()
    return slot
  }

  /** Settling a slot twice, or one from before a `restart`, changes nothing. */
  settle(slot: Slot): void {
    slot.settled = true
    this.#advance()
  }

  /** Nothing more will be opened up to `position`: a bookmark, or the end of a list. A lower one changes nothing. */
  complete(position: ResourceVersion): void {
    if (this.#completed !== undefined && compareResourceVersions(position, this.#completed) <= 0) return
    this.#completed = position
    this.#advance()
  }

  #thin(): void {
    const slots = this.#slots.slice(this.#head)
    this.#slots = slots.filter((slot, index) => !slot.settled || !slots[index + 1]?.settled)
    this.#head = 0
    this.#thinAt = Math.max(MINIMUM, 2 * this.#slots.length)
  }

  #advance(): void {
    for (let first = this.#slots[this.#head]; first?.settled; first = this.#slots[this.#head]) {
      const next = this.#slots[this.#head + 1]
      if (!next && !this.#isOver(first.position)) break
      this.#head++
      if (next?.position !== first.position) this.#value = first.position
    }
    this.#reach()
    if (this.#head > 1024 && this.#head * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head)
      this.#head = 0
    }
  }

  /**
   * What is left may all be of later: then everything up to where it was over before that is settled. Without this a
   * watermark that was held back for long would stand where it was held for as long as something of later is on its way.
   */
  #reach(): void {
    const first = this.#slots[this.#head]
    const over = first && this.#isOver(first.position) ? first.over : this.#completed
    if (over === undefined) return
    if (this.#value === undefined || compareResourceVersions(this.#value, over) < 0) this.#value = over
  }

  #isOver(position: ResourceVersion): boolean {
    return this.#completed !== undefined && compareResourceVersions(position, this.#completed) <= 0
  }

  /** Forgets everything: the server's versions went back, so positions before this mean nothing any more. */
  restart(): void {
    this.#slots = []
    this.#head = 0
    this.#last = undefined
    this.#completed = undefined
    this.#value = undefined
  }
}
