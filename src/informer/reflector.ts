/**
 * Reads one stream of an API server: LIST, then WATCH from there, for ever.
 *
 * All that is known of the stream is one `State`, and `step` is the only transition: start reading there. A fault never
 * ends the stream: it is an item (`Failed`), and the state that cures it (cure.ts). `reflect` unfolds `step` into an async
 * generator and waits between attempts.
 */
import { KubeError, type KubeErrorCode } from '../kube/errors.ts'
import type { Frame, Frames, ListPage, ListWatch } from '../kube/list-watch.ts'
import { compareResourceVersions, type KubeObject, type ResourceVersion, type Uid } from '../kube/object.ts'
import { abortable, sleep } from '../lib/abort.ts'
import { assertNever } from '../lib/assert-never.ts'
import type { BackoffOptions, Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { cure } from './cure.ts'
import type { StreamObserver } from './observer.ts'
import { Pace } from './pace.ts'
import type { InitCause, Item } from './watch-event.ts'

/** What is known about a stream: exactly what the next step needs. */
export type State<T extends KubeObject> =
  /** Nothing of the next list is in. `last`: the position before it, unless this is the first. */
  | { readonly type: 'Empty'; readonly cause: InitCause; readonly last: ResourceVersion | undefined }
  /** Some pages are in; `next` continues them. `objects`: how many so far. */
  | {
      readonly type: 'Paging'
      readonly cause: InitCause
      readonly last: ResourceVersion | undefined
      readonly resourceVersion: ResourceVersion
      readonly next: string
      readonly objects: number
      readonly pages: number
      /** One of the pages so far: met again, the list goes round in a circle. */
      readonly landmark: Landmark
    }
  /** The connection was lost: before the next watch the server must prove that its versions have not gone back. */
  | ({ readonly type: 'Lost' } & Position)
  /** No watch is open. */
  | ({ readonly type: 'Listed' } & Position)
  | ({
      readonly type: 'Watching'
      readonly frames: Frames<T>
      readonly chunks: AsyncIterator<readonly Frame<T>[]>
      /** `Clock.monotonic`. */
      readonly openedAt: number
      readonly framesSeen: number
    } & Position)

export interface Position {
  /** Of the last list, frame or bookmark. */
  readonly resourceVersion: ResourceVersion
  /** Where an unusable frame was met. Met again at the same place, only a list leads past it. */
  readonly unusableAfter: ResourceVersion | undefined
}

/** What a page with more to come is known by. */
interface Landmark {
  readonly next: string
  readonly first: Uid | undefined
  readonly last: Uid | undefined
}

export interface ReflectorOptions {
  /** Objects per page of a list. client-go: 500. */
  readonly pageSize: number
  /** A watch is asked to last for a random time in [this, twice this), ms. Less than 5 min counts as 5 min. */
  readonly minWatchTimeoutMs: number
  readonly backoff: BackoffOptions
  readonly clock: Clock
  readonly random: Random
  readonly observer: StreamObserver
}

export const reflectorDefaults = {
  pageSize: 500,
  minWatchTimeoutMs: 300_000,
  backoff: { initialMs: 800, maxMs: 30_000 },
} as const satisfies Partial<ReflectorOptions>

/** A watch that closes sooner, without a frame, has told nothing: perhaps it never will. */
const SHORT_WATCH_MS = 1000

/**
 * Batches of items, none empty. Ends only when `signal` aborts; never throws. Not pulling is the back-pressure: the
 * open watch is not read meanwhile.
 */
export async function* reflect<T extends KubeObject>(
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly Item<T>[], void, void> {
  const pace = new Pace(options)
  let state: State<T> = { type: 'Empty', cause: 'first', last: undefined }
  try {
    while (!signal.aborted) {
      const [items, next]: Step<T> = await step(state, api, options, signal)
      const pauseMs = pace.after(items, state, next)
      state = next
      if (items.length > 0) yield items
      if (pauseMs > 0) await sleep(pauseMs, options.clock, signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    if (state.type === 'Watching') await close(state.frames)
  }
}

type Step<T extends KubeObject> = readonly [readonly Item<T>[], State<T>]

/**
 * One call to the server, or one chunk of the open watch. Never rejects: a fault is a `Failed` item and the state that
 * cures it. After an abort: no items.
 */
export async function step<T extends KubeObject>(
  state: State<T>,
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
): Promise<Step<T>> {
  try {
    switch (state.type) {
      case 'Empty':
        return firstPage(state, await api.list({ limit: options.pageSize }, signal), options)
      case 'Paging': {
        const page = await api.list({ limit: options.pageSize, continue: state.next }, signal)
        return nextPage(state, page, [], options)
      }
      case 'Lost':
        return checked(state, await api.list({ limit: 1 }, signal))
      case 'Listed':
        return await open(state, api, options, signal)
      case 'Watching': {
        const chunk = await abortable(state.chunks.next(), signal)
        return chunk.done ? await closed(state, options) : await read(state, chunk.value, options)
      }
      default:
        return assertNever(state)
    }
  } catch (error) {
    if (signal.aborted) return [[], state]
    const failure = asKubeError(error)
    if (state.type === 'Watching') await close(state.frames)
    observeFailure(state.type, failure.code, options.observer)
    return [[{ type: 'Failed', error: failure }], cure(state, failure.code)]
  }
}

function observeFailure(from: State<KubeObject>['type'], code: KubeErrorCode, observer: StreamObserver): void {
  switch (from) {
    case 'Empty':
    case 'Paging':
    case 'Lost':
      observer.listFailed(code)
      return
    case 'Listed':
      observer.watchFailed(code)
      return
    case 'Watching':
      observer.watchEnded(code)
  }
}

function firstPage<T extends KubeObject>(
  { cause, last }: State<T> & { type: 'Empty' },
  page: ListPage<T>,
  options: ReflectorOptions,
): Step<T> {
  const { resourceVersion } = page
  const wentBack = last !== undefined && compareResourceVersions(resourceVersion, last) < 0
  const paging = { cause: wentBack ? 'restored' : cause, last, resourceVersion, objects: 0, pages: 0 } as const
  return nextPage(paging, page, [{ type: 'Init', cause: paging.cause }], options)
}

type PagesSoFar = Omit<State<KubeObject> & { type: 'Paging' }, 'type' | 'next' | 'landmark'> & {
  readonly next?: string
  readonly landmark?: Landmark
}

/** A list has one version, the first page's: later pages come from the same snapshot. */
function nextPage<T extends KubeObject>(
  list: PagesSoFar,
  page: ListPage<T>,
  items: Item<T>[],
  { observer }: ReflectorOptions,
): Step<T> {
  const { cause, last, resourceVersion } = list
  for (const object of page.items) items.push({ type: 'InitApply', object })
  const objects = list.objects + page.items.length
  if (page.continue) {
    const progress = {
      next: page.continue,
      objects,
      pages: list.pages + 1,
      landmark: leadOn(list, page, page.continue),
    }
    return [items, { type: 'Paging', cause, last, resourceVersion, ...progress }]
  }
  items.push({ type: 'InitDone', resourceVersion })
  observer.listed(objects, resourceVersion)
  return [items, { type: 'Listed', resourceVersion, unusableAfter: undefined }]
}

/**
 * The landmark after a page that promises more. Throws `unusable` for a list that gets nowhere, as behind a proxy that
 * drops `continue`: it would be asked for without end and without a pause. The landmark moves on at every doubling of
 * the pages, so that a circle of any length is noticed (Brent's algorithm). An empty page is no proof: a server may
 * filter a page after it has cut it.
 */
function leadOn(
  { next: previous, objects, pages, landmark }: PagesSoFar,
  { items }: ListPage<KubeObject>,
  next: string,
): Landmark {
  const first = items[0]?.metadata.uid
  const last = items.at(-1)?.metadata.uid
  const samePage = first !== undefined && first === landmark?.first && last === landmark.last
  if (samePage || next === previous || next === landmark?.next) {
    const advice = 'look at what stands before the API server: it may drop the parameter continue'
    throw new KubeError('unusable', `after ${objects} objects the pages of a list come again; ${advice}`)
  }
  const doubled = Number.isInteger(Math.log2(pages + 1))
  return doubled || landmark === undefined ? { next, first, last } : landmark
}

/** A watch at a version that the server has yet to reach opens, and drops all that comes before it. */
function checked<T extends KubeObject>(state: State<T> & { type: 'Lost' }, page: ListPage<T>): Step<T> {
  const { resourceVersion, unusableAfter } = state
  if (compareResourceVersions(page.resourceVersion, resourceVersion) < 0) {
    return [[], { type: 'Empty', cause: 'restored', last: resourceVersion }]
  }
  return [[], { type: 'Listed', resourceVersion, unusableAfter }]
}

async function open<T extends KubeObject>(
  { resourceVersion, unusableAfter }: State<T> & { type: 'Listed' },
  api: ListWatch<T>,
  { minWatchTimeoutMs, clock, random, observer }: ReflectorOptions,
  signal: AbortSignal,
): Promise<Step<T>> {
  // random, so that the watches of many streams do not end together
  const minSeconds = Math.max(minWatchTimeoutMs, reflectorDefaults.minWatchTimeoutMs) / 1000
  const timeoutSeconds = Math.floor(minSeconds * (1 + random()))
  const frames = await api.watch({ resourceVersion, timeoutSeconds }, signal)
  observer.watchStarted()
  const chunks = frames[Symbol.asyncIterator]()
  const openedAt = clock.monotonic()
  return [
    [{ type: 'Opened' }],
    { type: 'Watching', resourceVersion, unusableAfter, frames, chunks, openedAt, framesSeen: 0 },
  ]
}

async function read<T extends KubeObject>(
  state: State<T> & { type: 'Watching' },
  chunk: readonly Frame<T>[],
  { observer }: ReflectorOptions,
): Promise<Step<T>> {
  const items: Item<T>[] = []
  let { resourceVersion } = state
  for (const frame of chunk) {
    switch (frame.type) {
      case 'ADDED':
      case 'MODIFIED':
        items.push({ type: 'Apply', object: frame.object, bytes: frame.bytes })
        resourceVersion = frame.object.metadata.resourceVersion
        break
      case 'DELETED':
        items.push({ type: 'Delete', object: frame.object, bytes: frame.bytes })
        resourceVersion = frame.object.metadata.resourceVersion
        break
      case 'BOOKMARK':
        observer.bookmark()
        items.push({ type: 'Bookmark', resourceVersion: frame.resourceVersion })
        resourceVersion = frame.resourceVersion
        break
      case 'ERROR':
        await close(state.frames)
        observer.watchEnded(frame.error.code)
        items.push({ type: 'Failed', error: frame.error })
        return [items, cure({ ...state, resourceVersion }, frame.error.code)]
      default:
        assertNever(frame)
    }
  }
  return [items, { ...state, resourceVersion, framesSeen: state.framesSeen + chunk.length }]
}

async function closed<T extends KubeObject>(
  { frames, framesSeen, openedAt, resourceVersion, unusableAfter }: State<T> & { type: 'Watching' },
  { clock, observer }: ReflectorOptions,
): Promise<Step<T>> {
  await close(frames)
  if (framesSeen > 0 || clock.monotonic() - openedAt >= SHORT_WATCH_MS) {
    observer.watchEnded('closed')
    return [[], { type: 'Listed', resourceVersion, unusableAfter }]
  }
  observer.watchEnded('short')
  const error = new KubeError('reset', 'the server closed the watch within a second, without a frame')
  return [[{ type: 'Failed', error }], { type: 'Empty', cause: 'short-watch', last: resourceVersion }]
}

function asKubeError(error: unknown): KubeError {
  if (error instanceof KubeError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new KubeError('unusable', `the answer of the API server could not be used: ${message}`, { cause: error })
}

/** The response is no longer wanted, so how its closing fails concerns nobody. */
async function close(frames: AsyncDisposable): Promise<void> {
  try {
    await frames[Symbol.asyncDispose]()
  } catch {}
}
