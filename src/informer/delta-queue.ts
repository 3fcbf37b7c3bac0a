import type { KubeObject, ObjectKey, ResourceVersion, Timestamp } from '../kube/object.ts'
import { assertNever } from '../lib/assert-never.ts'
import type { Clock } from '../lib/clock.ts'
import type { Condition } from './condition.ts'
import type { Store } from './indexer.ts'
import type { InitCause, WatchEvent } from './watch-event.ts'

/** What waits to be applied to the store. */
export type Entry<T extends KubeObject> =
  | Change<T>
  | { readonly type: 'Bookmark'; readonly resourceVersion: ResourceVersion }
  /** A whole list, to be applied at once. */
  | {
      readonly type: 'Replace'
      readonly cause: InitCause
      readonly resourceVersion: ResourceVersion
      readonly objects: Store<T>
      readonly observedAt: Timestamp
    }

export interface Change<T extends KubeObject> {
  readonly type: 'Apply' | 'Delete'
  readonly key: ObjectKey
  readonly object: T
  readonly bytes: number
  readonly observedAt: Timestamp
}

export interface DeltaQueueOptions<T extends KubeObject> {
  /** Full at so many entries … */
  readonly maxEntries: number
  /** … or at so many bytes of frames. */
  readonly maxBytes: number
  /** Called once for every object that the server sent. Returns undefined if the object cannot be used at all. */
  readonly admit: (object: T) => { readonly key: ObjectKey; readonly object: T } | undefined
  /** Gives the store that a list is collected in. */
  readonly blank: () => Store<T>
  readonly clock: Clock
  /** Notified whenever something was pushed, popped or closed. */
  readonly changed: Condition
}

/** Entries per pop. */
export const MAX_POP = 1000

/**
 * What a reflector has read and nobody has applied yet: a queue in strict order of arrival, across keys, one entry per
 * change, nothing merged. A list is collected beside the queue, page by page, and enters it as one `Replace` when it is
 * complete. client-go: RealFIFO.
 *
 * `full` is a request, not a wall: whoever fills the queue waits for `room` before it reads on, so that the queue exceeds
 * its limits by one batch at most.
 */
export class DeltaQueue<T extends KubeObject> {
  readonly #options: DeltaQueueOptions<T>
  // entries from #head on are waiting; what is before it was popped
  #entries: Entry<T>[] = []
  #head = 0
  #bytes = 0
  /** Lists among the entries. */
  #lists = 0
  #list: Store<T> | undefined
  #closed = false

  constructor(options: DeltaQueueOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.length - this.#head
  }

  get full(): boolean {
    // a list holds a whole cluster: while one waits, no other is collected beyond its first page
    const lists = this.#lists + (this.#list ? 1 : 0)
    return lists > 1 || this.size >= this.#options.maxEntries || this.#bytes >= this.#options.maxBytes
  }

  /** Resolves when the queue is not full. Rejects with `signal.reason`. */
  room(signal: AbortSignal): Promise<void> {
    return this.#options.changed.wait(() => !this.full, signal)
  }

  push(events: readonly WatchEvent<T>[]): void {
    if (this.#closed) return
    const observedAt = this.#options.clock.now().toISOString() as Timestamp
    for (const event of events) this.#push(event, observedAt)
    this.#options.changed.notify()
  }

  /**
   * The next entries: up to 1000 changes of different objects, or one `Replace`, or one `Bookmark`. Empty if nothing
   * waits. Distinct keys mean that after a batch the store holds exactly the object of each of its changes.
   */
  pop(): readonly Entry<T>[] {
    const batch: Entry<T>[] = []
    const keys = new Set<ObjectKey>()
    while (this.#head < this.#entries.length && batch.length < MAX_POP) {
      const entry = this.#entries[this.#head]
      if (!entry) break
      if (entry.type === 'Replace' || entry.type === 'Bookmark') {
        if (batch.length > 0) break
        this.#head++
        if (entry.type === 'Replace') this.#lists--
        batch.push(entry)
        break
      }
      if (keys.has(entry.key)) break
      keys.add(entry.key)
      this.#head++
      this.#bytes -= entry.bytes
      batch.push(entry)
    }
    this.#compact()
    if (batch.length > 0) this.#options.changed.notify()
    return batch
  }

  /** Keys of the changes that wait. */
  waitingKeys(): ReadonlySet<ObjectKey> {
    const keys = new Set<ObjectKey>()
    for (let at = this.#head; at < this.#entries.length; at++) {
      const entry = this.#entries[at]
      if (entry && 'key' in entry) keys.add(entry.key)
    }
    return keys
  }

  /** Nothing is taken in any more. What waits can still be popped. */
  close(): void {
    this.#closed = true
    this.#list = undefined
    this.#options.changed.notify()
  }

  #push(event: WatchEvent<T>, observedAt: Timestamp): void {
    switch (event.type) {
      case 'Init':
        this.#list = this.#options.blank()
        return
      case 'InitApply': {
        const admitted = this.#options.admit(event.object)
        if (admitted) this.#list?.put(admitted.key, admitted.object)
        return
      }
      case 'InitDelete': {
        const admitted = this.#options.admit(event.object)
        if (admitted) this.#list?.delete(admitted.key)
        return
      }
      case 'InitDone': {
        if (!this.#list) return
        const { cause, resourceVersion } = event
        this.#entries.push({ type: 'Replace', cause, resourceVersion, objects: this.#list, observedAt })
        this.#lists++
        this.#list = undefined
        return
      }
      case 'Apply':
      case 'Delete': {
        const admitted = this.#options.admit(event.object)
        if (!admitted) return
        this.#entries.push({ type: event.type, ...admitted, bytes: event.bytes, observedAt })
        this.#bytes += event.bytes
        return
      }
      case 'Bookmark':
        this.#entries.push(event)
        return
      default:
        assertNever(event)
    }
  }

  /** Gives popped entries to the garbage collector without moving the rest each time. */
  #compact(): void {
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head >= MAX_POP && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
