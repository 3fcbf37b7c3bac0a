/** Compares what a receiver was sent with what etcd recorded. Knows nothing of the product but its public contract. */

import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'

export interface Comparison {
  /** Empty if the contract was kept. */
  readonly problems: readonly string[]
  /** Writes that etcd recorded. */
  readonly versions: number
  /** Of those, how many arrived as themselves. */
  readonly delivered: number
  /** How many did not, and a later event of the object says `collapsed`. */
  readonly collapsed: number
  /** Objects that came and went without ever being seen, inside a gap. */
  readonly unseen: number
  /** Events that arrived again, with the same source and id. */
  readonly duplicates: number
  readonly gaps: number
}

const ADDED = 'io.deltawire.object.added.v1'
const UPDATED = 'io.deltawire.object.updated.v1'
const DELETED = 'io.deltawire.object.deleted.v1'
const GAP = 'io.deltawire.stream.gap.v1'

interface Seen {
  readonly event: ReceivedEvent
  readonly index: number
}

/** `history`: every write after the bridge had synced. `events`: everything that arrived, in order of arrival. */
export function compare(history: readonly RecordedChange[], events: readonly ReceivedEvent[]): Comparison {
  const problems: string[] = []
  const byId = new Map<string, Seen>()
  const byUid = new Map<string, Seen[]>()
  let duplicates = 0
  for (const [index, event] of events.entries()) {
    const id = `${event.source} ${event.id}`
    if (byId.has(id)) {
      duplicates++
      continue
    }
    byId.set(id, { event, index })
    const uid = event.uid
    if (typeof uid !== 'string') continue
    const sofar = byUid.get(uid)
    if (sofar) sofar.push({ event, index })
    else byUid.set(uid, [{ event, index }])
  }
  const gaps = events.filter(({ type }) => type === GAP).length

  let delivered = 0
  let collapsed = 0
  const unseen = new Set<string>()
  for (const change of history) {
    const { type, uid, resourceVersion, key } = change
    const source = sourceOf(key)
    const id = type === 'deleted' ? `${uid}:deleted` : `${uid}:${resourceVersion}`
    const found = byId.get(`${source} ${id}`)
    if (found) {
      delivered++
      problems.push(...faults(change, found.event))
      continue
    }
    const ofObject = byUid.get(uid) ?? []
    const later = ofObject.some(({ event }) => isCollapsed(event) && String(event.sequence) >= pad(resourceVersion))
    if (later) collapsed++
    else if (ofObject.length === 0 && gaps > 0) unseen.add(uid)
    else problems.push(`${type} ${key} ${id} never arrived`)
  }

  for (const [uid, seen] of byUid) problems.push(...outOfOrder(uid, seen))
  problems.push(...takenAgain(history, byUid))
  for (const uid of unseen) {
    if (!history.some((change) => change.uid === uid && change.type === 'deleted'))
      problems.push(`${uid} is there and was never sent`)
  }
  return { problems, versions: history.length, delivered, collapsed, unseen: unseen.size, duplicates, gaps }
}

function faults({ type, key, resourceVersion, object }: RecordedChange, event: ReceivedEvent): readonly string[] {
  const { name, namespace } = object.metadata
  const expected: Readonly<Record<string, unknown>> = {
    name,
    namespace,
    subject: namespace ? `${namespace}/${name}` : name,
    uid: object.metadata.uid,
    cluster: 'test',
    ...(!isCollapsed(event) && { sequence: pad(resourceVersion) }),
    ...(type !== 'deleted' && { resourceversion: resourceVersion }),
  }
  const wrong = Object.entries(expected).flatMap(([attribute, value]) =>
    event[attribute] === value
      ? []
      : [`${key} ${event.id}: ${attribute} is ${String(event[attribute])}, not ${String(value)}`],
  )
  const types = { created: [ADDED], updated: isCollapsed(event) ? [ADDED, UPDATED] : [UPDATED], deleted: [DELETED] }[
    type
  ]
  // found by a relist, the first version that is seen may be a later one
  if (!types.includes(event.type) && !(isCollapsed(event) && event.type === UPDATED)) {
    wrong.push(`${key} ${event.id}: type is ${event.type}`)
  }
  const data = event.data as {
    readonly object?: { readonly metadata?: { readonly resourceVersion?: string; readonly managedFields?: unknown } }
  }
  if (type !== 'deleted' && data.object?.metadata?.resourceVersion !== resourceVersion)
    wrong.push(`${key} ${event.id}: data is of another version`)
  if (data.object?.metadata?.managedFields) wrong.push(`${key} ${event.id}: managedFields were sent`)
  return wrong
}

/** P2: per uid sequences never go back, and nothing follows its deletion. */
function outOfOrder(uid: string, seen: readonly Seen[]): readonly string[] {
  const wrong: string[] = []
  let last = ''
  let deleted = false
  for (const { event } of seen) {
    const sequence = String(event.sequence)
    if (sequence < last) wrong.push(`${uid}: sequence ${sequence} arrived after ${last}`)
    if (deleted) wrong.push(`${uid}: ${event.id} arrived after its deletion`)
    last = sequence
    deleted ||= event.id === `${uid}:deleted`
  }
  return wrong
}

/** P2: a name that is taken again: deleted(old uid) before anything of the new one. */
function takenAgain(
  history: readonly RecordedChange[],
  byUid: ReadonlyMap<string, readonly Seen[]>,
): readonly string[] {
  const wrong: string[] = []
  const before = new Map<string, string>()
  for (const { key, uid } of history) {
    const old = before.get(key)
    before.set(key, uid)
    if (old === undefined || old === uid) continue
    const end = byUid.get(old)?.find(({ event }) => event.id === `${old}:deleted`)?.index
    const start = byUid.get(uid)?.[0]?.index
    if (end !== undefined && start !== undefined && start < end)
      wrong.push(`${key}: the new object arrived before the old one's deletion`)
  }
  return wrong
}

const isCollapsed = ({ collapsed }: ReceivedEvent) => collapsed === true || collapsed === 'true'
const pad = (resourceVersion: string) => resourceVersion.padStart(20, '0')

const sources: Readonly<Record<string, string>> = {
  pods: 'kubernetes://test/api/v1/pods',
  configmaps: 'kubernetes://test/api/v1/configmaps',
  'example.com': 'kubernetes://test/apis/example.com/v1/widgets',
}

function sourceOf(key: string): string {
  const source = sources[key.split('/')[0] ?? '']
  if (!source) throw new Error(`no source is known for ${key}`)
  return source
}
