/** Objects as the store keeps them, and back. */
import { apiVersionOf } from '../kube/object.ts'
import { filled, isObject, type JsonObject, objectAt, stringAt } from './json.ts'
import type { Definition } from './resources.ts'
import type { Version } from './table.ts'

/** The version to store: the object with this revision as its resourceVersion. */
export function versionOf(definition: Definition, object: JsonObject, revision: bigint): Version {
  const { apiVersion: _, kind: __, metadata: given, ...rest } = object
  const metadata = orderedMetadata(isObject(given) ? given : {}, String(revision))
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

/** The whole object as JSON text, in the version that `definition` serves. */
export function textOf(definition: Definition, { body }: Version): string {
  return `{"kind":"${definition.kind}","apiVersion":"${apiVersionOf(definition)}",${body}`
}

/** A copy of the object that may be changed. */
export function objectOf(definition: Definition, version: Version): JsonObject {
  return JSON.parse(textOf(definition, version)) as JsonObject
}

export function keyOf(namespace: string, name: string): string {
  return namespace ? `${namespace}/${name}` : name
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

function valueAt(object: JsonObject, path: string): string {
  let value: unknown = object
  for (const step of path.split('.')) value = isObject(value) ? value[step] : undefined
  return value === undefined ? '' : String(value)
}
