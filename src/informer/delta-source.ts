/**
 * Turns what the queue holds into deltas, by comparing it with the store and writing it there. The one place where
 * differences are made: `changeToDeltas` for a single change, `Replacement` for a whole list.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  compareResourceVersions,
  isRemembered,
  type KubeObject,
  keyOf,
  type ObjectIdentity,
  type ResourceVersion,
  type Uid,
  unreadReason,
} from '../kube/object.ts'
import type { Delta, GapCause, Seen } from './delta.ts'
import { type Change, type DeltaQueue, type Entry, MAX_POP } from './delta-queue.ts'
import type { Store } from './indexer.ts'
import type { StreamObserver } from './observer.ts'

/** `whole`: every object of the resource (or namespace). `selected`: only what label or field selectors let through. */
export type Scope = 'whole' | 'selected'

export interface DeltaSourceOptions<T extends KubeObject> {
  readonly queue: DeltaQueue<T>
  readonly store: Store<T>
  readonly scope: Scope
  readonly observer: StreamObserver
}

type Replace<T extends KubeObject> = Entry<T> & { readonly type: 'Replace' }

/** Watched deletes that are remembered, so that a server which repeats old frames brings nobody back to life. */
const REMEMBERED_DELETES = 4096

export class DeltaSource<T extends KubeObject> {
  readonly #options: DeltaSourceOptions<T>
  readonly #deleted = new Map<Uid, ResourceVersion>()
  #replacement: Replacement<T> | undefined
  /** Of the last list: it knew of everything up to there. */
  #listed: ResourceVersion | undefined
  #synced = false

  constructor(options: DeltaSourceOptions<T>) {
    this.#options = options
  }

  /** The whole first list has been taken. */
  get synced(): boolean {
    return this.#synced
  }

  /** Names the list whose differences are being taken: the store holds all of it already. */
  get replacement(): symbol | undefined {
    return this.#replacement?.name
  }

  /** Whether `next` has something to apply. */
  get waiting(): boolean {
    return this.#replacement !== undefined || this.#options.queue.size > 0
  }

  /** Applies the next batch and returns its deltas; empty if nothing waits or all of it was stale. */
  next(): readonly Delta<T>[] {
    if (this.#replacement) return this.#take(this.#replacement)
    const { queue, store } = this.#options
    const deltas: Delta<T>[] = []
    for (const entry of queue.pop()) {
      switch (entry.type) {
        case 'Replace':
          return this.#take(this.#replace(entry))
        case 'Bookmark':
          store.resourceVersion = entry.resourceVersion
          return [{ type: 'Progress', resourceVersion: entry.resourceVersion }]
        default:
          this.#change(entry, deltas)
      }
    }
    return deltas
  }

  #take(replacement: Replacement<T>): readonly Delta<T>[] {
    const deltas = replacement.next()
    this.#replacement = replacement.done ? undefined : replacement
    if (replacement.done) this.#synced = true
    return deltas
  }

  #replace(entry: Replace<T>): Replacement<T> {
    if (entry.cause === 'restored') this.#deleted.clear()
    this.#listed = entry.resourceVersion
    return new Replacement(entry, this.#options)
  }

