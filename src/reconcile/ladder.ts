/**
 * How a stream starts, by what is remembered of it:
 *
 *   replay     the server still has the state at the position that was settled by all: everything since is told as if
 *              the bridge had never been away
 *   compare    it has not, but the ledger says what sinks hold: a gap, and per object one change or deletion
 *   announce   neither: each sink is owed a catch-up
 *
 * Source of what the server keeps: the watch cache (75 s and more), and etcd until its next compaction (5 min).
 */
import type { InformerStart } from '../informer/informer.ts'
import {
  apiVersionOf,
  asRemembered,
  compareResourceVersions,
  type KubeObject,
  type ResourceVersion,
  resourceVersion,
  type Uid,
} from '../kube/object.ts'
import type { DebtKind, LedgerEntry } from '../state/record.ts'
import type { Kept } from '../state/store.ts'
import type { StreamState } from '../state/stream-state.ts'
import type { DebtCause } from './debt.ts'
import { identityOfKey } from './held.ts'

export interface LadderOptions {
  /** As it was left. */
  readonly state: StreamState
  readonly keeps: Kept
  /** Hash of what the stream is about now. */
  readonly definition: string
  readonly sinks: readonly SinkOnLadder[]
  /** What the objects of the stream are. */
  readonly typeMeta: Pick<KubeObject, 'apiVersion' | 'kind'>
  readonly server: PastOfServer
  /** The newest version that this process has had of the server. */
  readonly seen?: ResourceVersion | undefined
}

/** What an API server is asked about the past. Both reject if it does not answer. */
export interface PastOfServer {
  /** The newest version of the resource; undefined: it is not served any more. */
  newest(signal: AbortSignal): Promise<ResourceVersion | undefined>
  /** All objects at exactly this version; undefined if the server does not have it any more. */
  listedAt(version: ResourceVersion, signal: AbortSignal): Promise<readonly KubeObject[] | undefined>
}

export interface SinkOnLadder {
  readonly name: string
  /** Hash of what it sees of the stream now. */
  readonly view: string
  /** It holds the stream's checkpoint. */
  readonly required: boolean
}

export type Rung = 'replay' | 'compare' | 'announce'

/** How each part of the stream begins. */
export interface StartPlan {
  readonly rung: Rung
  /** Undefined: with a list of its own. */
  readonly informer: InformerStart<KubeObject> | undefined
  /** The newest version that the server is known to have had. A list of a lower one is of another history. */
  readonly seen: ResourceVersion | undefined
  /** No snapshot begins before this position: the server has been there. */
  readonly notBefore: ResourceVersion | undefined
  readonly sinks: ReadonlyMap<string, SinkStart>
  /** The server's versions are lower than known ones: all sinks are to forget what they know of positions. */
  readonly isRestored: boolean
}

export interface SinkStart {
  /** Up to here it has settled everything. */
  readonly watermark: ResourceVersion | undefined
  /** What is at or below its watermark is not told again. */
  readonly skips: 'settled' | 'nothing'
  readonly debt: { readonly kind: DebtKind; readonly cause: DebtCause } | undefined
}

/** Of a sink whose server has another history: what was settled in the one before says nothing. */
export const restoredStart: Omit<SinkStart, 'watermark'> = {
  skips: 'nothing',
  debt: { kind: 'restored', cause: 'restored' },
}

/** Rejects if the server does not answer: then nothing has been decided. */
export async function planStart(options: LadderOptions, signal: AbortSignal): Promise<StartPlan> {
  const { state, keeps, sinks, server } = options
  if (isOwedRestore(state)) return announceRestored(options)
  if (keeps === 'nothing' || state.definition === undefined) return announce(options, 'restart', options.seen)
  const newest = await server.newest(signal)
  if (isRestored(state, newest)) return announceRestored(options)
  if (state.definition !== options.definition) return announce(options, 'redefined', newest)
  // each object is to be had in the version that is served now
  const isMoved = state.resource && apiVersionOf(state.resource) !== options.typeMeta.apiVersion
  const checkpoint = isMoved ? undefined : checkpointOf(state, sinks)
  if (checkpoint === undefined) return announce(options, 'restart', newest)
  // nobody has anything of a replay; from a list of its own the catch-ups begin at once
  if (newest && sinks.every((sink) => debtOf(sink, state, checkpoint)))
    return announceDebts(options, checkpoint, newest)
  // of what is not served nobody knows but the ledger; the list that is compared with it shows that all is gone
  const objects = newest && (await server.listedAt(checkpoint, signal))
  if (newest && objects) {
    return {
      rung: 'replay',
      informer: { type: 'Resume', resourceVersion: checkpoint, seen: newest, objects },
      notBefore: newest,
      seen: newest,
      sinks: startsOf(options, (sink) => ({ debt: debtOf(sink, state, checkpoint), skips: 'settled' })),
      isRestored: false,
    }
  }
  if (keeps !== 'ledger') return announce(options, 'restart', newest)
  const remembered = newestOfEachKey(state.entries)
  // no list will say where a resource is that is not served: at the newest version that was told
  const from = newest ? checkpoint : newestTold(state, checkpoint)
  return {
    rung: 'compare',
    informer: {
      type: 'Compare',
      resourceVersion: from,
      seen: newest ?? from,
      objects: remembered.map(([uid, { key, told = UNKNOWN }]) =>
        asRemembered(options.typeMeta, { ...identityOfKey({ uid, key }), resourceVersion: told }),
      ),
    },
    notBefore: newest,
    seen: newest,
    sinks: startsOf(options, (sink) => {
      // what was told is known of the required ones only
      const behind = sink.required ? undefined : ({ kind: 'missed', cause: 'restart' } as const)
      return { debt: debtOf(sink, state, checkpoint) ?? behind, skips: 'nothing' }
    }),
    isRestored: false,
  }
}

