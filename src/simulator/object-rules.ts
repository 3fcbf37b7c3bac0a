/** What the API server makes of an object, as pure functions: what it adds, what a write may change, what counts as a change. */
import { isDeepStrictEqual } from 'node:util'
import { apiVersionOf } from '../kube/object.ts'
import { filled, isObject, type JsonObject, objectAt, without } from './json.ts'
import type { DeleteOptions } from './objects.ts'
import type { Definition } from './resources.ts'
import { badRequest, invalid } from './status.ts'

/** The input as an object of this resource in this namespace, or a 400. */
export function accepted(definition: Definition, namespace: string, input: unknown): JsonObject {
  if (!isObject(input)) throw badRequest(`the object provided is unrecognized (must be of type ${definition.kind})`)
  const { kind = definition.kind, apiVersion = apiVersionOf(definition) } = input
  if (kind !== definition.kind || apiVersion !== apiVersionOf(definition)) {
    throw badRequest(`${kind} in version ${JSON.stringify(apiVersion)} cannot be handled as a ${definition.kind}`)
  }
  const metadata = objectAt(input, 'metadata')
  if (definition.namespaced && metadata.namespace !== undefined && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  return { ...input, metadata: without(metadata, 'selfLink') }
}

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const NAME_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

/** Throws the 422 for a name that an object cannot have. */
export function checkName({ kind, group }: Definition, name: string): void {
  const problem = (reason: 'FieldValueRequired' | 'FieldValueInvalid', message: string) =>
    invalid(kind, group, name, [{ reason, field: 'metadata.name', message }])
  if (!name) throw problem('FieldValueRequired', 'Required value: name or generateName is required')
  if (NAME.test(name) && name.length <= 253) return
  throw problem('FieldValueInvalid', `Invalid value: ${JSON.stringify(name)}: ${NAME_RULE}`)
}

/** With what the server adds to a new object of this kind. */
export function completed(definition: Definition, object: JsonObject, name: string): JsonObject {
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
export function merged(
  definition: Definition,
  old: JsonObject,
  input: JsonObject,
  subresource: '' | 'status',
): JsonObject {
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

/** True if a write changes nothing: what the server itself stamps on each write does not count. */
export function isSame(old: JsonObject, object: JsonObject): boolean {
  const members = new Set([...Object.keys(old), ...Object.keys(object)])
  for (const member of ['apiVersion', 'kind', 'metadata']) members.delete(member)
  for (const member of members) if (!isDeepStrictEqual(old[member], object[member])) return false
  const [before, after] = [objectAt(old, 'metadata'), objectAt(object, 'metadata')]
  const stamped = new Set([...Object.keys(before), ...Object.keys(after)])
  for (const member of ['resourceVersion', 'managedFields']) stamped.delete(member)
  for (const member of stamped) if (!isDeepStrictEqual(filled(before[member]), filled(after[member]))) return false
  return true
}

export function specChanged(definition: Definition, old: JsonObject, object: JsonObject): boolean {
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

export function stamped(object: JsonObject, fields: readonly JsonObject[]): JsonObject {
  const metadata = objectAt(object, 'metadata')
  return { ...object, metadata: { ...metadata, managedFields: fields.length > 0 ? fields : undefined } }
}

export function isHeld(metadata: JsonObject): boolean {
  const finalizers = metadata.finalizers
  return Array.isArray(finalizers) && finalizers.length > 0
}

export function isNamespace(definition: Definition): boolean {
  return definition.group === '' && definition.resource === 'namespaces'
}

export function isCrd(definition: Definition): boolean {
  return definition.group === 'apiextensions.k8s.io' && definition.resource === 'customresourcedefinitions'
}

/** Pods that run on a node end gracefully, if they say how long they take; everything else ends at once. */
export function graceOf(definition: Definition, object: JsonObject, { gracePeriodSeconds }: DeleteOptions): number {
  const spec = objectAt(object, 'spec')
  if (definition.kind !== 'Pod' || !spec.nodeName) return 0
  return gracePeriodSeconds ?? Number(spec.terminationGracePeriodSeconds ?? 0)
}
