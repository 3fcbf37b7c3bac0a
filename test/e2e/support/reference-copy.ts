/** Logs of events, judged by an independent program that knows nothing of the product but docs/events.md. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { type CopiedStream, Copy, decodeStructured } from '../../../src/events/index.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'

/** What the program makes of one stream. */
interface ReferenceStream {
  readonly source: string
  readonly stream: string
  /** uid -> resourceVersion. */
  readonly objects: Readonly<Record<string, string>>
  readonly completed: readonly {
    readonly snapshotId: string
    readonly removed: number
    readonly digests: 'match' | 'differ' | 'unknown'
  }[]
  /** Ends that came without all of their items. */
  readonly incomplete: readonly string[]
  readonly members: string
  readonly state: string
}

export interface CopyResult {
  readonly objects: number
  /** Full snapshots that arrived whole. */
  readonly snapshots: number
  /** Of those, whose digests could be compared. */
  readonly matching: number
}

/**
 * Asserts that a copy made of `received`, in order of arrival, holds exactly `truth` (uid -> resourceVersion), that no full
 * snapshot differs from what its end says, and that the product's own reducer comes to the same in every detail.
 */
export async function assertCopied(
  received: readonly ReceivedEvent[],
  truth: ReadonlyMap<string, string>,
): Promise<CopyResult> {
  const events = [...received] // more may arrive meanwhile
  const streams = await referenceCopy(events)
  assert.deepEqual(sorted(streams.flatMap(({ objects }) => Object.entries(objects))), sorted(truth))
  const completed = streams.flatMap((stream) => stream.completed)
  assert.deepEqual(
    completed.filter(({ digests }) => digests === 'differ'),
    [],
  )
  assert.deepEqual(ofProduct(events), streams.map(comparable))
  const matching = completed.filter(({ digests }) => digests === 'match').length
  return { objects: truth.size, snapshots: completed.length, matching }
}

/** uid -> resourceVersion of everything that is there at the end of a history which began with nothing. */
export function stateOf(history: readonly RecordedChange[]): ReadonlyMap<string, string> {
  const state = new Map<string, string>()
  for (const { type, uid, resourceVersion } of history) {
    if (type === 'deleted') state.delete(uid)
    else state.set(uid, resourceVersion)
  }
  return sorted(state)
}

/** In the order of their uids, so that two are compared as what they hold. */
export function sorted(state: Iterable<readonly [uid: string, resourceVersion: string]>): ReadonlyMap<string, string> {
  return new Map([...state].sort(([a], [b]) => (a < b ? -1 : 1)))
}

async function referenceCopy(events: readonly ReceivedEvent[]): Promise<readonly ReferenceStream[]> {
  const script = join(import.meta.dirname, 'reference-copy.py')
  const program = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(program, 'close')
  const lines = Readable.from(events).map((event) => `${JSON.stringify(event)}\n`)
  const [output] = await Promise.all([text(program.stdout), pipeline(lines, program.stdin)])
  const [code] = await ended
  assert.equal(code, 0, 'the program has read every event')
  return JSON.parse(output) as ReferenceStream[]
}

interface Comparable extends Pick<CopiedStream, 'source' | 'stream' | 'items' | 'members' | 'state'> {
  readonly completed: ReferenceStream['completed']
}

function ofProduct(events: readonly ReceivedEvent[]): readonly Comparable[] {
  const copy = new Copy()
  const completed = new Map<string, ReferenceStream['completed']>()
  for (const event of events) {
    const effect = copy.apply(decodeStructured(JSON.stringify(event)))
    if (!effect.completed) continue
    const key = String(event.stream)
    const removed = effect.completed.removed.length
    completed.set(key, [...(completed.get(key) ?? []), { ...effect.completed, removed }])
  }
  return [...copy.streams()].map(({ source, stream, items, members, state }) => ({
    source,
    stream,
    items,
    members,
    state,
    completed: completed.get(stream) ?? [],
  }))
}

function comparable({ source, stream, objects, completed, members, state }: ReferenceStream): Comparable {
  return { source, stream, items: Object.keys(objects).length, members, state, completed }
}
