/** Judges what is in a topic by what docs/events.md promises a consumer. Decodes by the Kafka binding, with no code of ours. */
import type { ConsumedRecord } from '../../testbed/kafka-console.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import { type Comparison, compare } from './oracle.ts'

export interface TopicJudgement extends Comparison {
  readonly records: number
  /** Markers of snapshots, and gaps: each counted once, though it is in every partition. */
  readonly markers: number
}

interface Placed {
  readonly record: ConsumedRecord
  readonly event: ReceivedEvent
}

/** `records`: all of the topic, in order by partition. `history`: every write after the bridge had synced. */
export function judgeTopic(
  history: readonly RecordedChange[],
  records: readonly ConsumedRecord[],
  partitions: number,
): TopicJudgement {
  const placed = records.map((record) => ({ record, event: decode(record) }))
  const [markers = [], ofObjects = []] = [isMarker, (one: Placed) => !isMarker(one)].map((is) => placed.filter(is))
  const compared = compare(
    history,
    ofObjects.map(({ event }) => event),
  )
  return {
    ...compared,
    problems: [...compared.problems, ...misplaced(placed), ...torn(placed), ...unmarked(markers, partitions)],
    gaps: new Set(markers.filter(({ event }) => event.type.includes('.gap.')).map(({ event }) => event.id)).size,
    records: records.length,
    markers: new Set(markers.map(({ event }) => event.id)).size,
  }
}

function isMarker({ event }: Placed): boolean {
  return event.uid === undefined
}

function decode({ headers, value }: ConsumedRecord): ReceivedEvent {
  const type = headers['content-type']
  const data: unknown = value === null ? undefined : JSON.parse(value)
  if (type === 'application/cloudevents+json; charset=UTF-8') return data as ReceivedEvent
  if (type !== 'application/json') throw new Error(`a record has content-type ${type}`)
  const attributes = Object.entries(headers).map(([name, text]) => [name.replace(/^ce_/, ''), text])
  return { ...Object.fromEntries(attributes), data }
}

/** The key is the event's `partitionkey`, and all records of a key are in one partition. */
function misplaced(placed: readonly Placed[]): readonly string[] {
  const wrong: string[] = []
  const partitionOf = new Map<string | null, number>()
  for (const one of placed) {
    const { record, event } = one
    if (record.key !== event.partitionkey) wrong.push(`${event.id}: key ${record.key}, not ${event.partitionkey}`)
    if (isMarker(one)) continue
    const known = partitionOf.get(record.key) ?? record.partition
    partitionOf.set(record.key, known)
    if (known !== record.partition) wrong.push(`${record.key} is in partitions ${known} and ${record.partition}`)
  }
  return wrong
}

/** P4: what came again is the same, to the byte. */
function torn(placed: readonly Placed[]): readonly string[] {
  const first = new Map<string, string>()
  return placed.flatMap(({ record, event }) => {
    const { key, headers, value } = record
    const id = `${event.source} ${event.id}`
    const content = JSON.stringify([key, Object.entries(headers).sort(), value])
    const known = first.get(id) ?? content
    first.set(id, known)
    return known === content ? [] : [`${id} came again as another event`]
  })
}

/** P6: each partition has all markers, and the end of a snapshot after its begin. */
function unmarked(markers: readonly Placed[], partitions: number): readonly string[] {
  const all = new Set(markers.map(({ event }) => event.id))
  const wrong = all.size === 0 ? ['no marker arrived'] : []
  for (let partition = 0; partition < partitions; partition++) {
    const ids = markers.filter(({ record }) => record.partition === partition).map(({ event }) => event)
    const missing = all.difference(new Set(ids.map(({ id }) => id)))
    if (missing.size > 0) wrong.push(`partition ${partition} lacks ${[...missing].join()}`)
    const begun = new Set<unknown>()
    for (const { id, type, snapshotid } of ids) {
      if (type.includes('.begin.')) begun.add(snapshotid)
      else if (snapshotid !== undefined && !begun.has(snapshotid))
        wrong.push(`partition ${partition}: ${id} came first`)
    }
  }
  return wrong
}
