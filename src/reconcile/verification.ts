import type { KubeObject, Uid } from '../kube/object.ts'
import type { SnapshotStore } from './audience.ts'

/** An object of which the store does not hold what the server has. */
export interface Drift {
  readonly key: string
  readonly uid: Uid
  /** `missing`: it is not in the store. `outdated`: in another version. `gone`: the server does not have it. */
  readonly what: 'missing' | 'outdated' | 'gone'
}

/**
 * Compares a store with a list of what the server had at one position, while the stream goes on.
 *
 * Guarantee: what has changed after that position is never a drift, provided that `follow` is told of every change after it
 * before `drift` is asked. Compared are uids and versions. Keeps the uids of the list, and nothing of its objects.
 */
export class Verification<T extends KubeObject> {
  readonly #store: SnapshotStore<T>
  /** Changed after the position. */
  readonly #changed = new Set<Uid>()
  readonly #listed = new Set<Uid>()
  readonly #suspects: Drift[] = []

  constructor(store: SnapshotStore<T>) {
    this.#store = store
  }

  /** The stream tells of a change. */
  follow(uid: Uid): void {
    this.#changed.add(uid)
  }

  /** Some of the list's objects. */
  compare(objects: readonly KubeObject[]): void {
    for (const { metadata } of objects) {
      const { uid, namespace, name, resourceVersion } = metadata
      this.#listed.add(uid)
      const key = namespace ? `${namespace}/${name}` : name
      const here = this.#store.get(key)
      if (here?.metadata.uid !== uid) this.#suspects.push({ key, uid, what: 'missing' })
      else if (here.metadata.resourceVersion !== resourceVersion) this.#suspects.push({ key, uid, what: 'outdated' })
    }
  }

  /** What has drifted, after the whole list was compared. The store must stand where `follow` does. */
  drift(): readonly Drift[] {
    for (const { metadata } of this.#store.objects()) {
      const { uid, namespace, name } = metadata
      if (!this.#listed.has(uid))
        this.#suspects.push({ key: namespace ? `${namespace}/${name}` : name, uid, what: 'gone' })
    }
    return this.#suspects.filter(({ uid }) => !this.#changed.has(uid))
  }
}