/** It was found before that the server was restored, and is not made up for yet. */
function isOwedRestore({ debts }: StreamState): boolean {
  return debts.values().some((kind) => kind === 'restored')
}

/**
 * Whether the server is behind what it once said. The newest version of a quiet stream is known of its object alone: a
 * watermark passes it with the next one.
 */
function isRestored({ watermarks, entries }: StreamState, newest: ResourceVersion | undefined): boolean {
  const isAhead = (version: ResourceVersion) => newest !== undefined && compareResourceVersions(version, newest) > 0
  return watermarks.values().some(isAhead) || entries.values().some(({ told }) => told !== undefined && isAhead(told))
}

function newestTold({ entries }: StreamState, checkpoint: ResourceVersion): ResourceVersion {
  let newest = checkpoint
  for (const { told } of entries.values()) if (told && compareResourceVersions(told, newest) > 0) newest = told
  return newest
}

/** No object is at this version: whatever is listed differs from it. */
const UNKNOWN = resourceVersion('1')

/** What all required sinks have settled; of none, all count. One that has settled nothing yet is owed everything. */
function checkpointOf({ watermarks }: StreamState, sinks: readonly SinkOnLadder[]): ResourceVersion | undefined {
  const known = sinks.filter(({ name }) => watermarks.has(name))
  const required = known.filter((sink) => sink.required)
  let lowest: ResourceVersion | undefined
  for (const { name } of required.length > 0 ? required : known) {
    const position = watermarks.get(name)
    if (position && (!lowest || compareResourceVersions(position, lowest) < 0)) lowest = position
  }
  return lowest
}

function debtOf(
  { name, view }: SinkOnLadder,
  { debts, watermarks, sinks }: StreamState,
  checkpoint: ResourceVersion,
): SinkStart['debt'] {
  const kind = debts.get(name)
  if (kind) return { kind, cause: 'restart' }
  const watermark = watermarks.get(name)
  if (watermark === undefined) return { kind: 'new', cause: 'restart' }
  const known = sinks.find((sink) => sink.name === name)
  if (known?.view !== view) return { kind: 'missed', cause: 'redefined' }
  return compareResourceVersions(watermark, checkpoint) < 0 ? { kind: 'missed', cause: 'restart' } : undefined
}

/** Each sink is owed what it was owed already, or because of this. */
function announce(options: LadderOptions, cause: 'restart' | 'redefined', seen?: ResourceVersion): StartPlan {
  const { debts, watermarks } = options.state
  const starts = startsOf(options, ({ name }) => {
    const kind = debts.get(name) ?? (watermarks.has(name) ? 'missed' : 'new')
    return { debt: { kind, cause }, skips: 'nothing' }
  })
  return { ...announced, seen, sinks: starts, isRestored: false }
}

function announceDebts(options: LadderOptions, checkpoint: ResourceVersion, seen: ResourceVersion): StartPlan {
  const starts = startsOf(options, (sink) => ({ debt: debtOf(sink, options.state, checkpoint), skips: 'nothing' }))
  return { ...announced, seen, sinks: starts, isRestored: false }
}

function announceRestored(options: LadderOptions): StartPlan {
  const starts = startsOf(options, () => restoredStart)
  return { ...announced, seen: undefined, sinks: starts, isRestored: true }
}

const announced = { rung: 'announce', informer: undefined, notBefore: undefined } as const

function startsOf(
  { state, sinks }: LadderOptions,
  startOf: (sink: SinkOnLadder) => Omit<SinkStart, 'watermark'>,
): StartPlan['sinks'] {
  return new Map(sinks.map((sink) => [sink.name, { watermark: state.watermarks.get(sink.name), ...startOf(sink) }]))
}

/** Of several objects that had one name, the last that was noted: the others are gone. */
function newestOfEachKey(entries: ReadonlyMap<Uid, LedgerEntry>): readonly (readonly [Uid, LedgerEntry])[] {
  const newest = new Map<string, readonly [Uid, LedgerEntry]>()
  for (const [uid, entry] of entries) newest.set(entry.key, [uid, entry])
  return [...newest.values()]
}
