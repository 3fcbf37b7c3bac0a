import type { Resource, ResourceVersion, Uid } from '../kube/object.ts'
import type { DebtKind, LedgerEntry, SinkOfStream, StateRecord } from './record.ts'

/**
 * What is remembered of one stream: as a store has read it, and from then on as it is. Memory grows with the number of
 * objects only: about 0.25 KB for each.
 */
export class StreamState {
  readonly stream: string
  /** Hash of what the stream is about; undefined: nothing is known of it. */
  definition: string | undefined
  /** What its objects are. */
  resource: Resource | undefined
  /** Their places are the bits of the entries. */
  sinks: readonly SinkOfStream[] = []
  readonly entries = new Map<Uid, LedgerEntry>()
  readonly watermarks = new Map<string, ResourceVersion>()
  readonly debts = new Map<string, DebtKind>()

  constructor(stream: string) {
    this.stream = stream
  }

  /** The record is of this stream. */
  apply(record: StateRecord): void {
    switch (record.type) {
      case 'stream':
        this.resource = record.resource
        this.#redefine(record.definition, record.sinks)
        return
      case 'entry': {
        const { uid, key, told, may, has } = record
        this.entries.set(uid, { key, told, may, has })
        return
      }
      case 'gone':
        this.entries.delete(record.uid)
        return
      case 'watermark':
        this.watermarks.set(record.sink, record.position)
        return
      case 'debt':
        if (record.kind) this.debts.set(record.sink, record.kind)
        else this.debts.delete(record.sink)
        return
      case 'restored':
        for (const entry of this.entries.values()) entry.told = undefined
        this.watermarks.clear()
    }
  }

  /** All of it, from which it can be made again: as it is now, if it is iterated at once. */
  *records(): Generator<StateRecord> {
    yield* this.#head()
    yield* this.#facts()
  }

  /**
   * All of it, `most` records or a few more at a time, while it goes on changing: a portion is as things are when it is
   * asked for. Each begins with the definition and what sinks are owed then, because its entries count that as told;
   * watermarks come last, behind the entries that they stand for. So where each portion is written whole, and in its
   * place among the changes, the first ones are true without the rest.
   */
  *portions(most: number): Generator<readonly StateRecord[]> {
    let portion = this.#head()
    for (const fact of this.#facts()) {
      portion.push(fact)
      if (portion.length < most) continue
      yield portion
      portion = this.#head() // as it is now, and before the next fact is looked at
    }
    if (portion.length > 0) yield portion
  }

  /** The definition and the debts. */
  #head(): StateRecord[] {
    const { stream, definition, sinks, resource, debts } = this
    if (definition === undefined) return []
    return [
      { type: 'stream', stream, definition, sinks, ...(resource && { resource }) },
      ...[...debts].map(([sink, kind]): StateRecord => ({ type: 'debt', stream, sink, kind })),
    ]
  }

  *#facts(): Generator<StateRecord> {
    const { stream } = this
    if (this.definition === undefined) return
    for (const [uid, entry] of this.entries) yield { type: 'entry', stream, uid, ...entry }
    for (const [sink, position] of this.watermarks) yield { type: 'watermark', stream, sink, position }
  }

  /** Moves the bits to the sinks' new places; what was known of sinks that are no longer there is forgotten. */
  #redefine(definition: string, sinks: readonly SinkOfStream[]): void {
    const places = this.sinks.map(({ name }) => sinks.findIndex((sink) => sink.name === name))
    const isSame = this.sinks.length <= sinks.length && places.every((place, index) => place === index)
    this.definition = definition
    this.sinks = sinks
    for (const known of [this.watermarks, this.debts]) {
      for (const name of known.keys()) if (!sinks.some((sink) => sink.name === name)) known.delete(name)
    }
    if (isSame) return
    for (const [uid, entry] of this.entries) {
      entry.may = moved(entry.may, places)
      entry.has = moved(entry.has, places)
      if (entry.may === 0) this.entries.delete(uid)
    }
  }
}

function moved(bits: number, places: readonly number[]): number {
  let result = 0
  for (const [from, to] of places.entries()) if (to >= 0 && bits & (1 << from)) result |= 1 << to
  return result
}
