import { apiVersionOf } from '../kube/object.ts'
import type { Clock } from '../lib/clock.ts'
import { type JsonObject, objectAt, stringAt, without } from './json.ts'
import { managedFields } from './managed-fields.ts'
import {
  accepted,
  checkName,
  completed,
  graceOf,
  isCrd,
  isHeld,
  isNamespace,
  isSame,
  merged,
  specChanged,
  stamped,
} from './object-rules.ts'
import { applyPatch, type PatchType } from './patch.ts'
import type { SeededRandom } from './random.ts'
import { establishedStatus, type Registry, tableOf } from './registry.ts'
import type { Definition } from './resources.ts'
import { alreadyExists, badRequest, conflict, forbidden, internalError, notFound } from './status.ts'
import type { Store } from './store.ts'
import { keyOf, objectOf, versionOf } from './stored-object.ts'
import type { Version } from './table.ts'

/** Which object of which resource. `namespace` is empty for a cluster-scoped one. */
export interface Target {
  readonly definition: Definition
  readonly namespace: string
  readonly name: string
}

export interface WriteOptions {
  /** Recorded in managedFields. */
  readonly manager: string
  readonly subresource: '' | 'status'
}

export interface DeleteOptions {
  readonly uid?: string
  readonly resourceVersion?: string
  /** 0: at once. */
  readonly gracePeriodSeconds?: number
}

/** `removed` is false while finalizers, a grace period or the content of a namespace hold the object back. */
export interface Deletion {
  readonly version: Version
  readonly removed: boolean
}

const OBJECT_MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'
/** How often a generated name is tried again when it is taken; the last is used as it is. */
const NAME_ATTEMPTS = 8
/** Time between the deletion of a namespace and the end of its content. */
const NAMESPACE_CLEANUP_MS = 1_000

/**
 * The rules of writing: what the API server checks, sets and refuses when an object is created, changed or deleted.
 * Every method either makes exactly one version of the object, or none and throws a StatusError;
 * a write that changes nothing makes no version and returns the one there is.
 */
export class Objects {
  readonly #store: Store
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #random: SeededRandom

  constructor(store: Store, registry: Registry, clock: Clock, random: SeededRandom) {
    this.#store = store
    this.#registry = registry
    this.#clock = clock
    this.#random = random
  }

  get({ definition, namespace, name }: Target): Version {
    const version = this.#store.table(tableOf(definition)).get(keyOf(namespace, name))
    if (!version) throw notFound(definition, name)
    return version
  }

  create(definition: Definition, namespace: string, input: unknown, { manager }: WriteOptions): Version {
    const object = accepted(definition, namespace, input)
    const metadata = objectAt(object, 'metadata')
    if (metadata.resourceVersion) throw internalError('resourceVersion should not be set on objects to be created')
    const name = this.#nameFor(definition, namespace, metadata)
    this.#requireNamespace(definition, namespace, name)
    if (this.#taken(definition, namespace, name)) throw alreadyExists(definition, name)
    const time = this.#time()
    const body = completed(definition, definition.status ? without(object, 'status') : object, name)
    const created: JsonObject = {
      ...body,
      metadata: {
        ...objectAt(body, 'metadata'),
        name,
        ...(namespace ? { namespace } : {}),
        uid: this.#random.uid(),
        ...(definition.generation === 'none' ? {} : { generation: 1 }),
        creationTimestamp: time,
        deletionTimestamp: undefined,
        deletionGracePeriodSeconds: undefined,
        managedFields: [],
      },
    }
    if (isCrd(definition)) created.status = establishedStatus(created, time)
    const writer = { manager, apiVersion: apiVersionOf(definition), subresource: '', time } as const
    const version = this.#write(
      'ADDED',
      definition,
      stamped(created, managedFields(undefined, without(created, 'status'), writer)),
    )
    if (isCrd(definition)) this.#registry.install(created)
    return version
  }

  /** Replaces the object, or with subresource `status` its status. */
  replace(target: Target, input: unknown, options: WriteOptions): Version {
    const { definition, namespace, name } = target
    const object = accepted(definition, namespace, input)
    const metadata = objectAt(object, 'metadata')
    if (metadata.name !== undefined && metadata.name !== name) {
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
    }
    return this.#update(this.get(target), definition, object, options)
  }

  patch(target: Target, patch: unknown, type: PatchType, options: WriteOptions): Version {
    const version = this.get(target)
    const patched = applyPatch(objectOf(target.definition, version), patch, type)
    return this.#update(version, target.definition, accepted(target.definition, target.namespace, patched), options)
  }

