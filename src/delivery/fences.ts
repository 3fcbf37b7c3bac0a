/**
 * Fences keep a snapshot true although lanes run in parallel. Per stream, in the order in which it was offered:
 *
 *   begin, gap    go at once; what the stream offers later waits until they are settled
 *   end           waits until everything the stream offered before is settled; what comes later waits for it too.
 *                 If nothing of them is settled for the time of an attempt, `item`s that keep failing give way to it;
 *                 if it waits for anything else, its `aborted` form goes instead
 *   gap that      takes the place of everything that was offered before it and has not left; waits for what has left,
 *   supersedes    as `end` does, but as long as it takes. What comes later waits for it
 *   all others    go at once, unless a fence stands before them
 *
 *   offered:   c1 c2 begin c3 i1 end c4          c1 c2 begin | c3 i1 | end | c4
 *                                                each group only after the one before it is settled
 *
 * (c1 and c2 need not be settled when c3 goes.) An `aborted` is no fence and waits only for the fences before it.
 *
 * Settled is also what went to the dead letters; what is in back-off is not. So an event that keeps failing holds up its
 * stream by about the time of an attempt per snapshot, and one that fails once or twice voids none. An `item` gives way
 * because it comes again with the next snapshot, which would never have an `end` either: a consumer learns of what is
 * gone, and from the `end` how many are missing. A `change` does not come again. Whether items are at fault, or the sink,
 * may be in doubt when the `end` has waited long enough: then it is aborted, once. What failed before that was delivered
 * gives way to the next `end`, unless it was delivered in between.
 */
import type { Clock } from '../lib/clock.ts'
import type { Entry } from './entry.ts'
import { Fifo } from './fifo.ts'

/** What an `item` must have shown to give way: after an `end` that was aborted, what was known then is enough. */
export type Proof = 'isAtFault' | 'isPoison'

class Stream {
  /** Passed on and not settled yet. */
  unsettled = 0
  fence: Entry | undefined
  /** The fence is an `end`, or supersedes, and waits for what is unsettled. */
  fenceWaits = false
  /** What the items must have shown that the next `end` waits for. */
  proof: Proof = 'isAtFault'
  /** When something was last settled while the fence waits. */
  progressAt = 0
  /** Runs while the fence waits. */
  timer: Disposable | undefined
  /** What was offered after the fence. */
  readonly held = new Fifo<Entry>()
  heldBytes = 0
}

export interface FencesOptions {
  readonly clock: Clock
  /** An `end` waits this long while nothing of its stream is settled. The time when the sink is out of order does not count. */
  readonly timeoutMs: number
  /** Since when the sink is in order, on the clock; undefined while it is not. */
  readonly openSince: () => number | undefined
  /** Where an entry goes when nothing stands before it. */
  readonly pass: (entry: Entry) => void
  /** Replaces the event of an `end` by its final form: everything before it is settled. */
  readonly complete: (entry: Entry) => void
  /**
   * Gives up those of the stream that the `end` waits for, now or when their attempt is over. Returns false, and does
   * nothing, if there is any other than an `item` that is at fault, or all were told before.
   */
  readonly giveWay: (stream: string, proof: Proof) => boolean
  /** Replaces the entry's event by its `aborted` form. Returns false if it has none: then it goes on waiting. */
  readonly abort: (entry: Entry, cause: string) => boolean
  /** Runs what a timer calls, and reports what it throws. */
  readonly guard: (work: () => void) => void
}

export class Fences {
  readonly #options: FencesOptions
  /** Grows with the number of configured streams only. */
  readonly #streams = new Map<string, Stream>()
  #isClosed = false

  constructor(options: FencesOptions) {
    this.#options = options
  }

  offer(entry: Entry): void {
    const stream = this.#of(entry)
    if (stream.fence) {
      stream.held.push(entry)
      stream.heldBytes += entry.bytes
    } else {
      this.#enter(stream, entry)
    }
  }

  /**
   * Takes out what matches of what the stream holds back, and of a fence that waits. What was passed on is not its
   * business any more.
   */
  extract(name: string, matches: (entry: Entry) => boolean): Entry[] {
    const stream = this.#streams.get(name)
    if (!stream) return []
    const taken = stream.held.toArray().filter(matches)
    if (taken.length > 0) stream.held.retain((entry) => !matches(entry))
    for (const { bytes } of taken) stream.heldBytes -= bytes
    if (stream.fence && stream.fenceWaits && matches(stream.fence)) {
      taken.unshift(stream.fence)
      this.#disarm(stream)
      this.#open(stream)
    }
    return taken
  }

