/**
 * The queues of a worker, one per key, so that a failing object delays nobody else:
 *
 *              append                 take (round-robin)
 *   no lane ------------> ready --------------------------> busy --> no lane, if it is empty
 *                           ^                                | |
 *                           |         release                | | retreat
 *                           +--------------------------------+ v
 *                           +------------------------------ waiting (back-off)
 *                                 onWake, then release
 *
 * Invariants: a lane is in the ready queue exactly while it is `ready`, and `ready` lanes are not empty; only a `busy`
 * lane has events in an attempt, and those are the ones that were first in it; an empty lane that is not busy is gone.
 */
import type { Clock } from '../lib/clock.ts'
import type { Entry } from './entry.ts'
import { Fifo } from './fifo.ts'

export class Lane {
  /** Undefined: a lane of its own for one event. */
  readonly key: string | undefined
  state: 'ready' | 'busy' | 'waiting' | 'gone' = 'ready'
  /** Ends the back-off. */
  timer: Disposable | undefined
  first: Entry | undefined
  #last: Entry | undefined
  length = 0
  bytes = 0
  /** Of those that were in it, how many are on the way to the dead letters. */
  held = 0
  /** Nothing but that keeps it busy. */
  isParked = false

  constructor(key: string | undefined) {
    this.key = key
  }

  push(entry: Entry): void {
    if (this.#last) this.#last.next = entry
    else this.first = entry
    this.#last = entry
    this.#count(entry, 1)
  }

  shift(): Entry | undefined {
    const entry = this.first
    if (!entry) return undefined
    this.first = entry.next
    if (!this.first) this.#last = undefined
    entry.next = undefined
    this.#count(entry, -1)
    return entry
  }

  /** Takes out what matches, first to last. */
  extract(matches: (entry: Entry) => boolean): Entry[] {
    const taken: Entry[] = []
    const kept: Entry[] = []
    for (let entry = this.shift(); entry; entry = this.shift()) (matches(entry) ? taken : kept).push(entry)
    for (const entry of kept) this.push(entry)
    return taken
  }

  unshift(entry: Entry): void {
    entry.next = this.first
    this.first = entry
    this.#last ??= entry
    this.#count(entry, 1)
  }

  /** Of one that is in it. */
  resize(entry: Entry, bytes: number): void {
    this.bytes += bytes - entry.bytes
    entry.bytes = bytes
  }

  #count(entry: Entry, sign: 1 | -1): void {
    this.length += sign
    this.bytes += sign * entry.bytes
  }
}

/** Limits of one batch. */
export interface BatchLimits {
  readonly events: number
  readonly bytes: number
}

export interface LanesOptions {
  /** Whether a batch may hold several events of one lane. */
  readonly sameKeyInBatch: boolean
  readonly clock: Clock
  readonly onWake: (lane: Lane) => void
}

export class Lanes {
  readonly #byKey = new Map<string, Lane>()
  readonly #ready = new Fifo<Lane>()
  readonly #sameKeyInBatch: boolean
  /** What batches could take now. */
  #readyEvents = 0
  #readyBytes = 0
  readonly #waiting = new Set<Lane>()
  readonly #clock: Clock
  readonly #onWake: (lane: Lane) => void

  constructor({ sameKeyInBatch, clock, onWake }: LanesOptions) {
    this.#sameKeyInBatch = sameKeyInBatch
    this.#clock = clock
    this.#onWake = onWake
  }

  get readyEvents(): number {
    return this.#readyEvents
  }

  get readyBytes(): number {
    return this.#readyBytes
  }

  /** Lanes in back-off. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Puts the entry at the end of its key's lane; without a key, into a lane of its own. */
  append(entry: Entry, key: string | undefined): Lane {
    let lane = key === undefined ? undefined : this.#byKey.get(key)
    const isNew = !lane
    if (!lane) {
      lane = new Lane(key)
      if (key !== undefined) this.#byKey.set(key, lane)
    }
    entry.lane = lane
    if (lane.state === 'ready' && !isNew) this.#countReady(lane, -1)
    lane.push(entry)
    if (lane.state === 'ready') this.#countReady(lane, 1)
    if (isNew) this.#ready.push(lane)
    return lane
  }

