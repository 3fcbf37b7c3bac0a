/**
 * What the events of one partition mean to an audit: a line of text for each, a timeline for each object. Pure: no I/O.
 * `consumer.ts` feeds it from Kafka.
 */
import {
  type CloudEventAttributes,
  Copy,
  type Decoded,
  eventTypes,
  type GapData,
  type ObjectData,
  type SnapshotBeginData,
  type SnapshotEndData,
} from 'deltawire/events'

/** One thing that happened to an object. */
export interface Step {
  readonly verb: 'added' | 'updated' | 'deleted' | 'present' | 'confirmed' | 'missed' | 'gone'
  readonly time: string
  /** The field manager: the name that the client gave itself, which nobody checked. */
  readonly by: string | undefined
  readonly changed: readonly string[]
  readonly resourceVersion: string | undefined
}

/** All that is known of one object, oldest step first; `confirmed` is no step of it. */
export interface Timeline {
  readonly uid: string
  readonly resource: string
  readonly subject: string
  readonly steps: readonly Step[]
  /** The last step took it away. */
  readonly ended: boolean
}

/** Older steps of an object with more are forgotten, but for the first. */
const MOST_STEPS = 100

/** A repetition comes before anything that its stream sent later. */
const MOST_RECENT = 1000

/**
 * Says of every event what is new in it: one that came before, or that is older than what is known, gives no line. At the
 * end of a full snapshot says what is gone though its delete was never seen.
 *
 * For the events of ONE partition in the order of their offsets: all events of an object are in one partition, and the
 * markers of a snapshot are in every one.
 */
export class Audit {
  readonly #copy = new Copy({ arrival: 'partition' })
  readonly #streams = new Map<string, Map<string, Timeline>>()
  readonly #recent = new Set<string>()

  /** Throws a TypeError for an event that lacks what its type promises. */
  apply(event: Decoded): readonly string[] {
    const { attributes } = event
    switch (attributes.type) {
      case eventTypes.added:
      case eventTypes.updated:
      case eventTypes.deleted:
      case eventTypes.snapshotItem:
        return this.#object(attributes, event.data as ObjectData | undefined)
    }
    if (this.#isRepeated(attributes)) return []
    switch (attributes.type) {
      case eventTypes.snapshotBegin:
        return this.#begin(attributes, event.data as SnapshotBeginData)
      case eventTypes.snapshotEnd:
        return this.#end(attributes, event.data as SnapshotEndData)
      case eventTypes.snapshotAborted:
        this.#copy.apply(event)
        return [line(attributes.time, 'aborted', attributes, 'this snapshot proves nothing')]
      case eventTypes.gap: {
        this.#copy.apply(event)
        const { cause, from, to } = (event.data as GapData).gap
        return [line(attributes.time, 'gap', attributes, `${cause}: versions from ${from} to ${to} were not seen`)]
      }
      default:
        return [] // a type of later versions
    }
  }

  /** The timelines of all objects that are there, and of those that ended since the last full snapshot. */
  *timelines(): Generator<Timeline> {
    for (const timelines of this.#streams.values()) yield* timelines.values()
  }

  #object(attributes: CloudEventAttributes, data: ObjectData | undefined): readonly string[] {
    const timelines = this.#timelinesOf(attributes)
    const uid = text(attributes.uid)
    const known = timelines.get(uid)
    // what an object looks like is in the topic: the copy only has to know which ones there are
    const effect = this.#copy.apply({ attributes, data: { object: null } })
    // the copy has nothing to remove when an object that it never held is deleted, yet that is news
    const isNews = effect.type !== 'ignored' || (attributes.type === eventTypes.deleted && !known)
    if (!isNews) return []

    const step: Step = {
      verb: verbOf(attributes, known),
      time: attributes.time,
      // an object does not tell who deletes it
      by: attributes.type === eventTypes.deleted ? undefined : text(attributes.fieldmanager) || undefined,
      changed: data?.changed ?? [],
      resourceVersion: text(attributes.resourceversion) || undefined,
    }
    const timeline = extended(known, step, attributes)
    timelines.set(uid, timeline)
    const details = [step.by && `by ${step.by}`, step.changed.join(' '), ...remarksOf(attributes, data)]
    if (timeline.ended) details.push(historyOf(timeline))
    return [line(step.time, step.verb, attributes, ...details)]
  }

  #begin(attributes: CloudEventAttributes, data: SnapshotBeginData): readonly string[] {
    this.#copy.apply({ attributes, data })
    return [line(attributes.time, 'begin', attributes, aboutSnapshot(data))]
  }