  /** An entry that is held back changes its size. */
  resize(entry: Entry, bytes: number): void {
    this.#of(entry).heldBytes += bytes - entry.bytes
    entry.bytes = bytes
  }

  /** It will be settled without having been passed on; an `end` waits for that too. */
  hold(entry: Entry): void {
    this.#of(entry).unsettled++
  }

  settled(entry: Entry): void {
    const stream = this.#of(entry)
    stream.unsettled--
    if (entry.offered.kind === 'end') stream.proof = entry.abortedBy === undefined ? 'isAtFault' : 'isPoison'
    if (stream.fence === entry) this.#open(stream)
    else if (stream.fenceWaits) {
      stream.progressAt = this.#options.clock.monotonic()
      if (stream.unsettled === 0) this.#send(stream)
    }
  }

  /** The fence that holds back what this entry's stream offers now. */
  fenceBefore(entry: Entry): Entry | undefined {
    return this.#of(entry).fence
  }

  /** What waits because this fence is not settled. */
  heldBy(entry: Entry): { readonly events: number; readonly bytes: number } {
    const stream = this.#of(entry)
    return stream.fence === entry ? { events: stream.held.length, bytes: stream.heldBytes } : { events: 0, bytes: 0 }
  }

  /** Forgets all timers, and sets none any more: what is under way can still be settled, and open a fence. */
  close(): void {
    this.#isClosed = true
    for (const stream of this.#streams.values()) this.#disarm(stream)
  }

  #of({ offered }: Entry): Stream {
    let stream = this.#streams.get(offered.stream)
    if (!stream) {
      stream = new Stream()
      this.#streams.set(offered.stream, stream)
    }
    return stream
  }

  #enter(stream: Stream, entry: Entry): void {
    const { kind, supersedes } = entry.offered
    if (kind === 'begin' || kind === 'gap' || kind === 'end') stream.fence = entry
    if (kind !== 'end' && !supersedes) {
      this.#pass(stream, entry)
      return
    }
    stream.fenceWaits = true
    if (stream.unsettled === 0) {
      this.#send(stream)
      return
    }
    if (kind !== 'end') return
    stream.progressAt = this.#options.clock.monotonic()
    this.#arm(stream, this.#options.timeoutMs)
  }

  #pass(stream: Stream, entry: Entry): void {
    stream.unsettled++
    this.#options.pass(entry)
  }

  /** All before the waiting `end` is settled. */
  #send(stream: Stream): void {
    this.#disarm(stream)
    if (!stream.fence) return
    this.#options.complete(stream.fence)
    this.#pass(stream, stream.fence)
  }

  /** Returns false if the `end` has no `aborted` form. */
  #abort(stream: Stream, cause: string): boolean {
    const { fence } = stream
    if (!fence || !this.#options.abort(fence, cause)) return false
    this.#disarm(stream)
    this.#pass(stream, fence)
    this.#open(stream)
    return true
  }

  /** Nothing waits for the fence any more: lets pass what it held, up to the next one. */
  #open(stream: Stream): void {
    stream.fence = undefined
    while (!stream.fence) {
      const entry = stream.held.shift()
      if (!entry) return
      stream.heldBytes -= entry.bytes
      this.#enter(stream, entry)
    }
  }

  #arm(stream: Stream, delayMs: number): void {
    if (this.#isClosed) return
    const { clock, timeoutMs, openSince, giveWay, guard } = this.#options
    const check = () => {
      const now = clock.monotonic()
      const left = Math.max(stream.progressAt, openSince() ?? now) + timeoutMs - now
      if (left > 0) return this.#arm(stream, left)
      const givesWay = stream.fence && giveWay(stream.fence.offered.stream, stream.proof)
      if (!stream.fenceWaits) return
      if (!givesWay && this.#abort(stream, `nothing of the stream was delivered for ${timeoutMs} ms`)) return
      this.#arm(stream, timeoutMs)
    }
    stream.timer = clock.after(delayMs, () => guard(check))
  }

  #disarm(stream: Stream): void {
    stream.fenceWaits = false
    stream.timer?.[Symbol.dispose]()
    stream.timer = undefined
  }
}
