import type { Delta } from '../informer/delta.ts'
import { isRemembered, type KubeObject, type ResourceVersion, type Uid } from '../kube/object.ts'
import { cleanText } from '../lib/clean-text.ts'
import { SetDigest } from '../lib/set-digest.ts'

/** Whether an object is a member, by its state alone. */
export type Admits = (object: KubeObject) => boolean

/** What a change is to those who see only members; undefined: nothing. */
export type Effect = 'added' | 'updated' | 'deleted' | undefined

/**
 * The members of a stream at its position, as far as a snapshot's `end` speaks of them: how many, and two digests
 * that do not depend on order, kept as running sums. Memory grows with the number of members only.
 *
 * members = sum modulo 2^256 of SHA-256(`<subject>:<uid>`); state = the same with `:<resourceVersion>` appended.
 * The subject is the attribute as encoders send it.
 */
export class Members {
  readonly #entries = new Map<Uid, { readonly identity: string; readonly resourceVersion: ResourceVersion }>()
  readonly #members = new SetDigest()
  readonly #state = new SetDigest()

  readonly #admits: Admits | undefined
  #isPartial = false

  /** @param admits absent: every object is a member */
  constructor(admits?: Admits) {
    this.#admits = admits
  }

  get size(): number {
    return this.#entries.size
  }

  has(uid: Uid): boolean {
    return this.#entries.has(uid)
  }

  /** Of some objects only that they are there was known when they were followed: `seen` is to be told of all that are there. */
  get isPartial(): boolean {
    return this.#isPartial
  }

  /** The stream moves on by this. */
  follow(delta: Extract<Delta, { readonly type: 'Added' | 'Updated' | 'Deleted' }>): Effect {
    const { uid } = delta.type === 'Deleted' ? delta.identity : delta.object.metadata
    const was = this.#entries.has(uid)
    // what is only remembered of it does not say whether it is a member
    if (this.#admits && delta.type !== 'Deleted' && isRemembered(delta.object)) {
      this.#isPartial = true
      return undefined
    }
    if (delta.type !== 'Deleted' && (this.#admits?.(delta.object) ?? true)) {
      this.put(delta.object)
      return was ? 'updated' : 'added'
    }
    this.remove(uid)
    return was ? 'deleted' : undefined
  }

  /** The object is there, as it was listed. It may be ahead of the stream's position, which follows. */
  seen(object: KubeObject): void {
    if (this.#admits?.(object) ?? true) this.put(object)
    else this.remove(object.metadata.uid)
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
