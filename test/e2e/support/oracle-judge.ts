/** Judges what one sink was sent in many runs of the bridge, by that and by what happened on the server alone. */
import { Copy, decodeStructured } from '../../../src/events/index.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import { missingVersions } from './oracle-missing.ts'
import type { Policy } from './oracle-plan.ts'
import type { Arrival } from './oracle-receiver.ts'
import { END, positionOf, type Truth } from './oracle-truth.ts'

export interface Verdict {
  /** Empty if every invariant holds; each begins with the name of the one that it breaks. */
  readonly problems: readonly string[]
  /** Writes of the server, and how many of them arrived as themselves: as a change, or as an item of a snapshot. */
  readonly versions: number
  readonly delivered: number
  /** Events that stand for earlier versions, too. */
  readonly collapsed: number
  /** Events that came again with the same id. */
  readonly duplicates: number
  readonly gaps: number
  /** Versions and deletions that did not arrive, and nothing says so. */
  readonly lost: number
  readonly outOfOrder: number
  /** Full snapshots that arrived whole, and of how many the digests could be compared. */
  readonly snapshots: number
  readonly matching: number
}

const TYPES = {
  deleted: 'io.deltawire.object.deleted.v1',
  gap: 'io.deltawire.stream.gap.v1',
  begin: 'io.deltawire.snapshot.begin.v1',
  end: 'io.deltawire.snapshot.end.v1',
} as const

/** `truth`: as the view of the sink shows it. `log`: everything that it took, in order of arrival, of all runs. */
export function judge(truth: Truth, log: readonly Arrival[], whenFull: Policy): Verdict {
  const known = firstOnes(log)
  const versions = missingVersions(truth, log, whenFull)
  const lost = [...missingDeletions(truth, known), ...versions.lost]
  const behind = whenFull === 'coalesce' ? [] : behindSnapshots(known)
  const outOfOrder = [...goingBack(truth, known), ...namesTakenAgain(truth, known), ...behind]
  const copy = judgeCopy(truth, log)
  return {
    problems: [
      ...known.flatMap(({ event }) => untrue(truth, event)),
      ...changedWhenRepeated(log),
      ...(whenFull === 'coalesce' ? [] : merged(known)),
      ...outOfOrder,
      ...lost,
      ...copy.problems,
    ],
    versions: truth.effects.length,
    delivered: versions.delivered,
    collapsed: known.filter(({ event }) => isCollapsed(event)).length,
    duplicates: log.length - known.length,
    gaps: known.filter(({ event }) => event.type === TYPES.gap).length,
    lost: lost.length,
    outOfOrder: outOfOrder.length,
    snapshots: copy.snapshots,
    matching: copy.matching,
  }
}

/** I7: an item in a snapshot of what the sink does not have, in a run that began when it had everything. */
export function itemsOfDeltas(log: readonly Arrival[], run: number): readonly string[] {
  const own = log.filter((arrival) => arrival.run === run).map(({ event }) => event)
  const deltas = new Set(own.flatMap((event) => (modeOf(event) === 'delta' ? [event.snapshotid] : [])))
  return own.filter(({ uid, snapshotid }) => uid !== undefined && deltas.has(snapshotid)).map(({ id }) => id)
}

function modeOf({ type, data }: ReceivedEvent): string | undefined {
  return type === TYPES.begin ? (data as { readonly snapshot: { readonly mode: string } }).snapshot.mode : undefined
}

/**
 * I4: what a run that began when all had settled says of the time before it, snapshots aside. The newest change of each
 * stream may come again: what else is at its position is known only once the server has told of a later one.
 */
export function sentAgain(before: Truth, log: readonly Arrival[], run: number): readonly string[] {
  const newest = newestOf(before)
  const again = log.filter(({ event: { snapshotid, sequence, stream }, ...arrival }) => {
    const isItem = snapshotid !== undefined
    return arrival.run === run && !isItem && String(sequence) < (newest.get(String(stream)) ?? '')
  })
  return again.map(({ event }) => event.id)
}

/** Of each stream, the position of the last change that the view shows. */
export function newestOf({ effects, objects }: Truth): ReadonlyMap<string, string> {
  return new Map(effects.map(({ uid, position }) => [objects.get(uid)?.stream ?? '', position]))
}

/** As a consumer sees it that drops known ids. */
function firstOnes(log: readonly Arrival[]): readonly Arrival[] {
  const ids = new Set<string>()
  return log.filter(({ event }) => {
    const id = idOf(event)
    return !ids.has(id) && ids.add(id)
  })
}

