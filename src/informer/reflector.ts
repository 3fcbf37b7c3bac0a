/**
 * Reads one stream of an API server for ever: a list, streamed (WatchList) or page by page, then WATCH from there.
 *
 * All that is known of the stream is one `State`, and `step` is the only transition: start reading there. A fault never
 * ends the stream: it is an item (`Failed`), and the state that cures it (cure.ts). `reflect` unfolds `step` into an async
 * generator and waits between attempts.
 */
import { KubeError, type KubeErrorCode } from '../kube/errors.ts'
import type { ListPage, ListWatch } from '../kube/list-watch.ts'
import { compareResourceVersions, type KubeObject } from '../kube/object.ts'
import { abortable, sleep } from '../lib/abort.ts'
import { assertNever } from '../lib/assert-never.ts'
import { cure } from './cure.ts'
import { close, openWatch, readWatch, watchClosed } from './live-watch.ts'
import type { StreamObserver } from './observer.ts'
import { Pace } from './pace.ts'
import { firstPage, nextPage } from './paged-list.ts'
import type { ReflectorOptions } from './reflector-options.ts'
import { beforeList, newestOf, type State, type Step } from './state.ts'
import { openStream, readStream } from './streamed-list.ts'
import type { Item } from './watch-event.ts'

/**
 * Batches of items, none empty. Ends only when `signal` aborts; never throws. Not pulling is the back-pressure: the
 * open watch is not read meanwhile. Begins with a list, unless `first` says something else.
 */
export async function* reflect<T extends KubeObject>(
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
  first: State<T> = beforeList('first', undefined),
): AsyncGenerator<readonly Item<T>[], void, void> {
  const pace = new Pace(options)
  let state = first
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
    if ('frames' in state) await close(state.frames)
  }
}

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
        return await begin(state, api, options, signal)
      case 'Paging': {
        const page = await api.list({ limit: options.pageSize, continue: state.next }, signal)
        return nextPage(state, page, [], options)
      }
      case 'Streaming':
        return await readStream(state, api, options, signal)
      case 'Lost':
        return checked(state, await api.list({ limit: 1 }, signal))
      case 'Listed':
        return await openWatch(state, api, options, signal)
      case 'Watching': {
        const chunk = await abortable(options.relist?.before(state.chunks.next()) ?? state.chunks.next(), signal)
        if (chunk === 'asked') return await listAgain(state, options)
        return chunk.done ? await watchClosed(state, options) : await readWatch(state, chunk.value, options)
      }
      default:
        return assertNever(state)
    }
  } catch (error) {
    if (signal.aborted) return [[], state]
    const failure = asKubeError(error)
    if ('frames' in state) await close(state.frames)
    observeFailure(state.type, failure.code, options.observer)
    return [[{ type: 'Failed', error: failure }], cure(state, failure.code)]
  }
}

function observeFailure(from: State<KubeObject>['type'], code: KubeErrorCode, observer: StreamObserver): void {
  switch (from) {
    case 'Empty':
    case 'Paging':
    case 'Streaming':
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

async function begin<T extends KubeObject>(
  state: State<T> & { type: 'Empty' },
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
): Promise<Step<T>> {
  const { ask } = state
  if (ask.type === 'Pages') return firstPage(state, await api.list({ limit: options.pageSize }, signal), options)
  if (api.streaming?.works) return await openStream({ ...state, ask }, api, options, signal)
  return [[], { ...state, ask: { type: 'Pages' } }]
}

/** What the watch has not told yet is in the list. */
async function listAgain<T extends KubeObject>(
  state: State<T> & { type: 'Watching' },
  { relist, observer }: ReflectorOptions,
): Promise<Step<T>> {
  relist?.take()
  await close(state.frames)
  observer.watchEnded('relist')
  return [[], beforeList('drift', newestOf(state))]
}

/** A watch at a version that the server has yet to reach opens, and drops all that comes before it. */
function checked<T extends KubeObject>(state: State<T> & { type: 'Lost' }, page: ListPage<T>): Step<T> {
  const { resourceVersion, unusableAfter } = state
  const newest = newestOf(state)
  if (compareResourceVersions(page.resourceVersion, newest) < 0) return [[], beforeList('restored', newest)]
  const isBehind = compareResourceVersions(page.resourceVersion, resourceVersion) > 0
  return [[], { type: 'Listed', resourceVersion, unusableAfter, seen: page.resourceVersion, isBehind }]
}

function asKubeError(error: unknown): KubeError {
  if (error instanceof KubeError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new KubeError('unusable', `the answer of the API server could not be used: ${message}`, { cause: error })
}
