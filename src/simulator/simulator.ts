import { type KubeObject, resourceName } from '../kube/object.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { User } from './access.ts'
import { type CallMatch, Faults, matches } from './faults.ts'
import { type JsonObject, overTheWire } from './json.ts'
import type { StreamedListsMode } from './list-options.ts'
import { type DeleteOptions, Objects, type Target } from './objects.ts'
import type { PatchType } from './patch.ts'
import { SeededRandom } from './random.ts'
import { Registry, tableOf } from './registry.ts'
import type { Definition } from './resources.ts'
import { ApiServer } from './server.ts'
import { Store } from './store.ts'
import { objectOf } from './stored-object.ts'
import type { Version } from './table.ts'
import type { Watch } from './watch.ts'

export interface SimulatorOptions {
  readonly clock?: Clock
  /** Of uids and generated names. @default 1 */
  readonly seed?: number
  /** The revision before the first write. Near 2^53 it shows who reads versions as numbers. @default 1000n */
  readonly firstRevision?: bigint
  /** Events per resource that a watch can replay. @default 10000 */
  readonly historyLength?: number
  /** Time between two bookmarks of a watch, in ms. @default 60000 */
  readonly bookmarkIntervalMs?: number
  /** What becomes of a list that is asked for as a watch. @default served */
  readonly streamedLists?: StreamedListsMode
  /** By bearer token. Absent or empty: everybody may do everything. */
  readonly users?: Readonly<Record<string, User>>
}

/** An object as somebody writes it: the server adds what is missing. */
export interface ObjectInput {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name?: string
    readonly generateName?: string
    readonly namespace?: string
    readonly [member: string]: unknown
  }
  readonly [member: string]: unknown
}

/** Names an object. `namespace` is absent for a cluster-scoped one. */
export interface ObjectReference {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

/** Who writes through the in-process methods, as managedFields record it. */
export interface WriteAs {
  /** @default simulator */
  readonly manager?: string
}

const NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system']

/**
 * An API server inside the process. What it does on the wire it does as kube-apiserver 1.36, held to that by the
 * contract tests that run on both; what it lacks: validation and defaulting beyond metadata, protobuf, YAML, server-side
 * apply, tables, admission, and every controller but those for namespaces and CustomResourceDefinitions.
 *
 * Clients talk to `url`. The methods here act at once, without HTTP: they write objects, and they make things go wrong.
 */
export class Simulator implements AsyncDisposable {
  readonly faults = new Faults()
  /** By bearer token. May be changed while the server runs: rights that are granted work from the next request on. */
  readonly users: Map<string, User>
  readonly #store: Store
  readonly #registry = new Registry()
  readonly #objects: Objects
  readonly #server: ApiServer
  #port = 0

