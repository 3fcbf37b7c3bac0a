import type { ListWatch } from '../kube/list-watch.ts'
import type { KubeObject } from '../kube/object.ts'
import { abortable, withTimeout } from '../lib/abort.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { Informer, type InformerOptions } from './informer.ts'

/** Which objects of a resource a stream is about. */
export interface StreamSelection {
  /** Absent: all namespaces. */
  readonly namespace?: string
  /** Applied by the server: objects that cease to match are reported as deleted. */
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/**
 * Makes the calls of a stream. `resource` as in the configuration: `pods`, `deployments.apps`,
 * `widgets.v1.example.com`. It may have to be looked up: do that in the calls, so that a resource that is not served yet
 * is retried.
 */
export type ListWatchFor = (resource: string, selection: StreamSelection) => ListWatch<KubeObject>

export type FactoryOptions = Omit<InformerOptions<KubeObject>, 'scope'>

/** What the factory needs of an informer, whatever its objects are. */
type Shared = Pick<Informer, 'start' | 'synced' | 'hasSynced' | 'stopped'>

/**
 * Makes informers and shares them: one for each resource and selection, hence one list and one watch, however many ask.
 * Each has its own place in the cluster's history: there is no order between resources.
 */
export class SharedInformerFactory {
  readonly #listWatchFor: ListWatchFor
  readonly #options: FactoryOptions
  readonly #clock: Clock
  readonly #informers = new Map<string, { readonly name: string; readonly informer: Shared }>()
  readonly #stop = new AbortController()

  constructor(listWatchFor: ListWatchFor, options: FactoryOptions = {}) {
    this.#listWatchFor = listWatchFor
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** The informer of these objects, made by the first who asks. It reads after the next `start`. */
  forResource<T extends KubeObject = KubeObject>(resource: string, selection: StreamSelection = {}): Informer<T> {
    const { namespace, labelSelector, fieldSelector } = selection
    const key = JSON.stringify([resource, namespace, labelSelector, fieldSelector])
    const shared = this.#informers.get(key)
    // the type of the objects is the caller's knowledge
    if (shared) return shared.informer as Informer<T>
    const scope = labelSelector || fieldSelector ? 'selected' : 'whole'
    const informer: Shared = new Informer(this.#listWatchFor(resource, selection), { ...this.#options, scope })
    this.#informers.set(key, { name: nameOf(resource, selection), informer })
    return informer as Informer<T>
  }

  /** Starts every informer that has not been started yet, until `signal` aborts or `shutdown` is called. */
  start(signal: AbortSignal): void {
    const either = AbortSignal.any([signal, this.#stop.signal])
    for (const { informer } of this.#informers.values()) informer.start(either)
  }

  /**
   * Waits until every informer has synced. Never throws, and stops nothing: after `timeoutMs`, or if one was stopped,
   * `ok` is false and `resources` tells which have synced.
   */
  async waitForCacheSync(timeoutMs: number): Promise<CacheSync> {
    const informers = [...this.#informers.values()]
    const all = (signal: AbortSignal) =>
      Promise.allSettled(informers.map(({ informer }) => abortable(informer.synced, signal)))
    await withTimeout(timeoutMs, this.#clock, this.#stop.signal, all)
    const resources = new Map(informers.map(({ name, informer }) => [name, informer.hasSynced]))
    return { ok: informers.every(({ informer }) => informer.hasSynced), resources }
  }

  /** Stops every informer; resolves when connections, timers and handlers rest. */
  async shutdown(): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#informers.values()].map(({ informer }) => informer.stopped()))
  }
}

export interface CacheSync {
  readonly ok: boolean
  /** By `pods`, or `pods in shop (app=web)`: whether it has synced. */
  readonly resources: ReadonlyMap<string, boolean>
}

function nameOf(resource: string, { namespace, labelSelector, fieldSelector }: StreamSelection): string {
  const place = namespace ? ` in ${namespace}` : ''
  const selectors = [labelSelector, fieldSelector].filter((selector) => selector).join('; ')
  return `${resource}${place}${selectors ? ` (${selectors})` : ''}`
}
