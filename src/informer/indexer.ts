import type { KubeObject, ObjectKey, ResourceVersion } from '../kube/object.ts'

/** Names the values under which an index finds an object; none: the object is not in this index. Pure. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[]

/** Called when an index function throws: the object is then not in that index. */
export type IndexFault = (index: string, key: ObjectKey, error: unknown) => void

interface Index<T extends KubeObject> {
  readonly valuesOf: IndexFunction<T>
  /** Never holds an empty set. */
  readonly keys: Map<string, Set<ObjectKey>>
}

/**
 * An informer's cache. Objects are shared and read-only. Has one writer, the informer, which writes it just before it
 * hands on the delta; everybody may read it, and read it synchronously.
 */
export interface Indexer<T extends KubeObject = KubeObject> {
  readonly size: number
  /** Of the object, bookmark or list that was written last; undefined before the first list. A restored list takes it back. */
  readonly resourceVersion: ResourceVersion | undefined
  get(key: ObjectKey | string): T | undefined
  /** In no particular order. May be held while the store changes, like an iterator of a Map. */
  objects(): IterableIterator<T>
  /** Adds indices, also to a filled store. Throws an Error if a name is taken; then none is added. */
  addIndexers(byName: Readonly<Record<string, IndexFunction<T>>>): void
  /** Throws a RangeError if there is no index of that name. */
  byIndex(name: string, value: string): readonly T[]
  /** The values that have objects. Throws a RangeError if there is no index of that name. client-go: ListIndexFuncValues. */
  valuesOf(name: string): readonly string[]
}

/** The index that every informer has: by namespace. Cluster-scoped objects are not in it. */
export const NAMESPACE_INDEX = 'namespace'

export const byNamespace: IndexFunction<KubeObject> = ({ metadata }) => (metadata.namespace ? [metadata.namespace] : [])

/** The writable side of an `Indexer`. */
export class Store<T extends KubeObject> implements Indexer<T> {
  // key -> object; and per index: value -> keys
  #objects = new Map<ObjectKey, T>()
  readonly #indices = new Map<string, Index<T>>()
  readonly #onFault: IndexFault
  resourceVersion: ResourceVersion | undefined

  constructor(onFault: IndexFault) {
    this.#onFault = onFault
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: ObjectKey | string): T | undefined {
    return this.#objects.get(key as ObjectKey)
  }

  objects(): IterableIterator<T> {
    return this.#objects.values()
  }

  entries(): IterableIterator<[ObjectKey, T]> {
    return this.#objects.entries()
  }

  put(key: ObjectKey, object: T): void {
    const previous = this.#objects.get(key)
    this.#objects.set(key, object)
    for (const [name, index] of this.#indices) this.#move(name, index, key, previous, object)
  }

  delete(key: ObjectKey): void {
    const previous = this.#objects.get(key)
    if (!previous) return
    this.#objects.delete(key)
    for (const [name, index] of this.#indices) this.#move(name, index, key, previous, undefined)
  }

  /** An empty store to collect a list in; with the indices of this one if it is empty itself, to be adopted. */
  blank(): Store<T> {
    const blank = new Store<T>(this.#onFault)
    if (this.size > 0) return blank
    for (const [name, { valuesOf }] of this.#indices) blank.#indices.set(name, { valuesOf, keys: new Map() })
    return blank
  }

  /** Takes over all that `collected` holds: at once, however much it is. This store must be empty, and that one unused. */
  adopt(collected: Store<T>): void {
    this.#objects = collected.#objects
    for (const [name, index] of this.#indices) {
      const ready = collected.#indices.get(name)
      if (ready) this.#indices.set(name, ready)
      else for (const [key, object] of this.#objects) this.#move(name, index, key, undefined, object)
    }
  }

  addIndexers(byName: Readonly<Record<string, IndexFunction<T>>>): void {
    const added = Object.entries(byName)
    for (const [name] of added) {
      if (this.#indices.has(name)) throw new Error(`there is already an index named ${JSON.stringify(name)}`)
    }
    for (const [name, valuesOf] of added) {
      const index: Index<T> = { valuesOf, keys: new Map() }
      this.#indices.set(name, index)
      for (const [key, object] of this.#objects) this.#move(name, index, key, undefined, object)
    }
  }

  byIndex(name: string, value: string): readonly T[] {
    const found: T[] = []
    for (const key of this.#index(name).keys.get(value) ?? []) {
      const object = this.#objects.get(key)
      if (object) found.push(object)
    }
    return found
  }

  valuesOf(name: string): readonly string[] {
    return [...this.#index(name).keys.keys()]
  }

  #index(name: string): Index<T> {
    const index = this.#indices.get(name)
    if (index) return index
    const known = [...this.#indices.keys()].join(', ')
    throw new RangeError(
      `there is no index named ${JSON.stringify(name)}: add it with addIndexers (there are: ${known})`,
    )
  }

  #move(name: string, index: Index<T>, key: ObjectKey, from: T | undefined, to: T | undefined): void {
    const left = from ? this.#values(name, index, key, from) : []
    const entered = to ? this.#values(name, index, key, to) : []
    for (const value of left) {
      if (entered.includes(value)) continue
      const keys = index.keys.get(value)
      keys?.delete(key)
      if (keys?.size === 0) index.keys.delete(value)
    }
    for (const value of entered) {
      const keys = index.keys.get(value)
      if (keys) keys.add(key)
      else index.keys.set(value, new Set([key]))
    }
  }

  #values(name: string, index: Index<T>, key: ObjectKey, object: T): readonly string[] {
    try {
      return index.valuesOf(object)
    } catch (error) {
      this.#onFault(name, key, error)
      return []
    }
  }
}
