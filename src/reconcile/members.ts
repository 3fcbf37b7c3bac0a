import type { KubeObject, ResourceVersion, Uid } from '../kube/object.ts'
import { cleanText } from '../lib/clean-text.ts'
import { SetDigest } from '../lib/set-digest.ts'

/**
 * The objects of a stream at its position, as far as a snapshot's `end` speaks of them: how many, and two digests
 * that do not depend on order, kept as running sums. Memory grows with the number of objects only.
 *
 * members = sum modulo 2^256 of SHA-256(`<subject>:<uid>`); state = the same with `:<resourceVersion>` appended.
 * The subject is the attribute as encoders send it.
 */
export class Members {
  readonly #entries = new Map<Uid, { readonly identity: string; readonly resourceVersion: ResourceVersion }>()
  readonly #members = new SetDigest()
  readonly #state = new SetDigest()

  get size(): number {
    return this.#entries.size
  }

  /** The object is there, in this version. */
  put({ metadata: { namespace, name, uid, resourceVersion } }: KubeObject): void {
    const known = this.#entries.get(uid)
    if (known?.resourceVersion === resourceVersion) return
    const identity = known?.identity ?? `${cleanText(namespace ? `${namespace}/${name}` : name)}:${uid}`
    if (known) this.#state.remove(`${identity}:${known.resourceVersion}`)
    else this.#members.add(identity)
    this.#state.add(`${identity}:${resourceVersion}`)
    this.#entries.set(uid, { identity, resourceVersion })
  }

  /** The object is gone. An unknown one is no change. */
  remove(uid: Uid): void {
    const known = this.#entries.get(uid)
    if (!known) return
    this.#entries.delete(uid)
    this.#members.remove(known.identity)
    this.#state.remove(`${known.identity}:${known.resourceVersion}`)
  }

  /** 64 lower-case hex digits each. */
  digests(): { readonly members: string; readonly state: string } {
    return { members: this.#members.toString(), state: this.#state.toString() }
  }
}
