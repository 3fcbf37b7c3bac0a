import type { ApiClient } from '../kube/api-client.ts'
import { type Catalog, findResource } from '../kube/catalog.ts'
import { readCatalog } from '../kube/discovery.ts'
import { KubeError } from '../kube/errors.ts'
import { type Resource, resourceName } from '../kube/object.ts'
import type { Clock } from '../lib/clock.ts'

/** Streams that look for their resources at the same time share one reading of what the server has. */
const FRESH_MS = 1_000

export class Discovery {
  readonly #api: ApiClient
  readonly #clock: Clock
  /** Ends what was asked for when the bridge stops. */
  readonly #signal: AbortSignal
  #reading: { readonly catalog: Promise<Catalog>; readonly startedAt: number } | undefined

  constructor(api: ApiClient, clock: Clock, signal: AbortSignal) {
    this.#api = api
    this.#clock = clock
    this.#signal = signal
  }

  /**
   * The resource that the configuration names. Rejects with a KubeError: `not-found` if it is not served, `rejected` if
   * the name is a short name, a kind or part of a group: two sources could then mean one resource and nobody would see it.
   */
  async find(name: string): Promise<Resource> {
    const found = findResource(await this.#catalog(), name)
    if (spellings(found).includes(name)) return found
    throw new KubeError(
      'rejected',
      `${name} is another name of ${resourceName(found)}: write that in the configuration`,
    )
  }

  /** Whether the server has it in any version. What cannot be read now counts as served. */
  async isServed(resource: Resource): Promise<boolean> {
    try {
      findResource(await this.#catalog(), resourceName(resource))
      return true
    } catch (error) {
      return !(error instanceof KubeError && error.code === 'not-found')
    }
  }

  #catalog(): Promise<Catalog> {
    const now = this.#clock.monotonic()
    if (!this.#reading || now - this.#reading.startedAt > FRESH_MS) {
      this.#reading = { catalog: readCatalog(this.#api, this.#signal), startedAt: now }
    }
    return this.#reading.catalog
  }
}

/** `deployments`, `deployments.apps`, `deployments.v1.apps`; of the core group `pods`, `pods.v1`. */
function spellings({ resource, version, group }: Resource): readonly string[] {
  if (group === '') return [resource, `${resource}.${version}`]
  return [resource, `${resource}.${group}`, `${resource}.${version}.${group}`]
}
