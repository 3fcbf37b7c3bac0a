/**
 * Which events of a queue can become one.
 *
 *   offered to one stream and key:   a1  a2  a3 | begin | a4  a5        (a2, a3 and a4, a5 are of one object each)
 *   in the queue:                    a1  a2+a3  | begin | a4+a5         (a1 was attempted: it keeps its id)
 *
 * An event goes into the one before it, of the same key, if that one still waits, was never sent, and no marker or gap
 * of their stream was offered in between. Whether they are of one object, and what they are together, the events say.
 */
import type { Ack, Entry } from './entry.ts'
import type { OutboundEvent } from './sink.ts'

export interface CoalescerParts {
  /** Another event takes the place of the entry's. Returns false, and changes nothing, if it does not fit the sink. */
  readonly put: (entry: Entry, event: OutboundEvent) => boolean
  /** Takes the entries out of the queue and settles them. */
  readonly remove: (entries: readonly Entry[]) => void
  /** So many events are not sent, because newer ones stand for them. */
  readonly onMerged: (events: number) => void
}

export class Coalescer {
  readonly #parts: CoalescerParts
  /** The last entry of each key; its memory is that of the queue. */
  readonly #last = new Map<string, Entry>()
  /** How many markers and gaps each stream has offered. */
  readonly #markers = new Map<string, number>()

  constructor(parts: CoalescerParts) {
    this.#parts = parts
  }

  /** In the order of the offers, for each entry that is accepted. */
  accepted(entry: Entry): void {
    const { kind, stream, key } = entry.offered
    entry.era = this.#era(stream)
    if (kind === 'change' || kind === 'item') {
      const last = this.#last.get(key)
      if (last && mayMerge(last, entry)) {
        entry.before = last
        last.before = undefined // what is older stays as it is
      }
      this.#last.set(key, entry)
    } else {
      this.#markers.set(stream, entry.era + 1)
    }
  }

  settled(entry: Entry): void {
    const { key } = entry.offered
    if (this.#last.get(key) === entry) this.#last.delete(key)
  }

  /** Puts the event into one that waits, which then answers for both. Returns false if there is none. */
  merge(event: OutboundEvent, ack: Ack): boolean {
    const last = this.#last.get(event.key)
    if (!last || event.kind !== 'change' || !isWaiting(last)) return false
    if (last.offered.stream !== event.stream || last.era !== this.#era(event.stream)) return false
    const merged = last.offered.merge?.(event)
    if (!merged || !this.#parts.put(last, merged)) return false
    last.takeOver(ack)
    this.#parts.onMerged(1)
    this.#mergeBack(last)
    return true
  }

  /** Does for all of them, which are in the order of the offers, what `merge` does for a new one. */
  mergeAll(entries: Iterable<Entry>): void {
    const removed: Entry[] = []
    for (const { entry, event, newer, before } of runsOf(entries)) {
      if (before) entry.before = before.entry
      const newest = newer.at(-1)
      if (!newest || !this.#parts.put(entry, event)) continue
      for (const other of newer) {
        entry.absorb(other)
        removed.push(other)
      }
      if (this.#last.get(event.key) === newest) this.#last.set(event.key, entry)
    }
    this.#parts.remove(removed)
    this.#parts.onMerged(removed.length)
  }

  /** What left and came back are two events, until it goes again: then that stands for both. */
  #mergeBack(entry: Entry): void {
    const { before } = entry
    if (!before || !mayMerge(before, entry)) return
    const merged = before.offered.merge?.(entry.offered)
    if (!merged || !this.#parts.put(before, merged)) return
    before.absorb(entry)
    this.#last.set(before.offered.key, before)
    this.#parts.remove([entry])
    this.#parts.onMerged(1)
  }

  #era(stream: string): number {
    return this.#markers.get(stream) ?? 0
  }
}

function isWaiting({ settled, attempts, superseded, isUnderWay }: Entry): boolean {
  return !settled && attempts === 0 && !superseded && !isUnderWay
}

function mayMerge(first: Entry, newer: Entry): boolean {
  const isOneEra = first.era === newer.era && first.offered.stream === newer.offered.stream
  return isOneEra && isWaiting(first) && isWaiting(newer) && newer.offered.kind === 'change'
}

/** Events in a row that can be one. */
interface Run {
  readonly entry: Entry
  /** What they are together. */
  event: OutboundEvent
  readonly newer: Entry[]
  /** The run before it of the same key, if they might become one after all. */
  readonly before: Run | undefined
}

function runsOf(entries: Iterable<Entry>): Iterable<Run> {
  const runs = new Set<Run>()
  const last = new Map<string, Run>()
  for (const entry of entries) {
    const { key, kind } = entry.offered
    if (kind !== 'change' && kind !== 'item') continue
    const found = last.get(key)
    const run = found && mayMerge(found.entry, entry) ? found : undefined
    const event = run?.event.merge?.(entry.offered)
    if (run && event) {
      run.event = event
      run.newer.push(entry)
      const both = run.before?.event.merge?.(event)
      if (!run.before || !both) continue
      run.before.event = both
      run.before.newer.push(run.entry)
      for (const other of run.newer) run.before.newer.push(other)
      runs.delete(run)
      last.set(key, run.before)
    } else {
      const next: Run = { entry, event: entry.offered, newer: [], before: run }
      runs.add(next)
      last.set(key, next)
    }
  }
  return runs
}
