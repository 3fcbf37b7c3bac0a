/** Snapshots that somebody asks for by the admin API: of which streams, for which sinks, and what becomes of them. */
import {
  type SnapshotAdmin,
  type SnapshotLine,
  type SnapshotQuery,
  SnapshotRefused,
  type SnapshotState,
} from '../admin/snapshots.ts'
import type { Clock } from '../lib/clock.ts'
import type { SnapshotNews, SnapshotRequest, SnapshotScope } from '../reconcile/change.ts'
import type { BridgeStream } from './stream.ts'

export interface SnapshotRequestsParts {
  readonly streams: () => readonly BridgeStream[]
  /** Names of all sinks. */
  readonly sinks: readonly string[]
  readonly clock: Clock
}

/** Who does not wait for the end is told so long of those that begin. */
const BEGINS_WITHIN_MS = 5_000

/** One of the snapshots that are asked for. */
interface Asked {
  readonly stream: BridgeStream
  readonly sink: string
  readonly request: Pick<SnapshotRequest, 'mode' | 'scope'>
}

export function snapshotRequests(parts: SnapshotRequestsParts): SnapshotAdmin {
  return {
    async *request(query, signal) {
      yield* follow(resolve(query, parts), query.until, parts.clock, signal)
    },
  }
}

/** Throws a SnapshotRefused, with what there is instead. */
function resolve(query: SnapshotQuery, { streams, sinks }: SnapshotRequestsParts): readonly Asked[] {
  const { of, sink } = query
  const all = streams()
  const named = all.filter(({ name }) => name === of || name.startsWith(`${of}/`))
  if (named.length === 0) {
    if (all.length === 0) throw new SnapshotRefused(409, 'there are no streams yet: the cluster is not known')
    throw new SnapshotRefused(404, `there is no source or stream ${of}; there are ${listed(all.map(nameOf))}`)
  }
  if (sink !== undefined && !sinks.includes(sink)) {
    throw new SnapshotRefused(404, `there is no sink ${sink}; there are ${listed(sinks)}`)
  }
  const places = named.flatMap((stream) => placesIn(stream, query))
  if (places.length === 0) {
    const theirs = listed(named.flatMap(({ scope }) => scope.namespaces ?? []))
    throw new SnapshotRefused(404, `${of} has none of these namespaces; it has ${theirs}`)
  }
  const asked = places.flatMap(({ stream, request }) =>
    stream.outputs
      .filter(({ sink: name, routed }) => routed.stream.on.has('snapshot') && (sink ?? name) === name)
      .map(({ sink: name }) => ({ stream, sink: name, request })),
  )
  if (asked.length === 0) {
    const whom = sink === undefined ? 'any sink' : `the sink ${sink}`
    throw new SnapshotRefused(404, `no route sends snapshots of ${of} to ${whom}: see \`from\`, \`to\` and \`on\``)
  }
  const early = asked.filter(({ stream }) => !stream.isSynced).map(({ stream }) => stream.name)
  if (early.length > 0) {
    const message = `not synced yet: ${listed([...new Set(early)])}; each begins with a snapshot by itself, see \`deltawire status\``
    throw new SnapshotRefused(409, message)
  }
  return asked
}

/** A stream that lies in the scope as a whole is told as a whole; one outside of it is left out. */
function placesIn(
  stream: BridgeStream,
  { namespaces, labelSelector }: SnapshotQuery,
): readonly Pick<Asked, 'stream' | 'request'>[] {
  const theirs = stream.scope.namespaces
  const common = namespaces && theirs?.filter((name) => namespaces.includes(name))
  if (common?.length === 0) return []
  const isWhole = common && common.length === theirs?.length
  const scope: SnapshotScope = {
    ...(namespaces && !isWhole && { namespaces: [...new Set(namespaces)].sort() }),
    ...(labelSelector?.trim() && { labelSelector: labelSelector.trim() }),
  }
  if (Object.keys(scope).length === 0) return [{ stream, request: { mode: 'full' } }]
  return [{ stream, request: { mode: 'part', scope } }]
}

async function* follow(
  asked: readonly Asked[],
  until: SnapshotQuery['until'],
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<SnapshotLine> {
  const done = new AbortController()
  const listening = AbortSignal.any([signal, done.signal])
  const lines: SnapshotLine[] = []
  let wake = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => wake.resolve(), { once: true })
  const waiting = new Set(asked)
  let isLate = false
  using _ =
    until === 'began'
      ? clock.after(BEGINS_WITHIN_MS, () => {
          isLate = true
          wake.resolve()
        })
      : undefined
  try {
    for (const one of asked) {
      const { stream, sink, request } = one
      const place = { stream: stream.name, sink }
      lines.push({ ...place, type: 'requested' })
      let { mode } = request
      const tell = (news: SnapshotNews) => {
        if (news.type === 'began') mode = news.snapshot.mode // a full one may stand for a part
        lines.push({ ...place, ...lineOf(news, mode) })
        if (news.type === 'ended' || until === 'began') waiting.delete(one)
        wake.resolve()
      }
      stream.requestSnapshot(sink, { reason: 'requested', ...request, listener: { tell, signal: listening } })
    }
    for (;;) {
      while (lines.length > 0) yield* lines.splice(0) // more may come while they are taken
      if (waiting.size === 0 || isLate || signal.aborted) return
      await wake.promise
      wake = Promise.withResolvers<void>()
    }
  } finally {
    done.abort()
  }
}

function lineOf(news: SnapshotNews, mode: SnapshotRequest['mode']): SnapshotState {
  if (news.type === 'began') {
    const { id: snapshotId, mode } = news.snapshot
    return { type: 'began', snapshotId, mode }
  }
  const { outcome } = news
  if (outcome.type === 'aborted') return { type: 'aborted', cause: outcome.cause }
  const { items, members, state } = outcome
  return { type: 'completed', items, ...(mode === 'full' && { members, state }) }
}

const nameOf = ({ name }: BridgeStream) => name

/** The first ones, so that a message stays one. */
function listed(names: readonly string[]): string {
  const more = names.length > 20 ? ` and ${names.length - 20} more` : ''
  return `${names.slice(0, 20).join(', ')}${more}`
}
