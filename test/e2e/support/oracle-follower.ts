import { Copy, decodeStructured } from '../../../src/events/index.ts'
import { newestOf } from './oracle-judge.ts'
import type { Arrival } from './oracle-receiver.ts'
import { END, type Truth } from './oracle-truth.ts'

/** A consumer that reads along. */
export class Follower {
  readonly #log: readonly Arrival[]
  readonly #copy = new Copy()
  readonly #open = new Set<string>()
  readonly #toldTo = new Map<string, string>()
  #read = 0
  #run = 0

  constructor(log: readonly Arrival[]) {
    this.#log = log
  }

  /** Whether a snapshot has begun, and neither ended nor been aborted by anything. */
  get isInSnapshot(): boolean {
    return this.#open.size > 0
  }

  /** Whether the copy is what the view shows in the end, and of each stream what came last was told. */
  hasAll(truth: Truth): boolean {
    for (; this.#read < this.#log.length; this.#read++) this.#follow(this.#log[this.#read] as Arrival)
    const state = truth.stateAt(END)
    const held = new Map([...this.#copy.objects()].map(({ uid, resourceVersion }) => [uid, resourceVersion]))
    if (held.size !== state.size || [...state].some(([uid, version]) => held.get(uid) !== version)) return false
    return [...newestOf(truth)].every(([stream, position]) => (this.#toldTo.get(stream) ?? '') >= position)
  }

  #follow({ event, run }: Arrival): void {
    if (run > this.#run) this.#open.clear() // nobody can say so of those of a run that was killed
    this.#run = run
    this.#copy.apply(decodeStructured(JSON.stringify(event)))
    const [stream, sequence] = [String(event.stream), String(event.sequence)]
    if (sequence > (this.#toldTo.get(stream) ?? '')) this.#toldTo.set(stream, sequence)
    if (event.type.includes('snapshot.begin')) this.#open.add(stream)
    if (event.type.includes('snapshot.end') || event.type.includes('snapshot.aborted')) this.#open.delete(stream)
  }
}
