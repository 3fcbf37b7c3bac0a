import { nearest } from '../lib/nearest.ts'
import { KubeError } from './errors.ts'
import { type Resource, resourceName } from './object.ts'

/** A resource as the server describes it. */
export interface ServedResource extends Resource {
  /** `pod`. */
  readonly singular: string
  /** `po`. */
  readonly shortNames: readonly string[]
  /** `get`, `list`, `watch`, … */
  readonly verbs: readonly string[]
}

/** What an API server serves, subresources left out. */
export interface Catalog {
  /** Groups in the server's order, the core group first; within a group the preferred version first. */
  readonly resources: readonly ServedResource[]
  /** `metrics.k8s.io/v1beta1`: served, but what it holds could not be read just now. */
  readonly unreachable: readonly string[]
}

/**
 * The resource that is meant by `pods`, `po`, `Pod`, `deployments.apps`, `widgets.v1.example.com`, as kubectl reads them:
 * a second part is tried as a version (`pods.v1`: of the core group) before it is taken for the beginning of a group.
 * Without a version: the preferred.
 *
 * Throws `not-found`, naming the nearest; `unavailable` if what was asked for may be in a group that cannot be read now;
 * `rejected` if it can be neither listed nor watched.
 */
export function findResource(catalog: Catalog, name: string): Resource {
  for (const form of formsOf(name)) {
    const found = matching(catalog.resources, form)
    const [first] = found
    if (first === undefined) continue
    const usable = found.find(({ verbs }) => verbs.includes('list') && verbs.includes('watch'))
    if (usable !== undefined) return toResource(usable)
    throw new KubeError(
      'rejected',
      `${resourceName(first)} cannot be listed and watched, which it must be: it has ${first.verbs.join(', ') || 'no verbs'}`,
    )
  }
  throw notFound(catalog, name)
}

interface Form {
  readonly word: string
  readonly group?: string
  readonly version?: string
}

function formsOf(name: string): readonly Form[] {
  const [word = '', ...rest] = name.toLowerCase().split('.')
  const [version, ...group] = rest
  if (version === undefined) return [{ word }]
  const asGroup = { word, group: rest.join('.') }
  return [{ word, version, group: group.join('.') }, asGroup]
}

/** By the plural if there is one of that name, else by singular and kind, else by short name. */
function matching(resources: readonly ServedResource[], { word, group, version }: Form): readonly ServedResource[] {
  const inVersion = version === undefined ? resources : resources.filter((resource) => resource.version === version)
  const matchers: readonly ((resource: ServedResource) => boolean)[] = [
    (resource) => resource.resource === word,
    ({ singular, kind }) => singular === word || kind.toLowerCase() === word,
    ({ shortNames }) => shortNames.includes(word),
  ]
  for (const matches of matchers) {
    const named = inVersion.filter(matches)
    const found = group === undefined ? named : inGroup(named, group)
    if (found.length > 0) return found
  }
  return []
}

/** kubectl accepts the beginning of a group too: `ingresses.networking`. */
function inGroup(resources: readonly ServedResource[], group: string): readonly ServedResource[] {
  const exact = resources.filter((resource) => resource.group === group)
  return exact.length > 0 || group === '' ? exact : resources.filter((resource) => resource.group.startsWith(group))
}

function notFound({ resources, unreachable }: Catalog, name: string): KubeError {
  const groups = formsOf(name).map(({ group }) => group)
  const suspects = unreachable.filter((groupVersion) => groups.some((group) => mayHold(groupVersion, group)))
  if (suspects.length > 0) {
    return new KubeError(
      'unavailable',
      `${name}: not found, but the server cannot say now what ${suspects.slice(0, 5).join(', ')} holds`,
    )
  }
  const words = name.includes('.')
    ? resources.flatMap((resource) => [
        resourceName(resource),
        `${resource.resource}.${resource.version}.${resource.group}`,
      ])
    : resources.flatMap(({ resource, singular, shortNames }) => [resource, singular, ...shortNames])
  const meant = nearest(name, words)
  const hint = meant === undefined ? 'see `kubectl api-resources` for what is' : `is ${meant} meant?`
  return new KubeError('not-found', `the server serves no resource ${name}; ${hint}`)
}

const mayHold = (groupVersion: string, group: string | undefined): boolean =>
  group === undefined || groupVersion.startsWith(`${group}/`)

function toResource({ group, version, resource, kind, namespaced }: ServedResource): Resource {
  return { group, version, resource, kind, namespaced }
}
