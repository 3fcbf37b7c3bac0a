import type { Delta } from '../informer/delta.ts'
import type { ObjectIdentity, ResourceVersion, Uid } from '../kube/object.ts'
import type { Change } from './change.ts'

/** An object that is gone, or left the stream's selectors. */
export interface Departure {
  readonly identity: ObjectIdentity
  readonly gone: boolean
}

/**
 * What a sink was not told of a stream. It is made up for by a gap, the deletes that were missed, and a full snapshot.
 *
 * Guarantee: after these a sink knows of the end of every object that it may have been told of, and of everything that
 * is there. Memory grows with the number of objects at the most, not with the time that passes.
 */
export class Debt {
  /** Up to here it was told everything. */
  readonly from: ResourceVersion
  readonly #departures = new Map<Uid, Departure>()
  /** Objects that came since, and that it was not told of: neither is it of their end. */
  readonly #unknown = new Set<Uid>()
  #announced = false

  constructor(from: ResourceVersion) {
    this.from = from
  }

  /** Whether the gap was told, and not lost again. */
  get announced(): boolean {
    return this.#announced
  }

  announce(): void {
    this.#announced = true
  }

  /** The sink is not told of this change. */
  miss(delta: Exclude<Delta, { readonly type: 'Progress' | 'Gap' }>): void {
    if (delta.type === 'Deleted') {
      if (!this.#unknown.delete(delta.identity.uid)) this.#depart(delta)
    } else if (delta.type === 'Added') {
      const { uid } = delta.object.metadata
      // one that is back is in the snapshot
      if (!this.#departures.delete(uid)) this.#unknown.add(uid)
    }
  }

  /** This was offered to the sink, and dropped again with all that waited; anything before it may have arrived. */
  lose(change: Change): void {
    this.#announced = false
    this.#unknown.clear()
    if (change.type === 'Deleted') this.#depart(change)
    else if (change.type === 'Added') this.#departures.delete(change.object.metadata.uid)
  }

  /** The next departure to tell of; it is told, unless it is lost again. */
  takeDeparture(): Departure | undefined {
    for (const [uid, departure] of this.#departures) {
      this.#departures.delete(uid)
      return departure
    }
    return undefined
  }

  /** Departures to tell of. */
  get departures(): number {
    return this.#departures.size
  }

  #depart({ identity, gone }: Departure): void {
    this.#departures.set(identity.uid, { identity, gone })
  }
}
