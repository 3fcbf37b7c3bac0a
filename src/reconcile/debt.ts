import type { ResourceVersion, Uid } from '../kube/object.ts'
import type { Held } from '../state/ledger.ts'
import type { DebtKind } from '../state/record.ts'
import type { Overdue } from './change.ts'

/** What the gap says that comes before a catch-up. */
export type DebtCause = Overdue['cause']

export interface DebtParts {
  readonly kind: DebtKind
  readonly cause: DebtCause
  /** Up to here the sink was told everything; undefined: that is not known. */
  readonly from: ResourceVersion | undefined
  /** See `Debt.isUrgent`. */
  readonly isUrgent: boolean
  /** What the sink may hold. Iterated while that changes. */
  readonly held: () => Iterator<Held>
}

/**
 * What a sink was not told of a stream. It is made up for by a gap, deletes of what it may hold and should not any more,
 * and a full snapshot.
 *
 * Guarantee: after these a sink knows of the end of every object that it may have been told of, and of everything that
 * is there. What it may hold is not kept here.
 */
export class Debt {
  readonly #parts: DebtParts
  #isUrgent: boolean
  #left: Iterator<Held> | undefined
  /** What went while the sink was told of what had gone before. */
  readonly #departed = new Map<Uid, Held>()

  constructor(parts: DebtParts) {
    this.#parts = parts
    this.#isUrgent = parts.isUrgent
  }

  get kind(): DebtKind {
    return this.#parts.kind
  }

  get cause(): DebtCause {
    return this.#parts.cause
  }

  get from(): ResourceVersion | undefined {
    return this.#parts.from
  }

  /** It is made up for at once, room or not. */
  get isUrgent(): boolean {
    return this.#isUrgent
  }

  /** Whether the gap was told, if there is to be one, and not lost again. */
  get announced(): boolean {
    return this.#left !== undefined
  }

  announce(): void {
    this.#left = this.#parts.held()
  }

  /** Something that was told since was lost, for want of room: it is all to be told again, when there is some. */
  reopen(): void {
    this.#isUrgent = false
    this.#left = undefined
    this.#departed.clear()
  }

  /** An object that the sink may hold is gone, or left. */
  depart(held: Held): void {
    if (this.announced) this.#departed.set(held.uid, held)
  }

  /** The next object that the sink may hold, of all since `announce`. */
  next(): Held | undefined {
    const next = this.#left?.next()
    if (next?.done === false) {
      this.#departed.delete(next.value.uid) // it is being told of now
      return next.value
    }
    for (const [uid, held] of this.#departed) {
      this.#departed.delete(uid)
      return held
    }
    return undefined
  }
}
