/** What an API server serves, read from it: two requests since 1.26 (KEP-3352), one per group version before. */
import type { ApiClient } from './api-client.ts'
import { type Catalog, findResource, type ServedResource } from './catalog.ts'
import { KubeError } from './errors.ts'
import { isRecord, type JsonRecord } from './json.ts'
import type { Resource } from './object.ts'

/** The resource that `name` means, as kubectl would take it. Reads the whole catalogue: for several names read it once. */
export async function discover(client: ApiClient, name: string, signal: AbortSignal): Promise<Resource> {
  return findResource(await readCatalog(client, signal), name)
}

/** Rejects with a KubeError if the server or its list of groups cannot be read; one unreadable group is only noted. */
export async function readCatalog(client: ApiClient, signal: AbortSignal): Promise<Catalog> {
  const answers = [await getAggregated(client, '/api', signal), await getAggregated(client, '/apis', signal)]
  const catalogs: Catalog[] = []
  for (const answer of answers) {
    catalogs.push(
      answer.kind === 'APIGroupDiscoveryList' ? fromAggregated(answer) : await readLegacy(client, answer, signal),
    )
  }
  return {
    resources: catalogs.flatMap(({ resources }) => resources),
    unreachable: catalogs.flatMap(({ unreachable }) => unreachable),
  }
}

/** The older forms are for servers that ignore the newer ones. */
const AGGREGATED = [
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList',
  'application/json',
].join(',')

async function getAggregated(client: ApiClient, path: string, signal: AbortSignal): Promise<JsonRecord> {
  const { body } = await client.request({ method: 'GET', path, accept: AGGREGATED }, signal)
  return record(body)
}

function fromAggregated(list: JsonRecord): Catalog {
  const resources: ServedResource[] = []
  const unreachable: string[] = []
  for (const item of records(list.items)) {
    const group = text(record(item.metadata).name)
    for (const entry of records(item.versions)) {
      const version = text(entry.version)
      // what a server says of an aggregated API that does not answer is old, or nothing
      if (entry.freshness === 'Stale') unreachable.push(`${group}/${version}`)
      for (const described of records(entry.resources)) {
        const kind = text(record(described.responseKind).kind)
        if (kind === '') continue
        resources.push({
          group,
          version,
          resource: text(described.resource),
          kind,
          namespaced: described.scope === 'Namespaced',
          singular: text(described.singularResource),
          shortNames: texts(described.shortNames),
          verbs: texts(described.verbs),
        })
      }
    }
  }
  return { resources, unreachable }
}

interface GroupVersion {
  readonly group: string
  readonly version: string
}

/** Requests in flight. */
const AT_ONCE = 8

async function readLegacy(client: ApiClient, answer: JsonRecord, signal: AbortSignal): Promise<Catalog> {
  const groupVersions = legacyGroupVersions(answer)
  const resources: ServedResource[] = []
  const unreachable: string[] = []
  for (let start = 0; start < groupVersions.length; start += AT_ONCE) {
    const some = groupVersions.slice(start, start + AT_ONCE)
    const lists = await Promise.all(some.map((groupVersion) => readLegacyVersion(client, groupVersion, signal)))
    for (const [index, list] of lists.entries()) {
      const { group, version } = some[index] ?? { group: '', version: '' }
      if (list === undefined) unreachable.push(`${group}/${version}`)
      else for (const resource of list) resources.push(resource)
    }
  }
  return { resources, unreachable }
}

/** From APIVersions, the core group's, or APIGroupList. */
function legacyGroupVersions(answer: JsonRecord): readonly GroupVersion[] {
  if (answer.kind === 'APIVersions') return texts(answer.versions).map((version) => ({ group: '', version }))
  return records(answer.groups).flatMap((described) => {
    const preferred = text(record(described.preferredVersion).version)
    const versions = records(described.versions).map(({ version }) => text(version))
    const ordered = [preferred, ...versions.filter((version) => version !== preferred)].filter(
      (version) => version !== '',
    )
    return ordered.map((version) => ({ group: text(described.name), version }))
  })
}

/** Undefined if it cannot be read now. */
async function readLegacyVersion(
  client: ApiClient,
  { group, version }: GroupVersion,
  signal: AbortSignal,
): Promise<readonly ServedResource[] | undefined> {
  const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  try {
    const list = record(await client.get(path, signal))
    return records(list.resources).flatMap((described) => {
      const resource = text(described.name)
      if (resource.includes('/')) return []
      return {
        group,
        version,
        resource,
        kind: text(described.kind),
        namespaced: described.namespaced === true,
        singular: text(described.singularName),
        shortNames: texts(described.shortNames),
        verbs: texts(described.verbs),
      }
    })
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    return error.code === 'not-found' ? [] : undefined
  }
}

const record = (value: unknown): JsonRecord => (isRecord(value) ? value : {})
const records = (value: unknown): readonly JsonRecord[] => (Array.isArray(value) ? value.filter(isRecord) : [])
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
