/** What a sink was not told of the server's history, and whether it was told that it would not be. */
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { Policy } from './oracle-plan.ts'
import type { Arrival } from './oracle-receiver.ts'
import { type Effect, positionOf, type Truth } from './oracle-truth.ts'

const GAP = 'io.deltawire.stream.gap.v1'
const BEGIN = 'io.deltawire.snapshot.begin.v1'
const DELETED = 'io.deltawire.object.deleted.v1'

export interface Missing {
  /** Writes that arrived as themselves: as a change, or as an item of a snapshot. */
  readonly delivered: number
  /** Of each that did not arrive, and of which nothing says so. */
  readonly lost: readonly string[]
}

/** An event about one object. */
interface Told {
  readonly sequence: string
  /** Its place in the log. */
  readonly place: number
  readonly run: number
  readonly isCollapsed: boolean
  /** Nothing but a queue merges what was watched. */
  readonly isMerged: boolean
}

/** Versions after `from`, up to `to`, will not come one by one. */
interface Cover {
  readonly from: string
  readonly to: string
  readonly place: number
}

/** A gap, or a mark of a snapshot. Nothing that was offered before it is merged with anything after it. */
interface Marker {
  readonly sequence: string
  readonly run: number
}

/** All that was said of one stream, but of its objects. */
interface Announced {
  readonly covers: Cover[]
  readonly markers: Marker[]
}

/**
 * P1, P5: a version that never came is announced, before anything later of its object that does not say so itself:
 *
 *   merged    the next event of the object in a run is `collapsed`, by a queue of that process, which took in both
 *   covered   it is within a gap; or after that and before its snapshot began; or before that of a start from nothing;
 *             and something later is told of the object, or it ended within
 *
 * Other snapshots excuse nothing, nor does `collapsed` on what comes after the next event. `log`: as it arrived, repeats
 * and all.
 */
export function missingVersions(truth: Truth, log: readonly Arrival[], whenFull: Policy): Missing {
  const ids = new Set(log.map(({ event }) => idOfContent(event)))
  const told = toldOf(log)
  const announced = announcedIn(log)
  const lost: string[] = []
  let delivered = 0
  for (const { uid, stream, subject, effects } of truth.objects.values()) {
    const isMemberAt = (position: string) => truth.isMemberAt(uid, position)
    const events = told.get(uid) ?? []
    const said = announced.get(stream) ?? { covers: [], markers: [] }
    for (const effect of effects) {
      const { type, resourceVersion, position } = effect
      if (ids.has(idOfEffect(effect))) delivered++
      else if (whenFull === 'coalesce' && isMerged(position, events, said)) continue
      else if (isCovered(position, events, said, isMemberAt)) continue
      else
        lost.push(`P1 ${uid}:${resourceVersion}: ${type} ${subject} of ${stream} did not arrive, and nothing says so`)
    }
  }
  return { delivered, lost }
}

function isMerged(position: string, events: readonly Told[], { markers }: Announced): boolean {
  return nextAfter(position, events).some(({ isMerged, sequence, run }) => {
    const isBetween = (one: Marker) => one.run === run && position <= one.sequence && one.sequence < sequence
    return isMerged && !markers.some(isBetween)
  })
}

/** `isMemberAt`: the object, at a position. */
function isCovered(
  position: string,
  events: readonly Told[],
  { covers }: Announced,
  isMemberAt: (position: string) => boolean,
): boolean {
  const later = events.filter(({ sequence }) => sequence > position)
  const firstSilent = later.find(({ isCollapsed }) => !isCollapsed)?.place ?? Number.POSITIVE_INFINITY
  return covers.some(({ from, to, place }) => {
    if (position <= from || position > to || place > firstSilent) return false
    return later.length > 0 || !isMemberAt(to)
  })
}

/** Of each run the one with the lowest sequence above this one: a later run may go on from between what a queue has merged. */
function nextAfter(position: string, events: readonly Told[]): readonly Told[] {
  const next = new Map<number, Told>()
  for (const event of events) {
    if (event.sequence <= position) continue
    const lowest = next.get(event.run)
    if (!lowest || event.sequence < lowest.sequence) next.set(event.run, event)
  }
  return [...next.values()]
}

/** Of each uid, in order of arrival. */
function toldOf(log: readonly Arrival[]): ReadonlyMap<string, readonly Told[]> {
  const told = new Map<string, Told[]>()
  for (const [place, { event, run }] of log.entries()) {
    const { uid, observed, collapsed } = event
    if (typeof uid !== 'string') continue
    const isCollapsed = collapsed === true || collapsed === 'true'
    const one = { place, run, sequence: String(event.sequence), isCollapsed }
    const events = told.get(uid) ?? []
    events.push({ ...one, isMerged: isCollapsed && observed === 'watch' })
    told.set(uid, events)
  }
  return told
}

/** By stream. */
function announcedIn(log: readonly Arrival[]): ReadonlyMap<string, Announced> {
  const announced = new Map<string, Announced>()
  /** stream -> the gap whose snapshot has not begun. */
  const gaps = new Map<string, { readonly from: string; readonly run: number }>()
  for (const [place, { event, run }] of log.entries()) {
    const { type, uid, data } = event
    if (typeof uid === 'string') continue
    const stream = String(event.stream)
    const sequence = String(event.sequence)
    const { covers, markers } = announced.get(stream) ?? { covers: [], markers: [] }
    announced.set(stream, { covers, markers })
    markers.push({ sequence, run })
    if (type === GAP) {
      const { gap } = data as { readonly gap: { readonly from: string; readonly to: string } }
      const from = positionOf(gap.from)
      covers.push({ from, to: positionOf(gap.to), place })
      gaps.set(stream, { from, run })
    }
    if (type !== BEGIN) continue
    const { snapshot } = data as { readonly snapshot: { readonly reason: string } }
    const gap = gaps.get(stream)
    if (snapshot.reason === 'startup') covers.push({ from: '', to: sequence, place })
    // between a gap and its snapshot nothing is told of what changes
    if (snapshot.reason === 'gap' && gap?.run === run) {
      covers.push({ from: gap.from, to: sequence, place })
      gaps.delete(stream)
    }
  }
  return announced
}

function idOfContent({ id, type, uid, resourceversion }: ReceivedEvent): string {
  return type === DELETED ? id : `${String(uid)}:${String(resourceversion)}`
}

function idOfEffect({ type, uid, resourceVersion }: Effect): string {
  if (type === 'deleted') return `${uid}:deleted`
  return type === 'left' ? `${uid}:${positionOf(resourceVersion)}:left` : `${uid}:${resourceVersion}`
}
