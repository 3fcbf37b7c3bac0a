import { Informer, type InformerOptions, type InformerStart } from '../informer/index.ts'
import type { ListWatch } from '../kube/list-watch.ts'
import type { KubeObject, Resource } from '../kube/object.ts'

/** Which objects of a resource a stream is about; an absent member restricts nothing. */
export interface Selection {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface InformersParts {
  readonly listWatch: (resource: Resource, selection: Selection) => ListWatch<KubeObject>
  /** `name` is that of the stream that asked first. */
  readonly optionsFor: (name: string, resource: Resource) => Omit<InformerOptions<KubeObject>, 'scope'>
  /** Until then every informer reads. */
  readonly signal: AbortSignal
}

/**
 * One informer, hence one list and one watch, for each set of objects, however many streams are about it; but for those
 * that go on where they have ended, which is somewhere else for each.
 */
export class Informers {
  readonly #parts: InformersParts
  readonly #informers = new Map<string, Informer>()

  constructor(parts: InformersParts) {
    this.#parts = parts
  }

  /** A started one. */
  get(name: string, resource: Resource, selection: Selection, start?: InformerStart<KubeObject>): Informer {
    const { group, version, resource: plural } = resource
    const { namespace, labelSelector, fieldSelector } = selection
    const key = JSON.stringify([group, version, plural, namespace, labelSelector, fieldSelector, start && name])
    const shared = this.#informers.get(key)
    if (shared) return shared
    const { listWatch, optionsFor, signal } = this.#parts
    const scope = labelSelector || fieldSelector ? 'selected' : 'whole'
    const informer = new Informer(listWatch(resource, selection), {
      ...optionsFor(name, resource),
      scope,
      ...(start && { start }),
    })
    this.#informers.set(key, informer)
    informer.start(signal)
    return informer
  }

  /** Resolves when all have stopped, after the signal. */
  async stopped(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stopped()))
  }
}