  #change(entry: Change<T>, deltas: Delta<T>[]): void {
    const { store, scope, observer } = this.#options
    const { type, key, object, observedAt } = entry
    const { uid, resourceVersion } = object.metadata
    const stored = store.get(key)
    if (this.#isStale(entry, stored)) {
      observer.droppedStale()
      return
    }
    const seen: Seen = { resourceVersion, observed: 'watch', observedAt, collapsed: false }
    const renewed = stored !== undefined && stored.metadata.uid !== uid
    // an older uid than the one that has the name now: its delete is passed on, the store is not concerned
    const older = renewed && compareResourceVersions(resourceVersion, stored.metadata.resourceVersion) <= 0
    if (renewed && !older) {
      deltas.push(inferredDelete(stored, 'whole', { ...seen, collapsed: true }))
      observer.inferredDeletes(1)
      this.#remember(stored.metadata.uid, resourceVersion)
    }
    if (type === 'Delete') {
      if (!older) store.delete(key)
      const identity = identityOf(object)
      deltas.push({ type: 'Deleted', identity, object, finalStateKnown: true, gone: scope === 'whole', ...seen })
      this.#remember(uid, resourceVersion)
    } else {
      store.put(key, object)
      if (stored && !renewed) deltas.push({ type: 'Updated', object, previous: stateOf(stored), ...seen })
      else deltas.push({ type: 'Added', object, ...seen })
    }
    if (isAfter(resourceVersion, store.resourceVersion)) store.resourceVersion = resourceVersion
  }

  /** Not newer than the last list, or what is known of its uid. A repeated delete passes: better told twice than never. */
  #isStale({ type, object }: Change<T>, stored: T | undefined): boolean {
    const { uid, resourceVersion } = object.metadata
    if (!stored || stored.metadata.uid !== uid) {
      if (type === 'Delete') return false
      return ![this.#listed, this.#deleted.get(uid), stored?.metadata.resourceVersion].every((known) =>
        isAfter(resourceVersion, known),
      )
    }
    const order = compareResourceVersions(resourceVersion, stored.metadata.resourceVersion)
    return type === 'Delete' ? order < 0 : order <= 0
  }

  #remember(uid: Uid, resourceVersion: ResourceVersion): void {
    this.#deleted.set(uid, resourceVersion)
    if (this.#deleted.size <= REMEMBERED_DELETES) return
    for (const oldest of this.#deleted.keys()) {
      this.#deleted.delete(oldest)
      return
    }
  }
}

/** Whether the position is ahead of `other`; a repeated frame is not. */
function isAfter(position: ResourceVersion, other: ResourceVersion | undefined): boolean {
  return other === undefined || compareResourceVersions(position, other) > 0
}

/** What a list has under a key, and what the store had of the same uid. */
type Listed<T extends KubeObject> = readonly [previous: T | undefined, object: T]

/**
 * The differences between the store and a list. Making one writes the whole list to the store; `next` then gives its
 * deltas in portions: the gap (unless the store was never synced, or the resource is gone), deletes, adds and updates in the order of the list,
 * and a `Progress` as the very last.
 */
class Replacement<T extends KubeObject> {
  /** For who remembers the list: holding the list itself would keep all its objects. */
  readonly name = Symbol('list')
  readonly #options: DeltaSourceOptions<T>
  readonly #list: Replace<T>
  /** Position of the store before; undefined for the first list. */
  readonly #from: ResourceVersion | undefined
  readonly #deleted: Iterator<T>
  readonly #listed: Iterator<Listed<T>>
  #begun = false
  #done = false

  constructor(list: Replace<T>, options: DeltaSourceOptions<T>) {
    const { store } = options
    this.#list = list
    this.#options = options
    this.#from = store.resourceVersion
    if (store.size === 0) {
      // whatever its size, a first list blocks nobody: it was indexed page by page
      store.adopt(list.objects)
      this.#deleted = [].values()
      this.#listed = asListed(store.objects())
    } else {
      this.#deleted = this.#removeMissing().values()
      this.#listed = this.#putChanged().values()
    }
    store.resourceVersion = list.resourceVersion
  }

  get done(): boolean {
    return this.#done
  }

