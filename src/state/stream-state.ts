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

  /**
   * All of it, from which it can be made again. What changes while this is iterated may be told as it was or as it is;
   * an entry never as newer than a watermark that is told.
   */
  *records(): Generator<StateRecord> {
    const { stream, definition, sinks, resource } = this
    if (definition === undefined) return
    yield { type: 'stream', stream, definition, sinks, ...(resource && { resource }) }
    for (const [uid, entry] of this.entries) yield { type: 'entry', stream, uid, ...entry }
    for (const [sink, kind] of this.debts) yield { type: 'debt', stream, sink, kind }
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