  /**
   * The first events of the ready lanes, as far as the limits allow, at least one if a lane is ready; their lanes are
   * busy until `release` or `retreat`. At most one event of a lane, unless the sink takes several.
   */
  take(limits: BatchLimits): Entry[] {
    const batch: Entry[] = []
    let bytes = 0
    const fits = (entry: Entry) =>
      batch.length === 0 || (batch.length < limits.events && bytes + entry.bytes <= limits.bytes)
    for (let lane = this.#ready.peek(); lane?.first && fits(lane.first); lane = this.#ready.peek()) {
      this.#ready.shift()
      this.#countReady(lane, -1)
      lane.state = 'busy'
      do {
        const entry = lane.shift()
        if (!entry) break
        batch.push(entry)
        bytes += entry.bytes
      } while (this.#sameKeyInBatch && lane.first && fits(lane.first))
    }
    return batch
  }

  /**
   * One event to learn from: one that was never sent, if there is one, because it has not failed yet; else of another
   * lane than `last`.
   */
  takeOne(last: Lane | undefined): Entry | undefined {
    if (!this.#rotateTo((lane) => lane.first?.attempts === 0)) this.#rotateTo((lane) => lane !== last)
    const lane = this.#ready.shift()
    if (!lane) return undefined
    this.#countReady(lane, -1)
    lane.state = 'busy'
    return lane.shift()
  }

  /** A lane is ready whose first event was never sent; `takeOne` will take it. */
  hasUnsent(): boolean {
    return this.#rotateTo((lane) => lane.first?.attempts === 0)
  }

  /** An entry that waits in this lane changes its size. */
  resize(lane: Lane, entry: Entry, bytes: number): void {
    if (lane.state === 'ready') this.#countReady(lane, -1)
    lane.resize(entry, bytes)
    if (lane.state === 'ready') this.#countReady(lane, 1)
  }

  /** Takes what matches out of these lanes. What is in an attempt stays there: it is not in its lane. */
  extract(lanes: ReadonlySet<Lane>, matches: (entry: Entry) => boolean): Entry[] {
    const taken: Entry[] = []
    if (lanes.size === 0) return taken
    for (const lane of lanes) {
      if (lane.state === 'ready') this.#countReady(lane, -1)
      for (const entry of lane.extract(matches)) taken.push(entry)
      if (lane.state !== 'ready') continue
      this.#countReady(lane, 1)
      if (!lane.first) this.#drop(lane)
    }
    this.#ready.retain(({ state }) => state === 'ready')
    return taken
  }

  /** The attempt or the back-off is over: the lane is ready again, at the end of the round, or gone. */
  release(lane: Lane): void {
    if (lane.first) {
      lane.state = 'ready'
      this.#countReady(lane, 1)
      this.#ready.push(lane)
    } else {
      this.#drop(lane)
    }
  }

  /** The attempt is over and failed: the lane waits, then `onWake` is called, which releases it. */
  retreat(lane: Lane, delayMs: number): void {
    lane.state = 'waiting'
    this.#waiting.add(lane)
    lane.timer = this.#clock.after(delayMs, () => {
      this.cancelBackOff(lane)
      this.#onWake(lane)
    })
  }

  /** A ready lane is busy until `release`. */
  lock(lane: Lane): void {
    if (lane.state !== 'ready') return
    this.#countReady(lane, -1)
    lane.state = 'busy'
    this.#ready.retain((one) => one !== lane)
  }

  /** `onWake` will not be called. */
  cancelBackOff(lane: Lane): void {
    this.#waiting.delete(lane)
    lane.timer?.[Symbol.dispose]()
    lane.timer = undefined
  }

  /** Forgets all timers. */
  close(): void {
    for (const lane of this.#waiting) this.cancelBackOff(lane)
  }

  #drop(lane: Lane): void {
    lane.state = 'gone'
    if (lane.key !== undefined) this.#byKey.delete(lane.key)
  }

  /** Makes the next ready lane that suits the first one. Returns false, with the order as it was, if none does. */
  #rotateTo(suits: (lane: Lane) => boolean): boolean {
    for (let left = this.#ready.length; left > 0; left--) {
      const lane = this.#ready.peek()
      if (!lane || suits(lane)) return true
      this.#ready.shift()
      this.#ready.push(lane)
    }
    return false
  }

  #countReady(lane: Lane, sign: 1 | -1): void {
    if (!lane.first) return
    this.#readyEvents += sign * (this.#sameKeyInBatch ? lane.length : 1)
    this.#readyBytes += sign * (this.#sameKeyInBatch ? lane.bytes : lane.first.bytes)
  }
}
