/**
 * The snapshots that one audience is due, and who waits for them.
 *
 * Requests are merged into what is due already:
 *
 *   a full one     stands for everything
 *   two parts      of one scope are one; those of different scopes come one after the other, the oldest first. Where
 *                  there would be more than ten of them, a full one stands for all
 *   delta, markers give way to a full one, and to nothing else
 *
 * So it is bounded, whatever is asked for.
 */
import type { SnapshotListener, SnapshotReason, SnapshotRequest } from './change.ts'
import { isSameScope } from './scope.ts'

export interface Due extends Omit<SnapshotRequest, 'listener'> {
  readonly listeners: readonly SnapshotListener[]
}

const MOST_PARTS = 10

export class Agenda {
  #whole: Due | undefined
  #parts: readonly Due[] = []

  /** What comes next. */
  get next(): Due | undefined {
    return this.#whole ?? this.#parts[0]
  }

  add({ listener, ...request }: SnapshotRequest): void {
    this.join({ ...request, listeners: listener ? [listener] : [] })
  }

  join(request: Due): void {
    const { mode, scope = {}, reason, listeners } = request
    if (this.#whole?.mode === 'full') {
      this.#whole = shared(this.#whole, listeners)
    } else if (mode === 'full') {
      this.#whole = { reason, mode, listeners: living([...this.takeAll(), ...listeners]) }
    } else if (mode !== 'part') {
      this.#whole = this.#whole ? shared(this.#whole, listeners) : request
    } else if (this.#parts.some((part) => isSameScope(part.scope ?? {}, scope))) {
      this.#parts = this.#parts.map((part) => (isSameScope(part.scope ?? {}, scope) ? shared(part, listeners) : part))
    } else if (this.#parts.length < MOST_PARTS) {
      this.#parts = [...this.#parts, request]
    } else {
      this.join({ reason, mode: 'full', listeners })
    }
  }

  /** A full one is due, for this reason, instead of whatever else was. */
  require(reason: SnapshotReason): void {
    this.#whole = { reason, mode: 'full', listeners: this.takeAll() }
  }

  /** What is `next` begins now. Returns who is to be told of it. */
  take(): readonly SnapshotListener[] {
    if (this.#whole?.mode === 'full') return this.takeAll()
    const listeners = living(this.next?.listeners ?? [])
    if (this.#whole) this.#whole = undefined
    else this.#parts = this.#parts.slice(1)
    return listeners
  }

  /** A full one begins now, and stands for all. Returns who is to be told of it. */
  takeAll(): readonly SnapshotListener[] {
    const all = this.#whole ? [this.#whole, ...this.#parts] : this.#parts
    this.#whole = undefined
    this.#parts = []
    return living(all.flatMap(({ listeners }) => listeners))
  }
}

function shared(due: Due, listeners: readonly SnapshotListener[]): Due {
  return { ...due, listeners: living([...due.listeners, ...listeners]) }
}

/** Those that have gone are forgotten. */
function living(listeners: readonly SnapshotListener[]): readonly SnapshotListener[] {
  return listeners.filter(({ signal }) => !signal.aborted)
}
