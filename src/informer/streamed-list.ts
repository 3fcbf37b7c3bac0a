/**
 * A list that comes as a watch (WatchList, KEP-3157): the objects first, one by one, then a bookmark that marks their end
 * and tells their version; the same response goes on as the live watch.
 *
 * Nothing before the marker is a position: objects come in no order of versions, and what breaks off is begun anew.
 */
import { KubeError } from '../kube/errors.ts'
import type { Frame, Frames, ListWatch, WatchQuery } from '../kube/list-watch.ts'
import { compareResourceVersions, type KubeObject, type ResourceVersion } from '../kube/object.ts'
import { abortable, withTimeout } from '../lib/abort.ts'
import { assertNever } from '../lib/assert-never.ts'
import { cure } from './cure.ts'
import { close, readWatch } from './live-watch.ts'
import { type ReflectorOptions, watchTimeoutSeconds } from './reflector-options.ts'
import type { State, Step, StreamAsk } from './state.ts'
import type { Item } from './watch-event.ts'

/** A server that knows of no marker sends the objects and is silent; one that does is never so long. */
const QUIET_MS = 30_000
/** Without a marker for so long, whatever comes meanwhile: changes of a busy resource look like progress. */
const MARKER_MS = 300_000

type Streaming<T extends KubeObject> = State<T> & { type: 'Streaming' }

export async function openStream<T extends KubeObject>(
  { cause, last, ask }: State<T> & { type: 'Empty'; ask: StreamAsk },
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
): Promise<Step<T>> {
  const from = ask.notOlderThan === undefined ? {} : { resourceVersion: ask.notOlderThan }
  const timeoutSeconds = watchTimeoutSeconds(options)
  const frames = await openFrames({ ...from, timeoutSeconds, sendInitialEvents: true }, api, signal)
  const open = { frames, chunks: frames[Symbol.asyncIterator](), openedAt: options.clock.monotonic() }
  return [[{ type: 'Init' }], { type: 'Streaming', cause, last, ask, objects: 0, waitedMs: 0, ...open }]
}

async function openFrames<T extends KubeObject>(
  query: WatchQuery,
  api: ListWatch<T>,
  signal: AbortSignal,
): Promise<Frames<T>> {
  try {
    return await api.watch(query, signal)
  } catch (error) {
    throw error instanceof KubeError ? remembered(error, api) : error
  }
}

/** A chunk, the end of the response, or a marker that is overdue: then lists of this resource are paged from now on. */
export async function readStream<T extends KubeObject>(
  state: Streaming<T>,
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
): Promise<Step<T>> {
  const { clock } = options
  const limitMs = Math.max(0, Math.min(QUIET_MS, MARKER_MS - state.waitedMs))
  const began = clock.monotonic()
  const chunk = await nextChunk(state, limitMs, options, signal)
  const waitedMs = state.waitedMs + clock.monotonic() - began
  switch (chunk) {
    case 'overdue': {
      const after = `after ${state.objects} objects and ${Math.round(waitedMs / 1000)} s`
      const message = `no bookmark has marked the end of a streamed list, ${after}`
      api.streaming?.giveUp()
      return await fail(state, new KubeError('idle', `${message}; ${FROM_NOW_ON}`), options)
    }
    case 'closed':
      return await fail(state, new KubeError('reset', 'the server closed a streamed list before its marker'), options)
    default:
      return await take({ ...state, waitedMs }, chunk, api, options)
  }
}

const FROM_NOW_ON = 'lists of this resource are read page by page from now on'

/** A server without WatchList says so by 422, as a status or in the stream: it is not asked again. */
function remembered(error: KubeError, { streaming }: ListWatch<KubeObject>): KubeError {
  if (error.status !== 422) return error
  streaming?.giveUp()
  return new KubeError(error.code, `${error.message}; ${FROM_NOW_ON}`, { status: error.status, cause: error })
}

async function nextChunk<T extends KubeObject>(
  { chunks }: Streaming<T>,
  limitMs: number,
  { clock }: ReflectorOptions,
  signal: AbortSignal,
): Promise<readonly Frame<T>[] | 'closed' | 'overdue'> {
  try {
    const { done, value } = await withTimeout(limitMs, clock, signal, (either) => abortable(chunks.next(), either))
    return done ? 'closed' : value
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') return 'overdue'
    throw error
  }
}

async function take<T extends KubeObject>(
  state: Streaming<T>,
  chunk: readonly Frame<T>[],
  api: ListWatch<T>,
  options: ReflectorOptions,
): Promise<Step<T>> {
  const items: Item<T>[] = []
  let { objects } = state
  for (const [index, frame] of chunk.entries()) {
    switch (frame.type) {
      case 'ADDED':
      case 'MODIFIED':
        items.push({ type: 'InitApply', object: frame.object })
        if (frame.type === 'ADDED') objects++
        break
      case 'DELETED':
        items.push({ type: 'InitDelete', object: frame.object })
        objects--
        break
      case 'BOOKMARK':
        options.observer.bookmark()
        if (!frame.initialEventsEnd) break
        return await goOn({ ...state, objects }, frame.resourceVersion, items, chunk.slice(index + 1), options)
      case 'ERROR':
        return await fail(state, remembered(frame.error, api), options, items)
      default:
        assertNever(frame)
    }
  }
  return [items, { ...state, objects }]
}

/** The list is in; what follows its marker, in this chunk and after it, is the live watch. */
async function goOn<T extends KubeObject>(
  { last, cause, objects, frames, chunks, openedAt }: Streaming<T>,
  resourceVersion: ResourceVersion,
  items: Item<T>[],
  rest: readonly Frame<T>[],
  options: ReflectorOptions,
): Promise<Step<T>> {
  const wentBack = last !== undefined && compareResourceVersions(resourceVersion, last) < 0
  items.push({ type: 'InitDone', cause: wentBack ? 'restored' : cause, resourceVersion })
  options.observer.listed('streamed', objects, resourceVersion)
  options.observer.watchStarted()
  const position = { resourceVersion, unusableAfter: undefined, seen: undefined }
  // the marker is a frame: a watch that ends now has not been in vain
  const watching = { type: 'Watching', ...position, frames, chunks, openedAt, framesSeen: 1 } as const
  const [more, next] = await readWatch(watching, rest, options)
  for (const item of more) items.push(item)
  return [items, next]
}

async function fail<T extends KubeObject>(
  state: Streaming<T>,
  error: KubeError,
  { observer }: ReflectorOptions,
  items: Item<T>[] = [],
): Promise<Step<T>> {
  await close(state.frames)
  observer.listFailed(error.code)
  items.push({ type: 'Failed', error })
  return [items, cure(state, error.code)]
}
