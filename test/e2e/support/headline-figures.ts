/** What the headline cases have in common when they judge: counts, and exactly what was to be told. */
import assert from 'node:assert/strict'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import type { HeadlineScene, Mark } from './headline-scene.ts'
import { type Losses, lossesOf } from './losses.ts'
import { assertCopied, type CopyResult, stateOf } from './reference-copy.ts'

/** What happened at the server meanwhile. */
export interface AtServer {
  readonly versions: number
  readonly created: number
  readonly updated: number
  readonly deleted: number
  /** Names that were taken again. */
  readonly recreated: number
}

/** What the consumer got of it: each event once. */
export interface AtConsumer {
  readonly added: number
  readonly updated: number
  readonly deleted: number
  readonly collapsed: number
  /** Updates that show the state before. */
  readonly withPrevious: number
  /** Causes of gaps, each with how many streams had it. */
  readonly gaps: Readonly<Record<string, number>>
  /** Full snapshots that came to their end. */
  readonly snapshots: number
}

export interface Seconds {
  /** That the bridge, or the server, was away. */
  readonly away: number
  /** From its return until all of it had arrived. */
  readonly caughtUp: number
}

export interface HeadlineFigures extends Losses {
  readonly server: AtServer
  readonly consumer: AtConsumer
  /** How streams have started again; empty where the bridge ran on. */
  readonly rungs: Readonly<Record<string, number>>
  readonly copy: CopyResult
  readonly seconds: Seconds
}

/** Of what happened since the mark; the bridge has ended. Rejects if a copy made of the whole log is not what etcd has. */
export async function figuresOf(scene: HeadlineScene, mark: Mark, seconds: Seconds): Promise<HeadlineFigures> {
  const history = await scene.history()
  return {
    server: atServer(history.slice(mark.history)),
    consumer: atConsumer(scene.newsSince(mark)),
    ...lossesOf(await scene.arrived()),
    rungs: countsOf(await scene.rungs()),
    copy: await assertCopied(scene.receiver.events, stateOf(history)),
    seconds,
  }
}

export function atServer(history: readonly RecordedChange[]): AtServer {
  const taken = new Set<string>()
  let recreated = 0
  for (const { type, key } of history) {
    if (type === 'deleted') taken.add(key)
    else if (type === 'created' && taken.has(key)) recreated++
  }
  const count = (wanted: RecordedChange['type']) => history.filter(({ type }) => type === wanted).length
  return {
    versions: history.length,
    created: count('created'),
    updated: count('updated'),
    deleted: count('deleted'),
    recreated,
  }
}

export function atConsumer(events: readonly ReceivedEvent[]): AtConsumer {
  return {
    added: ofType(events, 'object.added').length,
    updated: ofType(events, 'object.updated').length,
    deleted: ofType(events, 'object.deleted').length,
    collapsed: events.filter(({ collapsed }) => collapsed === true).length,
    withPrevious: events.filter((event) => previousOf(event) !== undefined).length,
    gaps: countsOf(ofType(events, 'stream.gap').map(causeOf)),
    snapshots: ofType(events, 'snapshot.end').length,
  }
}

/**
 * Since the mark the consumer was told exactly how what there is differs from what there was: one event for each object
 * that does, nothing for others; and of each stream a gap first.
 */
export async function assertDifferences(scene: HeadlineScene, mark: Mark): Promise<void> {
  const history = await scene.history()
  const before = stateOf(history.slice(0, mark.history))
  const after = stateOf(history)
  const expected = [
    ...[...after].flatMap(([uid, version]) => {
      const known = before.get(uid)
      return known === version ? [] : [`${known ? 'updated' : 'added'} ${uid}:${version}`]
    }),
    ...[...before.keys()].flatMap((uid) => (after.has(uid) ? [] : [`deleted ${uid}:deleted`])),
  ]
  const news = scene.newsSince(mark)
  const told = news.filter(({ uid }) => uid !== undefined)
  const asText = ({ type, id }: ReceivedEvent) => `${type.split('.')[3]} ${id}`
  assert.deepEqual(told.map(asText).sort(), expected.sort())
  const first = new Map(news.toReversed().map((event) => [event.stream, event.type]))
  assert.deepEqual(
    new Set(first.values()),
    new Set(['io.deltawire.stream.gap.v1']),
    'a gap comes before the differences',
  )
  const updated = ofType(news, 'object.updated')
  assert.ok(updated.every(({ collapsed }) => collapsed === true))
}

/** Every update says from which version it came, and shows it. */
export function assertPrevious(
  events: readonly ReceivedEvent[],
  expected: (event: ReceivedEvent) => string | undefined,
): void {
  for (const event of ofType(events, 'object.updated')) {
    assert.equal(previousOf(event)?.metadata?.resourceVersion, expected(event), event.id)
  }
}

/** By the id of an update's event: the version before. */
export function versionsBefore(history: readonly RecordedChange[]): (event: ReceivedEvent) => string | undefined {
  const newest = new Map<string, string>()
  const before = new Map<string, string | undefined>()
  for (const { uid, resourceVersion } of history) {
    before.set(`${uid}:${resourceVersion}`, newest.get(uid))
    newest.set(uid, resourceVersion)
  }
  return ({ id }) => before.get(id)
}

export function ofType(events: readonly ReceivedEvent[], type: string): readonly ReceivedEvent[] {
  return events.filter((event) => event.type === `io.deltawire.${type}.v1`)
}

export function causeOf({ data }: ReceivedEvent): string {
  return String((data as { readonly gap?: { readonly cause?: unknown } }).gap?.cause)
}

export function countsOf(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function previousOf({ data }: ReceivedEvent) {
  return (data as { readonly previous?: { readonly metadata?: { readonly resourceVersion?: string } } }).previous
}