/** What an event says that did not happen. */
function untrue(truth: Truth, event: ReceivedEvent): readonly string[] {
  const { id, uid, type } = event
  if (typeof uid !== 'string') return []
  const object = truth.objects.get(uid)
  if (!object) return [`I1 ${id}: there never was such an object`]
  const problems: string[] = []
  const expect = (attribute: string, found: unknown, expected: unknown) => {
    if (found !== expected) problems.push(`I4 ${id}: ${attribute} is ${String(found)}, not ${String(expected)}`)
  }
  expect('source', event.source, object.source)
  expect('stream', event.stream, object.stream)
  expect('subject', event.subject, object.subject)
  const sequence = String(event.sequence)
  const shown = labelOf((event.data as { readonly object?: unknown }).object)
  if (type === TYPES.deleted) {
    if (id === `${uid}:deleted`) {
      if (!truth.isGoneAt(uid, sequence)) problems.push(`I3 ${id}: it is not gone at ${sequence}`)
    } else {
      expect('id', id, `${uid}:${sequence}:left`)
      if (truth.isMemberAt(uid, sequence)) problems.push(`I3 ${id}: it has not left at ${sequence}`)
    }
    const isOfView = object.effects.some((one) => one.type === 'version' && labelOf(one.object) === shown)
    if (shown !== undefined && !isOfView) problems.push(`I1 ${id}: shows a state that is none of the view`)
    return problems
  }
  const version = String(event.resourceversion)
  const effect = object.effects.find(({ resourceVersion }) => resourceVersion === version)
  if (effect?.type !== 'version') return [...problems, `I1 ${id}: there is no version ${version} in the view`]
  expect(
    'id',
    id,
    event.snapshotid === undefined ? `${uid}:${version}` : `${uid}:${version}:${String(event.snapshotid)}`,
  )
  expect('data', shown, labelOf(effect.object))
  if (event.observed === 'watch') expect('sequence', sequence, positionOf(version))
  else if (sequence < positionOf(version)) problems.push(`I4 ${id}: its sequence ${sequence} is before its version`)
  return problems
}

/** I4: what comes again is the same. */
function changedWhenRepeated(log: readonly Arrival[]): readonly string[] {
  const first = new Map<string, string>()
  const problems: string[] = []
  for (const { event } of log) {
    if (event.type === TYPES.deleted || typeof event.uid !== 'string') continue
    const { data, uid, subject, resourceversion } = event
    const content = JSON.stringify([uid, subject, resourceversion, (data as { readonly object?: unknown }).object])
    const before = first.get(idOf(event))
    if (before === undefined) first.set(idOf(event), content)
    else if (before !== content) problems.push(`I4 ${event.id}: came again with another object`)
  }
  return problems
}

/** P1: what only a queue that merges says. */
function merged(known: readonly Arrival[]): readonly string[] {
  const wrong = known.filter(({ event }) => isCollapsed(event) && event.observed === 'watch')
  return wrong.map(({ event, run }) => `P1 ${event.id}: stands for others, though nothing may be merged, in run ${run}`)
}

/**
 * I2: per uid, within a run sequences never go back and nothing follows the deletion. A later run that goes on from before
 * it may tell once more what came before the deletion.
 */
function goingBack(truth: Truth, known: readonly Arrival[]): readonly string[] {
  const problems: string[] = []
  const last = new Map<string, { readonly sequence: string; readonly run: number; readonly goneIn?: number }>()
  for (const { event, run } of known) {
    if (typeof event.uid !== 'string') continue
    const sequence = String(event.sequence)
    const before = last.get(event.uid)
    if (before?.run === run && sequence < before.sequence)
      problems.push(`I2 ${event.id}: ${sequence} arrived after ${before.sequence}, in run ${run}`)
    if (before?.goneIn === run || (before?.goneIn !== undefined && truth.isGoneAt(event.uid, sequence)))
      problems.push(`I2 ${event.id}: arrived after the object's deletion in run ${before.goneIn}, in run ${run}`)
    const goneIn = event.id === `${event.uid}:deleted` ? run : before?.goneIn
    last.set(event.uid, { sequence, run, ...(goneIn !== undefined && { goneIn }) })
  }
  return problems
}

/** I2: when a version of an object arrives, nothing is held of those that had its name before, or told of them later. */
function namesTakenAgain(truth: Truth, known: readonly Arrival[]): readonly string[] {
  const problems: string[] = []
  const held = new Set<string>()
  /** uid -> the last run in which a later one of its name was told. */
  const followed = new Map<string, number>()
  /** uid -> the last position that it was told at: what a later run repeats of the time before is stale. */
  const last = new Map<string, string>()
  for (const { event, run } of known) {
    const uid = String(event.uid)
    const position = event.id === `${uid}:deleted` ? END : String(event.sequence)
    if (position < (last.get(uid) ?? '')) continue
    last.set(uid, position)
    if (event.type === TYPES.deleted) held.delete(uid)
    const former = event.type === TYPES.deleted ? undefined : formerOf(truth, uid)
    if (!former) continue
    held.add(uid)
    if (followed.get(uid) === run)
      problems.push(`I2 ${event.id}: arrived after the next object of its name, in run ${run}`)
    for (const one of former) {
      if (held.has(one)) problems.push(`I2 ${event.id}: arrived before the deletion of ${one}, in run ${run}`)
      followed.set(one, run)
    }
  }
  return problems
}

