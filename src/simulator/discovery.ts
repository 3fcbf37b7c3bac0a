import type { JsonObject } from './json.ts'
import { parseAccept } from './representation.ts'
import type { Definition } from './resources.ts'

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const STATUS_VERBS = ['get', 'patch', 'update']
export const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

/** True if the client understands discovery of all groups in one answer and asks for it first. */
export function wantsAggregated(accept: string | undefined): boolean {
  const [first] = parseAccept(accept ?? '*/*')
  return first?.parameters.get('as') === 'APIGroupDiscoveryList' && first.parameters.get('v') === 'v2'
}

/** What `/api`, `/apis`, `/apis/GROUP`, `/api/VERSION` and `/apis/GROUP/VERSION` answer; undefined for other paths and unknown groups. */
export function discovery(
  segments: readonly string[],
  definitions: readonly Definition[],
  aggregated: boolean,
): JsonObject | undefined {
  const [root, ...rest] = segments
  if (root === 'api' && rest.length === 0) {
    return aggregated
      ? aggregatedList([''], definitions)
      : { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  }
  if (root === 'apis' && rest.length === 0) {
    const groups = groupsOf(definitions).filter((group) => group !== '')
    if (aggregated) return aggregatedList(groups, definitions)
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupOf(group, definitions)) }
  }
  if (root === 'apis' && rest.length === 1) {
    const [group = ''] = rest
    if (group === '' || !groupsOf(definitions).includes(group)) return undefined
    return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group, definitions) }
  }
  const [group, version] =
    root === 'api' && rest.length === 1 ? ['', rest[0]] : root === 'apis' && rest.length === 2 ? rest : []
  const served = definitions.filter((definition) => definition.group === group && definition.version === version)
  if (served.length === 0) return undefined
  const groupVersion = group ? `${group}/${version}` : version
  return {
    kind: 'APIResourceList',
    ...(group ? { apiVersion: 'v1' } : {}),
    groupVersion,
    resources: served.flatMap(resourceEntries),
  }
}

function groupsOf(definitions: readonly Definition[]): readonly string[] {
  return [...new Set(definitions.map(({ group }) => group))]
}

function versionsOf(group: string, definitions: readonly Definition[]): readonly string[] {
  return [...new Set(definitions.filter((definition) => definition.group === group).map(({ version }) => version))]
}

function groupOf(name: string, definitions: readonly Definition[]): JsonObject {
  const versions = versionsOf(name, definitions).map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions, preferredVersion: versions[0] }
}

function resourceEntries(definition: Definition): readonly JsonObject[] {
  const { resource, singular, namespaced, kind, shortNames, categories, status } = definition
  const entry = {
    name: resource,
    singularName: singular,
    namespaced,
    kind,
    verbs: VERBS,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
  }
  return status
    ? [entry, { name: `${resource}/status`, singularName: '', namespaced, kind, verbs: STATUS_VERBS }]
    : [entry]
}

function aggregatedList(groups: readonly string[], definitions: readonly Definition[]): JsonObject {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: group ? { name: group } : {},
      versions: versionsOf(group, definitions).map((version) => ({
        version,
        resources: definitions
          .filter((definition) => definition.group === group && definition.version === version)
          .map(aggregatedEntry),
        freshness: 'Current',
      })),
    })),
  }
}

function aggregatedEntry({
  resource,
  kind,
  group,
  version,
  builtIn,
  namespaced,
  singular,
  shortNames,
  categories,
  status,
}: Definition): JsonObject {
  // The real server leaves group and version out for its own types: they are those around the entry
  const responseKind = builtIn ? { group: '', version: '', kind } : { group, version, kind }
  return {
    resource,
    responseKind,
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: VERBS,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(status ? { subresources: [{ subresource: 'status', responseKind, verbs: STATUS_VERBS }] } : {}),
  }
}