  #end(attributes: CloudEventAttributes, data: SnapshotEndData): readonly string[] {
    const { completed } = this.#copy.apply({ attributes, data })
    const lines: string[] = []
    const timelines = this.#timelinesOf(attributes)
    if (completed) {
      // every repetition of what came before `begin` has arrived before `end`: ended timelines need not refuse it any more
      for (const [uid, { ended }] of timelines) if (ended) timelines.delete(uid)
      for (const { uid } of completed.removed) lines.push(...this.#gone(attributes, data, uid))
    }
    const { items, deadLettered } = data.snapshot
    const counts = [`${items} objects in all partitions`, `${timelines.size} in this one`, `${lines.length} gone`]
    if (deadLettered > 0) counts.push(`${deadLettered} events in the dead letters`)
    lines.push(line(attributes.time, 'end', attributes, `${aboutSnapshot(data)}: ${counts.join(', ')}`))
    return lines
  }

  #gone(attributes: CloudEventAttributes, { snapshot }: SnapshotEndData, uid: string): readonly string[] {
    const timelines = this.#timelinesOf(attributes)
    const timeline = timelines.get(uid)
    if (!timeline) return []
    timelines.delete(uid)
    // an event in the dead letters may be its item
    const doubt = snapshot.deadLettered > 0 && 'perhaps: see the dead letters'
    const why = 'not in this snapshot, its delete was not seen'
    return [
      line(attributes.time, 'gone', { ...attributes, subject: timeline.subject }, why, doubt, historyOf(timeline)),
    ]
  }

  /** Of markers and gaps: those of objects are known by the copy. */
  #isRepeated({ source, id }: CloudEventAttributes): boolean {
    const key = `${source} ${id}`
    if (this.#recent.has(key)) return true
    this.#recent.add(key)
    const [oldest] = this.#recent
    if (this.#recent.size > MOST_RECENT && oldest !== undefined) this.#recent.delete(oldest)
    return false
  }

  #timelinesOf({ cluster, stream }: CloudEventAttributes): Map<string, Timeline> {
    const key = `${text(cluster)} ${text(stream)}`
    const timelines = this.#streams.get(key) ?? new Map<string, Timeline>()
    this.#streams.set(key, timelines)
    return timelines
  }
}

function verbOf({ type, resourceversion }: CloudEventAttributes, known: Timeline | undefined): Step['verb'] {
  if (type === eventTypes.added) return 'added'
  if (type === eventTypes.updated) return 'updated'
  if (type === eventTypes.deleted) return 'deleted'
  if (!known || known.ended) return 'present'
  return known.steps.at(-1)?.resourceVersion === resourceversion ? 'confirmed' : 'missed'
}

function extended(known: Timeline | undefined, step: Step, attributes: CloudEventAttributes): Timeline {
  const before = known?.steps ?? []
  const [first] = before
  const kept = first && before.length >= MOST_STEPS ? [first, ...before.slice(2)] : before
  return {
    uid: text(attributes.uid),
    resource: text(attributes.resource),
    subject: text(attributes.subject),
    steps: step.verb === 'confirmed' ? before : [...kept, step],
    ended: step.verb === 'deleted',
  }
}

function* remarksOf(attributes: CloudEventAttributes, data: ObjectData | undefined): Generator<string> {
  if (attributes.collapsed === true) yield '(earlier versions were not seen)'
  if (attributes.observed === 'relist') yield '(found by comparing with a list)'
  if (data?.finalStateKnown === false) yield '(its last state is not known)'
}

/** `after 2 updates by kubectl, helm, since 2026-01-01T00:00:00Z`. */
function historyOf({ steps }: Timeline): string {
  const updates = steps.filter(({ verb }) => verb === 'updated' || verb === 'missed').length
  const managers = new Set(steps.flatMap(({ by }) => by ?? []))
  const by = managers.size > 0 ? `, written by ${[...managers].join(', ')}` : ''
  const [first] = steps
  const since = first && steps.length > 1 ? `, known since ${first.time}` : ''
  return `[${updates} update${updates === 1 ? '' : 's'}${by}${since}]`
}

function aboutSnapshot({ snapshot: { mode, reason } }: SnapshotBeginData): string {
  return `${mode} snapshot (${reason})`
}

/** One line, whatever the values hold: attributes are free of control characters, pointers may not be. */
function line(
  time: string,
  what: string,
  attributes: CloudEventAttributes,
  ...details: readonly (string | undefined | false)[]
): string {
  const object = `${text(attributes.cluster)} ${text(attributes.resource)} ${attributes.subject ?? '-'}`
  return [time, what.padEnd(9), object, ...details.filter((detail) => detail)]
    .join(' ')
    .replaceAll(/\p{Cc}/gu, '\uFFFD')
}

function text(value: string | boolean | undefined): string {
  return typeof value === 'string' ? value : ''
}