/**
 * I4: what a run tells that no one before it told is later than each full snapshot that they had ended: who has this was
 * told of that time. Where nothing is merged.
 */
function behindSnapshots(known: readonly Arrival[]): readonly string[] {
  const begun = new Map<unknown, string>()
  /** stream -> the begin of the newest that has ended. */
  const ended = new Map<unknown, { readonly sequence: string; readonly run: number }>()
  const problems: string[] = []
  for (const { event, run } of known) {
    const { id, type, uid, stream, snapshotid } = event
    const sequence = String(event.sequence)
    const begin = begun.get(snapshotid)
    const last = ended.get(stream)
    if (modeOf(event) === 'full') begun.set(snapshotid, sequence)
    else if (type === TYPES.end && begin !== undefined) ended.set(stream, { sequence: begin, run })
    else if (uid !== undefined && snapshotid === undefined && last && last.run < run && sequence <= last.sequence)
      problems.push(
        `I4 ${id}: of before ${last.sequence}, where a snapshot began that ended in run ${last.run}, in run ${run}`,
      )
  }
  return problems
}

/** uids of the objects that had the name before this one; undefined if there is no such object. */
function formerOf({ objects, successions }: Truth, uid: string): readonly string[] | undefined {
  const uids = successions.get(objects.get(uid)?.key ?? '')
  return uids?.slice(0, uids.indexOf(uid))
}

/** I3: what it was told of, and then left or went, was told to have done so. What had left before it went may be told as either. */
function missingDeletions(truth: Truth, known: readonly Arrival[]): readonly string[] {
  const told = new Map<unknown, string>()
  const ended = new Map<unknown, string>()
  for (const { event } of known) {
    const isGone = event.id === `${event.uid}:deleted`
    const at = isGone ? END : positionOf(String(event.type === TYPES.deleted ? event.sequence : event.resourceversion))
    const of = event.type === TYPES.deleted ? ended : told
    if (at > (of.get(event.uid) ?? '')) of.set(event.uid, at)
  }
  return [...truth.objects.values()].flatMap(({ uid, subject, stream, effects }) => {
    const last = told.get(uid)
    if (last === undefined) return []
    const end = effects.find(({ type, position }) => type !== 'version' && position > last)
    if (!end || (ended.get(uid) ?? '') >= (end.type === 'deleted' ? END : end.position)) return []
    return [`I3 ${uid}: ${subject} of ${stream} was ${end.type} at ${end.position} and nobody said so`]
  })
}

/** I1, I6: what a consumer makes of it, at each end and in the end. */
function judgeCopy(truth: Truth, log: readonly Arrival[]) {
  const copy = new Copy()
  const problems: string[] = []
  let snapshots = 0
  let matching = 0
  const held = (stream?: string) =>
    [...copy.objects()]
      .filter((object) => stream === undefined || object.stream === stream)
      .map(({ uid, resourceVersion = '' }): readonly [string, string] => [uid, resourceVersion])
  for (const { event, run } of log) {
    const { completed, checked } = copy.apply(decodeStructured(JSON.stringify(event)))
    if (checked === 'differ') problems.push(`I1 ${event.id}: which objects there are differs, in run ${run}`)
    if (!completed) continue
    snapshots++
    const position = String(event.sequence)
    for (const { uid } of completed.removed) {
      if (!truth.isGoneAt(uid, position)) problems.push(`I1 ${event.id}: ${uid} is not in the snapshot, and is there`)
    }
    if (completed.digests === 'differ') problems.push(`I1 ${event.id}: the digests differ, in run ${run}`)
    if (completed.digests !== 'match') continue
    matching++
    const differences = difference(truth.stateAt(position, String(event.stream)), held(String(event.stream)))
    problems.push(...differences.map((one) => `I1 ${event.id}: ${one}`))
  }
  problems.push(...difference(truth.stateAt(END), held()).map((one) => `I1 in the end: ${one}`))
  return { problems, snapshots, matching }
}

function difference(state: ReadonlyMap<string, string>, held: readonly (readonly [string, string])[]) {
  const copy = new Map(held)
  const wrong = [...state].filter(([uid, version]) => copy.get(uid) !== version)
  const surplus = held.filter(([uid]) => !state.has(uid))
  return [
    ...wrong.map(([uid, version]) => `${uid} is at ${version}, the copy has ${copy.get(uid) ?? 'none'}`),
    ...surplus.map(([uid, version]) => `${uid} is gone, the copy has ${version}`),
  ]
}

const idOf = ({ source, stream, id }: ReceivedEvent) => `${source} ${String(stream)} ${id}`
const isCollapsed = ({ collapsed }: ReceivedEvent) => collapsed === true || collapsed === 'true'

/** Every write gives its object another value. */
function labelOf(object: unknown): unknown {
  return (object as { readonly metadata?: { readonly labels?: { readonly value?: string } } } | undefined)?.metadata
    ?.labels?.value
}
