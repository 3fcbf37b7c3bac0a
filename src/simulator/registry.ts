import { type Resource, resourceName } from '../kube/object.ts'
import { isObject, type JsonObject, objectAt, objectsAt, stringAt } from './json.ts'
import { builtInResources, type Definition } from './resources.ts'

/** Which resources are served right now: the built-in ones, and those of the CustomResourceDefinitions that exist. */
export class Registry {
  readonly #custom = new Map<string, readonly Definition[]>()

  /** In the order of discovery: built-in first. */
  get definitions(): readonly Definition[] {
    return [...builtInResources, ...[...this.#custom.values()].flat()]
  }

  find(group: string, version: string, resource: string): Definition | undefined {
    return this.definitions.find(
      (definition) => definition.group === group && definition.version === version && definition.resource === resource,
    )
  }

  findKind(apiVersion: string, kind: string): Definition | undefined {
    const slash = apiVersion.indexOf('/')
    const group = slash < 0 ? '' : apiVersion.slice(0, slash)
    const version = apiVersion.slice(slash + 1)
    return this.definitions.find(
      (definition) => definition.group === group && definition.version === version && definition.kind === kind,
    )
  }

  /** Serves what this CustomResourceDefinition says, from now on. */
  install(crd: JsonObject): void {
    this.#custom.set(crdName(crd), definitionsOf(crd))
  }

  /** Serves it no more. Returns the name of its table. */
  remove(crd: JsonObject): string {
    this.#custom.delete(crdName(crd))
    return tableName(crd)
  }

  clear(): void {
    this.#custom.clear()
  }
}

/** All versions of a resource share one table. */
export function tableOf(resource: Resource): string {
  return resourceName(resource)
}

/** The status that the server's own controllers give to a new CustomResourceDefinition, at once here. */
export function establishedStatus(crd: JsonObject, now: string): JsonObject {
  const spec = objectAt(crd, 'spec')
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime: now,
    reason,
    message,
  })
  return {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: objectAt(spec, 'names'),
    storedVersions: objectsAt(spec, 'versions')
      .filter((version) => version.storage === true)
      .map((version) => version.name),
  }
}

function crdName(crd: JsonObject): string {
  return stringAt(objectAt(crd, 'metadata'), 'name') ?? ''
}

function tableName(crd: JsonObject): string {
  const spec = objectAt(crd, 'spec')
  return resourceName({
    group: stringAt(spec, 'group') ?? '',
    version: '',
    resource: stringAt(objectAt(spec, 'names'), 'plural') ?? '',
    kind: '',
    namespaced: false,
  })
}

function definitionsOf(crd: JsonObject): readonly Definition[] {
  const spec = objectAt(crd, 'spec')
  const names = objectAt(spec, 'names')
  const kind = stringAt(names, 'kind') ?? ''
  return objectsAt(spec, 'versions')
    .filter((version) => version.served !== false)
    .map((version): Definition => {
      const status = isObject(objectAt(version, 'subresources').status)
      return {
        group: stringAt(spec, 'group') ?? '',
        version: stringAt(version, 'name') ?? '',
        resource: stringAt(names, 'plural') ?? '',
        kind,
        namespaced: spec.scope === 'Namespaced',
        singular: stringAt(names, 'singular') ?? kind.toLowerCase(),
        shortNames: strings(names.shortNames),
        categories: strings(names.categories),
        builtIn: false,
        status,
        generation: status ? 'spec' : 'all',
        fields: objectsAt(version, 'selectableFields').map((field) =>
          (stringAt(field, 'jsonPath') ?? '').replace(/^\./, ''),
        ),
      }
    })
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