  next(): readonly Delta<T>[] {
    const { resourceVersion, observedAt } = this.#list
    const { observer } = this.#options
    const deltas: Delta<T>[] = []
    // at the same version nothing was missed: the watch could not be resumed, that is all
    // a restored server may stand exactly where this one does: what it says of that version is another thing
    const isElsewhere = this.#from !== resourceVersion || this.#list.cause === 'restored'
    if (this.#from && isElsewhere && !this.#begun && this.#list.cause !== 'gone') {
      const { cause } = this.#list
      const why: GapCause = cause === 'restored' || cause === 'restart' ? cause : 'expired'
      deltas.push({ type: 'Gap', from: this.#from, to: resourceVersion, cause: why, observedAt })
    }
    this.#begun = true
    const gaps = deltas.length
    const seen: Seen = { resourceVersion, observed: 'relist', observedAt, collapsed: this.#from !== undefined }
    this.#takeDeletes(deltas, seen)
    const deletes = deltas.length - gaps
    this.#takeChanges(deltas, seen)
    if (deletes > 0) observer.inferredDeletes(deletes)
    if (this.#from && deltas.length > gaps) observer.recoveredByRelist(deltas.length - gaps)
    if (deltas.length < MAX_POP) {
      deltas.push({ type: 'Progress', resourceVersion })
      this.#done = true
    }
    return deltas
  }

  #removeMissing(): readonly T[] {
    const { store } = this.#options
    const deleted: T[] = []
    for (const [key, stored] of store.entries()) {
      const listed = this.#list.objects.get(key)
      if (listed?.metadata.uid === stored.metadata.uid) continue
      deleted.push(stored)
      if (!listed) store.delete(key)
    }
    return deleted
  }

  #putChanged(): readonly Listed<T>[] {
    const { store } = this.#options
    const changed: Listed<T>[] = []
    for (const [key, listed] of this.#list.objects.entries()) {
      const stored = store.get(key)
      if (stored && this.#list.cause !== 'restored' && isSameVersion(stored, listed)) continue
      store.put(key, listed)
      const previous = stored?.metadata.uid === listed.metadata.uid ? stored : undefined
      // what is remembered of it is this version
      const isKnown = previous && isRemembered(previous) && isVersionOf(previous, listed)
      if (!isKnown || this.#list.cause === 'restored') changed.push([previous, listed])
    }
    return changed
  }

  #takeDeletes(deltas: Delta<T>[], seen: Seen): void {
    const { store, scope } = this.#options
    while (deltas.length < MAX_POP) {
      const { done, value: object } = this.#deleted.next()
      if (done) return
      // a name that is taken again proves that its former uid is gone, whatever the selectors
      const taken = store.get(keyOf(object.metadata)) !== undefined
      const certain = taken || this.#list.cause === 'gone'
      deltas.push(inferredDelete(object, certain ? 'whole' : scope, seen))
    }
  }

  #takeChanges(deltas: Delta<T>[], seen: Seen): void {
    while (deltas.length < MAX_POP) {
      const { done, value } = this.#listed.next()
      if (done) return
      const [previous, object] = value
      if (!previous) deltas.push({ type: 'Added', object, ...seen })
      else if (!isSameState(previous, object))
        deltas.push({ type: 'Updated', object, previous: stateOf(previous), ...seen })
    }
  }
}

function* asListed<T extends KubeObject>(objects: Iterable<T>): Generator<Listed<T>, undefined> {
  for (const object of objects) yield [undefined, object]
}

/** None, if only its identity is remembered. */
function stateOf<T extends KubeObject>(object: T): T | undefined {
  return isRemembered(object) ? undefined : object
}

function isVersionOf(stored: KubeObject, listed: KubeObject): boolean {
  return stored.metadata.resourceVersion === listed.metadata.resourceVersion
}

/** Whether the stored object may stay: not if it is only an identity and at last there is more. */
function isSameVersion(stored: KubeObject, listed: KubeObject): boolean {
  return (
    stored.metadata.uid === listed.metadata.uid &&
    isVersionOf(stored, listed) &&
    !isRemembered(stored) &&
    (unreadReason(listed) !== undefined || unreadReason(stored) === undefined)
  )
}

/** In a restored history one version may mean two states, so that the states themselves have to be compared. */
function isSameState(previous: KubeObject, listed: KubeObject): boolean {
  return isVersionOf(previous, listed) && isDeepStrictEqual(previous, listed)
}

function inferredDelete<T extends KubeObject>(object: T, scope: Scope, seen: Seen): Delta<T> {
  const gone = scope === 'whole'
  return {
    type: 'Deleted',
    identity: identityOf(object),
    object: stateOf(object),
    finalStateKnown: false,
    gone,
    ...seen,
  }
}

export function identityOf({ metadata }: KubeObject): ObjectIdentity {
  const { namespace, name, uid } = metadata
  return namespace === undefined ? { name, uid } : { namespace, name, uid }
}
