/**
 * Who is told of events that wait on disk, once they have been read back. Memory is not to grow with what is on disk, so
 * events of a stream in a row share an ack; their offsets need not be kept, because they are read in the order in which
 * they were written.
 */
import type { Entry, SharedAck } from './entry.ts'
import { Fifo } from './fifo.ts'

/** Events of one stream with one ack. */
interface Run {
  readonly ack: SharedAck
  /** Offset of the first. */
  readonly from: number
  events: number
}

interface StreamRuns {
  readonly runs: Fifo<Run>
  last: Run | undefined
}

export class SpooledAcks {
  /** By offset. Of markers and gaps, which are few, closures are needed that no disk keeps; others are bounded elsewhere. */
  readonly #entries = new Map<number, Entry>()
  /** Grows with the number of streams. */
  readonly #streams = new Map<string, StreamRuns>()

  /** The event waits on disk. */
  add(entry: Entry, offset: number): void {
    const { kind, stream } = entry.offered
    const ack = kind === 'change' || kind === 'item' ? entry.shareAck() : undefined
    if (!ack) {
      this.#entries.set(offset, entry)
      return
    }
    const known = this.#streams.get(stream) ?? { runs: new Fifo(), last: undefined }
    this.#streams.set(stream, known)
    if (known.last?.ack === ack) {
      known.last.events++
    } else {
      known.last = { ack, from: offset, events: 1 }
      known.runs.push(known.last)
    }
  }

  /** The event at this offset as it was offered, if it is one that was kept so. */
  takeEntry(offset: number): Entry | undefined {
    const entry = this.#entries.get(offset)
    this.#entries.delete(offset)
    return entry
  }

  /** What is told of the event at this offset; undefined if it was offered to another process. */
  takeAck(stream: string, offset: number): SharedAck | undefined {
    const known = this.#streams.get(stream)
    const run = known?.runs.peek()
    if (!known || !run || offset < run.from) return undefined
    if (--run.events === 0) {
      known.runs.shift()
      if (known.last === run) known.last = undefined
    }
    return run.ack
  }

  /** The disk has lost all that were not taken yet. */
  loseAll(): void {
    const entries = [...this.#entries.values()]
    const runs = [...this.#streams.values()].flatMap(({ runs }) => runs.toArray())
    this.#entries.clear()
    this.#streams.clear()
    for (const { ack, events } of runs) ack.lose(events)
    for (const entry of entries) entry.ack({ type: 'overflowed' })
  }
}
