import { Informer, type InformerOptions, type InformerStart } from '../informer/index.ts'
import { KubeError } from '../kube/errors.ts'
import type { ListWatch } from '../kube/list-watch.ts'
import type { KubeObject, Resource } from '../kube/object.ts'
import type { Discovery } from './discovery.ts'

/** Which objects of a resource a stream is about; an absent member restricts nothing. */
export interface Selection {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/** What is read. */
export interface Place extends Selection {
  /** As the configuration names it. */
  readonly named: string
  /** As it was found by that name. */
  readonly resource: Resource
}

/** Where an informer begins that is nobody else's. `anew`: with a list that is asked for from now on. */
export type Start = InformerStart<KubeObject> | 'anew'

export interface InformersParts {
  readonly listWatch: (resource: Resource, selection: Selection) => ListWatch<KubeObject>
  /** `name` is that of the stream that asked first. */
  readonly optionsFor: (name: string) => Omit<InformerOptions<KubeObject>, 'scope' | 'isServed'>
  readonly discovery: Pick<Discovery, 'find' | 'isServed'>
  /** Until then every informer reads. */
  readonly signal: AbortSignal
}

/**
 * One informer, hence one list and one watch, for each set of objects, however many streams are about it; but for those
 * that go on where they have ended, which is somewhere else for each, or have been somewhere already.
 */
export class Informers {
  readonly #parts: InformersParts
  readonly #informers = new Map<string, Informer>()

  constructor(parts: InformersParts) {
    this.#parts = parts
  }

  /**
   * A started one. It ends with a KubeError, `not-found`, when its version is not served any more and the configuration's
   * name means another one now.
   */
  get(name: string, place: Place, start?: Start): Informer {
    const { named, resource, ...selection } = place
    const { namespace, labelSelector, fieldSelector } = selection
    const key = JSON.stringify([named, resource.version, namespace, labelSelector, fieldSelector, start && name])
    const shared = this.#informers.get(key)
    if (shared) return shared
    const { listWatch, optionsFor, discovery, signal } = this.#parts
    const moved = new AbortController()
    const scope = labelSelector || fieldSelector ? 'selected' : 'whole'
    const informer = new Informer(listWatch(resource, selection), {
      ...optionsFor(name),
      isServed: async () => {
        const found = await discovery.find(named).catch(() => resource) // the 404 that made it ask is told
        if (found.version === resource.version) return await discovery.isServed(resource)
        this.#informers.delete(key)
        const message = `${named} is not served in ${resource.version} any more: from now on it is read in ${found.version}`
        moved.abort(new KubeError('not-found', message))
        return true
      },
      scope,
      ...(start && start !== 'anew' && { start }),
    })
    this.#informers.set(key, informer)
    informer.start(AbortSignal.any([signal, moved.signal]))
    return informer
  }

  /** Resolves when all have stopped, after the signal. */
  async stopped(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stopped()))
  }
}