  constructor(options: SimulatorOptions = {}) {
    const {
      clock = systemClock,
      seed = 1,
      firstRevision = 1_000n,
      historyLength = 10_000,
      bookmarkIntervalMs = 60_000,
      streamedLists = 'served',
    } = options
    const random = new SeededRandom(seed)
    this.users = new Map(Object.entries(options.users ?? {}))
    this.#store = new Store(firstRevision, historyLength)
    this.#objects = new Objects(this.#store, this.#registry, clock, random)
    for (const name of NAMESPACES)
      this.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { manager: 'kube-apiserver' })
    this.#server = new ApiServer({
      store: this.#store,
      registry: this.#registry,
      objects: this.#objects,
      faults: this.faults,
      users: this.users,
      clock,
      random,
      bookmarkIntervalMs,
      streamedLists,
    })
  }

  /** Starts to serve on a free loopback port. */
  async start(): Promise<this> {
    this.#port = await this.#server.listen()
    return this
  }

  /** `http://127.0.0.1:PORT`. Throws before `start`. */
  get url(): string {
    if (this.#port === 0) throw new Error('the simulator has no url before start()')
    return `http://127.0.0.1:${this.#port}`
  }

  /** The resourceVersion of the newest write to any resource. */
  get resourceVersion(): string {
    return String(this.#store.revision)
  }

  /** The watches that are open, oldest first; each can be closed, cut, truncated, stalled. */
  watches(match: CallMatch = {}): readonly Watch[] {
    return this.#server.watches.filter(({ request }) => matches(request, match))
  }

  create(object: ObjectInput, { manager = 'simulator' }: WriteAs = {}): KubeObject {
    const definition = this.#definition(object)
    const { namespace = '' } = object.metadata
    return toObject(
      definition,
      this.#objects.create(definition, namespace, overTheWire(object), { manager, subresource: '' }),
    )
  }

  get(reference: ObjectReference): KubeObject {
    const target = this.#target(reference)
    return toObject(target.definition, this.#objects.get(target))
  }

  /** All objects of a kind, in order of their keys. */
  list({ apiVersion, kind }: Pick<ObjectReference, 'apiVersion' | 'kind'>): readonly KubeObject[] {
    const definition = this.#definition({ apiVersion, kind })
    const versions = this.#store.table(tableOf(definition)).snapshot(this.#store.revision) ?? []
    return versions.map((version) => toObject(definition, version))
  }

  update(
    object: ObjectReference & { readonly [member: string]: unknown },
    { manager = 'simulator' }: WriteAs = {},
  ): KubeObject {
    const target = this.#target(object)
    return toObject(target.definition, this.#objects.replace(target, overTheWire(object), { manager, subresource: '' }))
  }

  /** Merges `status` into the object's status (RFC 7386). */
  patchStatus(reference: ObjectReference, status: JsonObject, { manager = 'simulator' }: WriteAs = {}): KubeObject {
    const target = this.#target(reference)
    return toObject(
      target.definition,
      this.#objects.patch(target, overTheWire({ status }), 'merge', { manager, subresource: 'status' }),
    )
  }

  patch(reference: ObjectReference, patch: unknown, options: WriteAs & { readonly type?: PatchType } = {}): KubeObject {
    const { manager = 'simulator', type = 'merge' } = options
    const target = this.#target(reference)
    return toObject(
      target.definition,
      this.#objects.patch(target, overTheWire(patch), type, { manager, subresource: '' }),
    )
  }

  /** Returns the last state, or the state in which finalizers or a grace period hold it. */
  delete(reference: ObjectReference, options: DeleteOptions = {}): KubeObject {
    const target = this.#target(reference)
    return toObject(target.definition, this.#objects.delete(target, options).version)
  }

  /** Forgets the history up to now: lists and watches that ask for an older version get 410, and so do pages under way. */
  compact(): void {
    this.#store.compact(this.#store.revision)
  }

  /** As `compact`, and every open watch is ended with a 410: whoever watched has to list again. */
  dropHistory(match: CallMatch = {}): void {
    this.compact()
    const message = `too old resource version: the history begins at ${this.#store.revision}`
    for (const watch of this.watches(match)) watch.error({ code: 410, reason: 'Expired', message })
  }

  /** A server process that dies and comes back at once: connections are cut, and watches begin at the newest version only. */
  restart(): void {
    for (const [, table] of this.#store.tables) table.raiseWatchFloor(this.#store.revision)
    this.#server.disconnect()
  }

  /** An etcd that was restored from a backup: state and versions go back, connections are cut. */
  restore(resourceVersion: string): void {
    this.#store.restore(BigInt(resourceVersion))
    this.#registry.clear()
    for (const crd of this.list({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' })) {
      this.#registry.install({ ...crd })
    }
    this.#server.disconnect()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }

  #definition({ apiVersion, kind }: Pick<ObjectReference, 'apiVersion' | 'kind'>): Definition {
    const definition = this.#registry.findKind(apiVersion, kind)
    if (definition) return definition
    const served = this.#registry.definitions.map((one) => `${one.kind} (${resourceName(one)})`).join(', ')
    throw new RangeError(
      `the simulator serves no ${kind} in ${apiVersion}; it serves ${served}: create its CustomResourceDefinition first`,
    )
  }

  #target(reference: ObjectReference): Target {
    const { name, namespace = '' } = reference.metadata
    return { definition: this.#definition(reference), namespace, name }
  }
}

function toObject(definition: Definition, version: Version): KubeObject {
  return objectOf(definition, version) as JsonObject & KubeObject
}
