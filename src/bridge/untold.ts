import type { Uid } from '../kube/object.ts'
import type { Held } from '../state/ledger.ts'

/** So many are known one by one. Beyond that a full snapshot is the shorter way. */
const MOST = 10_000

/**
 * The objects of a stream that a sink does not have as they are, although everything was offered to it: the last that was
 * to be told of them went to the dead letters. In memory: a new process does not know.
 */
export class Untold {
  /** With the number of the full snapshot that had begun before. */
  readonly #objects = new Map<Uid, { readonly held: Held; readonly after: number }>()
  #begun = 0
  #full: string | undefined
  /** There were more than can be known. */
  #isTooMuch = false

  /** Undefined: too many to know them. */
  all(): readonly Held[] | undefined {
    return this.#isTooMuch ? undefined : [...this.#objects.values()].map(({ held }) => held)
  }

  has(uid: Uid): boolean {
    return this.#objects.has(uid)
  }

  /** What was to be told of the object was given up. */
  failed(held: Held): void {
    if (this.#objects.size >= MOST && !this.#objects.has(held.uid)) this.#isTooMuch = true
    else this.#objects.set(held.uid, { held, after: this.#begun })
  }

  /** Something newer of it was told. */
  told(uid: Uid): void {
    this.#objects.delete(uid)
  }

  /** A full snapshot begins. */
  began(snapshotId: string): void {
    this.#begun++
    this.#full = snapshotId
  }

  /** It is complete: what was not told before it is of no interest any more. */
  completed(snapshotId: string): void {
    if (snapshotId !== this.#full) return
    this.#isTooMuch = false
    for (const [uid, { after }] of this.#objects) if (after < this.#begun) this.#objects.delete(uid)
  }
}
