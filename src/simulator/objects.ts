import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../lib/clock.ts'
import { isObject, type JsonObject, objectAt, stringAt, without } from './json.ts'
import { managedFields } from './managed-fields.ts'
import { applyPatch, type PatchType } from './patch.ts'
import type { SeededRandom } from './random.ts'
import { establishedStatus, type Registry, tableOf } from './registry.ts'
import type { Definition } from './resources.ts'
import { alreadyExists, badRequest, conflict, forbidden, internalError, invalid, notFound } from './status.ts'
import type { Store } from './store.ts'
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
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const NAME_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
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
    const object = this.#accept(definition, namespace, input)
    const metadata = objectAt(object, 'metadata')
    if (metadata.resourceVersion) throw internalError('resourceVersion should not be set on objects to be created')
    const name = this.#nameOf(definition, metadata)
    this.#requireNamespace(definition, namespace, name)
    const key = keyOf(namespace, name)
    if (this.#store.table(tableOf(definition)).get(key)) throw alreadyExists(definition, name)
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
    const writer = { manager, apiVersion: apiVersion(definition), subresource: '', time } as const
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
    const object = this.#accept(definition, namespace, input)
    const metadata = objectAt(object, 'metadata')
    if (metadata.name !== undefined && metadata.name !== name) {
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
    }
    return this.#update(this.get(target), definition, object, options)
  }

  patch(target: Target, patch: unknown, type: PatchType, options: WriteOptions): Version {
    const version = this.get(target)
    const patched = applyPatch(objectOf(target.definition, version), patch, type)
    return this.#update(version, target.definition, this.#accept(target.definition, target.namespace, patched), options)
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
    if (isDeepStrictEqual(comparable(old), comparable(object))) return version
    const time = this.#time()
    const generation = specChanged(definition, old, object) ? Number(before.generation) + 1 : before.generation
    const writer = { manager, apiVersion: apiVersion(definition), subresource, time }
    const next = stamped(
      { ...object, metadata: { ...objectAt(object, 'metadata'), generation } },
      managedFields(old, object, writer),
    )
    if (before.deletionTimestamp !== undefined && isHeld(before) && !isHeld(objectAt(next, 'metadata'))) {
      // What is reported as deleted is the last state that was stored, with its finalizers
      this.#remove(definition, version)
      return this.#version(definition, next, version.revision)
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
    for (const [, table] of this.#store.tables)
      for (const { namespace } of table.versions()) if (namespace === name) return
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
    const version = this.#version(definition, objectOf(definition, last), revision)
    table.apply({ type: 'DELETED', version, previous: table.get(last.key) })
    if (last.namespace) this.#finishNamespaceOf(last.namespace)
    return version
  }

  #finishNamespaceOf(name: string): void {
    const namespace = this.#store.table('namespaces').get(name)
    if (namespace?.fields['status.phase'] === 'Terminating') this.#finishNamespace(name)
  }

  #write(type: 'ADDED' | 'MODIFIED', definition: Definition, object: JsonObject): Version {
    const table = this.#store.table(tableOf(definition))
    const version = this.#version(definition, object, this.#store.nextRevision())
    table.apply({ type, version, previous: table.get(version.key) })
    return version
  }

  #version(definition: Definition, object: JsonObject, revision: bigint): Version {
    const metadata = orderedMetadata(objectAt(object, 'metadata'), String(revision))
    const { apiVersion: _, kind: __, metadata: ___, ...rest } = object
    const namespace = stringAt(metadata, 'namespace') ?? ''
    const name = stringAt(metadata, 'name') ?? ''
    return {
      key: keyOf(namespace, name),
      namespace,
      name,
      revision,
      labels: objectAt(metadata, 'labels') as Record<string, string>,
      fields: Object.fromEntries(definition.fields.map((path) => [path, valueAt(object, path)])),
      body: JSON.stringify({ metadata, ...rest }).slice(1),
    }
  }

  /** The input as an object of this resource in this namespace, or a 400. */
  #accept(definition: Definition, namespace: string, input: unknown): JsonObject {
    if (!isObject(input)) throw badRequest(`the object provided is unrecognized (must be of type ${definition.kind})`)
    const [kind, version] = [input.kind, input.apiVersion]
    if (
      (kind !== undefined && kind !== definition.kind) ||
      (version !== undefined && version !== apiVersion(definition))
    ) {
      throw badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${definition.kind}`)
    }
    const metadata = objectAt(input, 'metadata')
    if (definition.namespaced && metadata.namespace !== undefined && metadata.namespace !== namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
    }
    return { ...input, metadata: without(metadata, 'selfLink') }
  }

  #nameOf(definition: Definition, metadata: JsonObject): string {
    const generateName = stringAt(metadata, 'generateName')
    const name = stringAt(metadata, 'name') ?? (generateName ? `${generateName}${this.#random.nameSuffix()}` : '')
    const problem = (reason: 'FieldValueRequired' | 'FieldValueInvalid', message: string) =>
      invalid(definition.kind, definition.group, name, [{ reason, field: 'metadata.name', message }])
    if (!name) throw problem('FieldValueRequired', 'Required value: name or generateName is required')
    if (!NAME.test(name) || name.length > 253)
      throw problem('FieldValueInvalid', `Invalid value: ${JSON.stringify(name)}: ${NAME_RULE}`)
    return name
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

/** The whole object as JSON text, in the version that `definition` serves. */
export function textOf(definition: Definition, version: Version): string {
  return `{"kind":"${definition.kind}","apiVersion":"${apiVersion(definition)}",${version.body}`
}

/** A copy of the object that may be changed. */
export function objectOf(definition: Definition, version: Version): JsonObject {
  return JSON.parse(textOf(definition, version)) as JsonObject
}

export function keyOf(namespace: string, name: string): string {
  return namespace ? `${namespace}/${name}` : name
}

function apiVersion({ group, version }: Definition): string {
  return group ? `${group}/${version}` : version
}

function completed(definition: Definition, object: JsonObject, name: string): JsonObject {
  const complete = definition.complete ? definition.complete(object) : object
  if (isNamespace(definition)) return withLabel(complete, 'kubernetes.io/metadata.name', name)
  if (definition.kind === 'Secret' && isObject(object.stringData)) return encodedSecret(complete, object.stringData)
  return complete
}

function withLabel(object: JsonObject, label: string, value: string): JsonObject {
  const metadata = objectAt(object, 'metadata')
  return { ...object, metadata: { ...metadata, labels: { ...objectAt(metadata, 'labels'), [label]: value } } }
}

/** `stringData` is for writing only: the server keeps it as base64 in `data`. */
function encodedSecret(secret: JsonObject, plain: JsonObject): JsonObject {
  const encoded = Object.entries(plain).map(([key, value]) => [key, Buffer.from(String(value)).toString('base64')])
  return { ...without(secret, 'stringData'), data: { ...objectAt(secret, 'data'), ...Object.fromEntries(encoded) } }
}

/** What a write through this door may change of the old object. */
function merged(definition: Definition, old: JsonObject, input: JsonObject, subresource: '' | 'status'): JsonObject {
  const [before, wanted] = [objectAt(old, 'metadata'), objectAt(input, 'metadata')]
  const metadata = {
    ...wanted,
    name: before.name,
    namespace: before.namespace,
    uid: before.uid,
    generation: before.generation,
    creationTimestamp: before.creationTimestamp,
    deletionTimestamp: before.deletionTimestamp,
    deletionGracePeriodSeconds: before.deletionGracePeriodSeconds,
  }
  if (subresource === 'status') {
    const kept = definition.builtIn ? { ...metadata, ownerReferences: before.ownerReferences } : before
    return { ...old, metadata: kept, status: input.status }
  }
  const stringData = definition.kind === 'Secret' ? input.stringData : undefined
  const object = { ...(isObject(stringData) ? encodedSecret(input, stringData) : input), metadata }
  return definition.status ? { ...object, status: old.status } : object
}

/** What makes two versions differ: everything but what the server itself stamps on each write. */
function comparable(object: JsonObject): unknown {
  const { apiVersion: _, kind: __, ...rest } = object
  return JSON.parse(
    JSON.stringify({ ...rest, metadata: without(objectAt(object, 'metadata'), 'resourceVersion', 'managedFields') }),
  )
}

function specChanged(definition: Definition, old: JsonObject, object: JsonObject): boolean {
  switch (definition.generation) {
    case 'none':
      return false
    case 'spec':
      return !isDeepStrictEqual(old.spec, object.spec)
    case 'all':
      return !isDeepStrictEqual(
        { ...without(old, 'metadata', 'kind', 'apiVersion') },
        { ...without(object, 'metadata', 'kind', 'apiVersion') },
      )
  }
}

function stamped(object: JsonObject, fields: readonly JsonObject[]): JsonObject {
  const metadata = objectAt(object, 'metadata')
  return { ...object, metadata: { ...metadata, managedFields: fields.length > 0 ? fields : undefined } }
}

/** The members in the order in which the server writes them; empty ones are left out. */
function orderedMetadata(metadata: JsonObject, resourceVersion: string): JsonObject {
  return {
    name: metadata.name,
    generateName: metadata.generateName,
    namespace: metadata.namespace,
    uid: metadata.uid,
    resourceVersion,
    generation: metadata.generation,
    creationTimestamp: metadata.creationTimestamp,
    deletionTimestamp: metadata.deletionTimestamp,
    deletionGracePeriodSeconds: metadata.deletionGracePeriodSeconds,
    labels: filled(metadata.labels),
    annotations: filled(metadata.annotations),
    ownerReferences: filled(metadata.ownerReferences),
    finalizers: filled(metadata.finalizers),
    managedFields: filled(metadata.managedFields),
  }
}

function filled(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? value : undefined
}

function isHeld(metadata: JsonObject): boolean {
  const finalizers = metadata.finalizers
  return Array.isArray(finalizers) && finalizers.length > 0
}

function isNamespace(definition: Definition): boolean {
  return definition.group === '' && definition.resource === 'namespaces'
}

function isCrd(definition: Definition): boolean {
  return definition.group === 'apiextensions.k8s.io' && definition.resource === 'customresourcedefinitions'
}

/** Pods that run on a node end gracefully, if they say how long they take; everything else ends at once. */
function graceOf(definition: Definition, object: JsonObject, { gracePeriodSeconds }: DeleteOptions): number {
  const spec = objectAt(object, 'spec')
  if (definition.kind !== 'Pod' || !spec.nodeName) return 0
  return gracePeriodSeconds ?? Number(spec.terminationGracePeriodSeconds ?? 0)
}

function valueAt(object: JsonObject, path: string): string {
  let value: unknown = object
  for (const step of path.split('.')) value = isObject(value) ? value[step] : undefined
  return value === undefined ? '' : String(value)
}