  delete(target: Target, options: DeleteOptions): Deletion {
    const { definition, name } = target
    const version = this.get(target)
    const object = objectOf(definition, version)
    const metadata = objectAt(object, 'metadata')
    if (options.uid !== undefined && options.uid !== metadata.uid) {
      throw conflict(
        { group: definition.group, resource: definition.kind },
        name,
        `the UID in the precondition (${options.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
      )
    }
    if (options.resourceVersion !== undefined && options.resourceVersion !== metadata.resourceVersion) {
      throw conflict(
        { group: definition.group, resource: definition.kind },
        name,
        `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
      )
    }
    if (isCrd(definition)) return { version: this.#deleteDefinition(definition, version, object), removed: false }
    const graceSeconds = graceOf(definition, object, options)
    const held = isHeld(metadata) || isNamespace(definition) || graceSeconds > 0
    if (!held) return { version: this.#remove(definition, version), removed: true }
    if (metadata.deletionTimestamp !== undefined) return { version, removed: false }
    return { version: this.#markDeleted(definition, object, graceSeconds), removed: false }
  }

  #update(
    version: Version,
    definition: Definition,
    input: JsonObject,
    { manager, subresource }: WriteOptions,
  ): Version {
    const old = objectOf(definition, version)
    const before = objectAt(old, 'metadata')
    const wanted = objectAt(input, 'metadata')
    if (wanted.uid !== undefined && wanted.uid !== before.uid) {
      throw conflict(
        definition,
        version.name,
        `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${before.uid}`,
      )
    }
    if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== before.resourceVersion) {
      throw conflict(definition, version.name, OBJECT_MODIFIED)
    }
    const object = merged(definition, old, input, subresource)
    if (isSame(old, object)) return version
    const time = this.#time()
    const generation = specChanged(definition, old, object) ? Number(before.generation) + 1 : before.generation
    const writer = { manager, apiVersion: apiVersionOf(definition), subresource, time }
    const next = stamped(
      { ...object, metadata: { ...objectAt(object, 'metadata'), generation } },
      managedFields(old, object, writer),
    )
    if (before.deletionTimestamp !== undefined && isHeld(before) && !isHeld(objectAt(next, 'metadata'))) {
      // What is reported as deleted is the last state that was stored, with its finalizers
      this.#remove(definition, version)
      return versionOf(definition, next, version.revision)
    }
    const written = this.#write('MODIFIED', definition, next)
    if (isCrd(definition)) this.#registry.install(next)
    return written
  }

  #markDeleted(definition: Definition, object: JsonObject, graceSeconds: number): Version {
    const metadata = objectAt(object, 'metadata')
    const generation = metadata.generation === undefined ? undefined : Number(metadata.generation) + 1
    const deletionTimestamp = this.#time(graceSeconds * 1_000)
    const grace = isNamespace(definition) ? {} : { deletionGracePeriodSeconds: graceSeconds }
    const next: JsonObject = { ...object, metadata: { ...metadata, generation, deletionTimestamp, ...grace } }
    if (isNamespace(definition)) {
      next.status = { ...objectAt(object, 'status'), phase: 'Terminating' }
      const name = stringAt(metadata, 'name') ?? ''
      this.#clock.after(NAMESPACE_CLEANUP_MS, () => this.#clearNamespace(name))
    }
    return this.#write('MODIFIED', definition, next)
  }

  #clearNamespace(namespace: string): void {
    for (const definition of this.#registry.definitions) {
      if (!definition.namespaced) continue
      for (const version of [...this.#store.table(tableOf(definition)).versions()]) {
        if (version.namespace !== namespace) continue
        this.delete({ definition, namespace, name: version.name }, { gracePeriodSeconds: 0 })
      }
    }
    this.#finishNamespace(namespace)
  }

  /** Removes a namespace that is being deleted and has no content left. */
  #finishNamespace(name: string): void {
    const definition = this.#registry.find('', 'v1', 'namespaces')
    if (!definition) return
    const version = this.#store.table(tableOf(definition)).get(name)
    if (version?.fields['status.phase'] !== 'Terminating') return
    for (const [, table] of this.#store.tables) if (table.countIn(name) > 0) return
    this.#remove(definition, version)
  }

  #deleteDefinition(definition: Definition, version: Version, crd: JsonObject): Version {
    const plural = stringAt(objectAt(objectAt(crd, 'spec'), 'names'), 'plural')
    const group = stringAt(objectAt(crd, 'spec'), 'group')
    const served = this.#registry.definitions.find((one) => one.group === group && one.resource === plural)
    if (served) for (const object of [...this.#store.table(tableOf(served)).versions()]) this.#remove(served, object)
    this.#store.drop(this.#registry.remove(crd))
    return this.#remove(definition, version)
  }

  #remove(definition: Definition, last: Version): Version {
    const table = this.#store.table(tableOf(definition))
    const revision = this.#store.nextRevision()
    const version = versionOf(definition, objectOf(definition, last), revision)
    table.apply({ type: 'DELETED', version, previous: table.get(last.key) })
    if (last.namespace) this.#finishNamespace(last.namespace)
    return version
  }

  #write(type: 'ADDED' | 'MODIFIED', definition: Definition, object: JsonObject): Version {
    const table = this.#store.table(tableOf(definition))
    const version = versionOf(definition, object, this.#store.nextRevision())
    table.apply({ type, version, previous: table.get(version.key) })
    return version
  }

  #nameFor(definition: Definition, namespace: string, metadata: JsonObject): string {
    const prefix = stringAt(metadata, 'generateName')
    let name = stringAt(metadata, 'name') ?? ''
    for (let attempt = 0; name === '' && prefix && attempt < NAME_ATTEMPTS; attempt++) {
      const candidate = `${prefix}${this.#random.nameSuffix()}`
      if (attempt === NAME_ATTEMPTS - 1 || !this.#taken(definition, namespace, candidate)) name = candidate
    }
    checkName(definition, name)
    return name
  }

  #taken(definition: Definition, namespace: string, name: string): boolean {
    return this.#store.table(tableOf(definition)).get(keyOf(namespace, name)) !== undefined
  }

  #requireNamespace(definition: Definition, namespace: string, name: string): void {
    if (!definition.namespaced) return
    const parent = this.#store.table('namespaces').get(namespace)
    if (!parent) throw notFound({ group: '', resource: 'namespaces' }, namespace)
    if (parent.fields['status.phase'] !== 'Terminating') return
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`
    const cause = {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    }
    throw forbidden(definition, name, why, [cause])
  }

  /** RFC 3339 in whole seconds, as the server stamps. */
  #time(laterMs = 0): string {
    const at = new Date(this.#clock.now().getTime() + laterMs)
    return `${at.toISOString().slice(0, 19)}Z`
  }
}
