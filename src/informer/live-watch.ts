/** A watch from a position on. Every chunk of it is one step of the reflector. */
import { KubeError } from '../kube/errors.ts'
import type { Frame, ListWatch } from '../kube/list-watch.ts'
import type { KubeObject } from '../kube/object.ts'
import { assertNever } from '../lib/assert-never.ts'
import { cure } from './cure.ts'
import { type ReflectorOptions, watchTimeoutSeconds } from './reflector-options.ts'
import { beforeList, newestOf, type State, type Step } from './state.ts'
import type { Item } from './watch-event.ts'

/** A watch that closes sooner, without a frame, has told nothing: perhaps it never will. */
const SHORT_WATCH_MS = 1000

/**
 * A quiet stream that is behind would stay so until the first bookmark, for a minute. The server also sends one two
 * seconds before a watch ends by its time. Source: cacheWatcher.nextBookmarkTime, k8s.io/apiserver.
 */
const FIRST_WATCH_SECONDS = 6

export async function openWatch<T extends KubeObject>(
  { resourceVersion, unusableAfter, seen, isBehind }: State<T> & { type: 'Listed' },
  api: ListWatch<T>,
  options: ReflectorOptions,
  signal: AbortSignal,
): Promise<Step<T>> {
  const timeoutSeconds = isBehind ? FIRST_WATCH_SECONDS : watchTimeoutSeconds(options)
  const frames = await api.watch({ resourceVersion, timeoutSeconds }, signal)
  options.observer.watchStarted()
  const chunks = frames[Symbol.asyncIterator]()
  const openedAt = options.clock.monotonic()
  return [
    [{ type: 'Opened' }],
    { type: 'Watching', resourceVersion, unusableAfter, seen, frames, chunks, openedAt, framesSeen: 0 },
  ]
}

export async function readWatch<T extends KubeObject>(
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

/** After the server has closed the watch, cleanly. */
export async function watchClosed<T extends KubeObject>(
  { frames, framesSeen, openedAt, resourceVersion, unusableAfter, seen }: State<T> & { type: 'Watching' },
  { clock, observer }: ReflectorOptions,
): Promise<Step<T>> {
  await close(frames)
  if (framesSeen > 0 || clock.monotonic() - openedAt >= SHORT_WATCH_MS) {
    observer.watchEnded('closed')
    return [[], { type: 'Listed', resourceVersion, unusableAfter, seen }]
  }
  observer.watchEnded('short')
  const error = new KubeError('reset', 'the server closed the watch within a second, without a frame')
  return [[{ type: 'Failed', error }], beforeList('short-watch', newestOf({ resourceVersion, unusableAfter, seen }))]
}

/** The response is no longer wanted, so how its closing fails concerns nobody. */
export async function close(frames: AsyncDisposable): Promise<void> {
  try {
    await frames[Symbol.asyncDispose]()
  } catch {}
}
