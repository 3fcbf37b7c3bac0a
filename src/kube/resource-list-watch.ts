import { ANSWER_IDLE_MS, type ApiClient } from './api-client.ts'
import { defaultLimits, type ObjectLimits } from './bounded-text.ts'
import type { Expected } from './decode-object.ts'
import { FrameDecoder } from './frames.ts'
import { ListDecoder } from './list-decoder.ts'
import { ListKind } from './list-kind.ts'
import type { Frame, Frames, ListPage, ListQuery, ListWatch, WatchQuery } from './list-watch.ts'
import { type KubeObject, type Resource, resourceName } from './object.ts'
import type { ResponseBody } from './response-body.ts'

/** What a stream is narrowed to. Fixed for its life: other selectors in one of its calls would make phantom deletes. */
export interface ListWatchOptions {
  /** @default all namespaces */
  readonly namespace?: string | undefined
  /** As kubectl takes it. @default none */
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Fetch metadata only. The objects still carry the resource's own apiVersion and kind. @default false */
  readonly metadataOnly?: boolean | undefined
  /** An object beyond them is delivered as its identity, see `unreadReason`. */
  readonly limits?: ObjectLimits | undefined
}

/** List and watch calls for one resource. Throws a RangeError if a namespace is given for a resource that has none. */
export function listWatch<T extends KubeObject = KubeObject>(
  client: ApiClient,
  resource: Resource,
  options: ListWatchOptions = {},
): ListWatch<T> {
  const { labelSelector, fieldSelector, metadataOnly = false, limits = defaultLimits } = options
  const path = collectionPath(resource, options.namespace)
  const expected: Expected = { resource, metadataOnly }
  const listKind = new ListKind(expected)
  const selectors = { labelSelector, fieldSelector }
  return {
    streaming: client.streamedLists.of(collectionPath(resource, undefined)),
    async list(query, signal): Promise<ListPage<T>> {
      const accept = metadataOnly ? METADATA.list : 'application/json'
      const request = { method: 'GET', path, query: { ...listParameters(query), ...selectors }, accept } as const
      return await client.fetch(
        request,
        async ({ body }) => await readPage(body, new ListDecoder<T>(expected, limits, listKind)),
        signal,
      )
    },
    async watch(query, signal): Promise<Frames<T>> {
      const accept = metadataOnly ? METADATA.object : 'application/json'
      const request = { method: 'GET', path, query: { ...watchParameters(query), ...selectors }, accept } as const
      const quietMs = (query.timeoutSeconds + 5) * 1000
      const { body } = await client.open(request, { idleMs: Math.max(quietMs, IDLE_AFTER_BOOKMARK_MS) }, signal)
      return new WatchFrames<T>(body, new FrameDecoder<T>(expected, limits), quietMs)
    },
  }
}

/** Two and a half times the minute after which a server sends a bookmark. Sooner seen than a silent loss of the peer by TCP. */
const IDLE_AFTER_BOOKMARK_MS = 150_000

/** Source: KEP-2334, metadata-only access. Without a fallback: whole objects must not come where they are not wanted. */
const METADATA = {
  object: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
} as const

function collectionPath(resource: Resource, namespace: string | undefined): string {
  const { group, version, resource: plural, namespaced } = resource
  if (namespace !== undefined && !namespaced) {
    throw new RangeError(`${resourceName(resource)} are not in namespaces: leave out namespace ${namespace}`)
  }
  const root = group === '' ? ['api', version] : ['apis', group, version]
  const scope = namespace === undefined ? [] : ['namespaces', namespace]
  return `/${[...root, ...scope, plural].map(encodeURIComponent).join('/')}`
}

type Parameters = Readonly<Record<string, string | undefined>>

function listParameters(query: ListQuery): Parameters {
  const { limit, continue: next, resourceVersion, resourceVersionMatch } = query
  if (next !== undefined) return { limit: String(limit), continue: next }
  if ((resourceVersion === undefined) !== (resourceVersionMatch === undefined)) {
    throw new TypeError('a list needs resourceVersion and resourceVersionMatch together, or neither')
  }
  return { limit: String(limit), resourceVersion, resourceVersionMatch }
}

function watchParameters({ resourceVersion, timeoutSeconds, sendInitialEvents }: WatchQuery): Parameters {
  if (resourceVersion === undefined && sendInitialEvents === undefined) {
    throw new TypeError('a watch needs a resourceVersion, or sendInitialEvents')
  }
  return {
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(timeoutSeconds),
    resourceVersion,
    ...(sendInitialEvents && { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }),
  }
}

async function readPage<T extends KubeObject>(body: ResponseBody, decoder: ListDecoder<T>): Promise<ListPage<T>> {
  for (let chunk = await body.read(ANSWER_IDLE_MS); chunk !== undefined; chunk = await body.read(ANSWER_IDLE_MS)) {
    decoder.push(chunk)
  }
  return decoder.end()
}

/**
 * A bookmark that others will follow. The one that ends a streamed list promises none: resources without a watch cache,
 * KubeEvents for one, have it and then no other.
 */
const isPeriodic = (frame: Frame<KubeObject>): boolean => frame.type === 'BOOKMARK' && !frame.initialEventsEnd

class WatchFrames<T extends KubeObject> implements Frames<T> {
  readonly #body: ResponseBody
  readonly #decoder: FrameDecoder<T>
  #idleMs: number

  constructor(body: ResponseBody, decoder: FrameDecoder<T>, quietMs: number) {
    this.#body = body
    this.#decoder = decoder
    this.#idleMs = quietMs
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly Frame<T>[], void, undefined> {
    for (
      let chunk = await this.#body.read(this.#idleMs);
      chunk !== undefined;
      chunk = await this.#body.read(this.#idleMs)
    ) {
      const { frames, failure } = this.#decoder.push(chunk)
      if (frames.some(isPeriodic)) this.#idleMs = IDLE_AFTER_BOOKMARK_MS
      if (frames.length > 0) yield frames
      if (failure !== undefined) throw failure
      if (frames.at(-1)?.type === 'ERROR') return
    }
    const failure = this.#decoder.end()
    if (failure !== undefined && !this.#body.disposed) throw failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#body[Symbol.asyncDispose]()
  }
}
