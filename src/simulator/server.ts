import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { sleep } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { authenticate, authorize, type Users } from './access.ts'
import { AGGREGATED, discovery, wantsAggregated } from './discovery.ts'
import type { Faults } from './faults.ts'
import { type JsonObject, objectAt, stringAt } from './json.ts'
import { listText, page } from './list.ts'
import { type ListOptions, listOptions, type StreamedListsMode } from './list-options.ts'
import type { Objects, Target } from './objects.ts'
import type { SeededRandom } from './random.ts'
import { type Registry, tableOf } from './registry.ts'
import { documentReply, failureReply, jsonReply, noReply, pathNotFound, type Reply, send, textReply } from './reply.ts'
import { negotiate } from './representation.ts'
import { type RequestInfo, type ResourceRequest, requestInfo } from './request.ts'
import { deleteOptions, parseBody, parsePatch, patchType, writeOptions } from './request-body.ts'
import type { Definition } from './resources.ts'
import { methodNotAllowed, StatusError, tooLargeResourceVersion, unknownResource } from './status.ts'
import type { Store } from './store.ts'
import { objectOf } from './stored-object.ts'
import type { Version } from './table.ts'
import { Watch } from './watch.ts'

/** What the HTTP server stands on. */
export interface Backend {
  readonly store: Store
  readonly registry: Registry
  readonly objects: Objects
  readonly faults: Faults
  readonly users: Users
  readonly clock: Clock
  readonly random: SeededRandom
  readonly bookmarkIntervalMs: number
  readonly streamedLists: StreamedListsMode
}

/** How long a read at a version that is not reached yet waits for it. */
const FRESHNESS_MS = 3_000
/** A watch without `timeoutSeconds` lasts 30 to 60 minutes. */
const MIN_WATCH_MS = 1_800_000

const VERSION = { major: '1', minor: '36', gitVersion: 'v1.36.2', gitTreeState: 'clean', platform: 'simulator' }

/** The HTTP side: each request is read, struck by a fault or not, checked for rights, and answered from the store. */
export class ApiServer implements AsyncDisposable {
  readonly #backend: Backend
  readonly #http: Server
  readonly #watches = new Set<Watch>()
  readonly #stop = new AbortController()

  constructor(backend: Backend) {
    this.#backend = backend
    this.#http = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) =>
        response.destroy(error instanceof Error ? error : undefined),
      )
    })
    // Like the real server: an idle connection is kept, so that a client's next request never meets its end
    this.#http.keepAliveTimeout = 0
    this.#http.requestTimeout = 0
  }

  /** The open watches, oldest first. */
  get watches(): readonly Watch[] {
    return [...this.#watches]
  }

  /** Listens on a free loopback port, or again on the one given. Resolves with the port. */
  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject)
      this.#http.listen(port, '127.0.0.1', () => {
        this.#http.off('error', reject)
        resolve()
      })
    })
    return (this.#http.address() as AddressInfo).port
  }

  /** Cuts every connection. */
  disconnect(): void {
    this.#http.closeAllConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the simulator is closed'))
    if (!this.#http.listening) return
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.disconnect()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = await this.#reply(request, response).catch((error: unknown): Reply => {
      if (response.headersSent || response.destroyed) return noReply
      if (error instanceof StatusError) return failureReply(error)
      // A defect here must show up as what it is, in the test that meets it
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return failureReply(new StatusError({ code: 500, reason: 'InternalError', message }))
    })
    await send(reply, request, response)
  }

  async #reply(request: IncomingMessage, response: ServerResponse): Promise<Reply> {
    const info = requestInfo(request)
    const user = authenticate(request, this.#backend.users)
    if (info.type === 'path') return this.#path(info, request)
    const fault = this.#backend.faults.strike(info)
    switch (fault?.type) {
      case 'fail':
        throw new StatusError(fault.failure)
      case 'reset':
        request.socket.resetAndDestroy()
        return noReply
      case 'black-hole':
        return noReply
      case 'delay':
        await sleep(fault.delayMs, this.#backend.clock, this.#stop.signal)
        break
      case undefined:
        break
    }
    authorize(info, user)
    return await this.#resource(info, request, response)
  }

  #path({ method, segments }: RequestInfo & { type: 'path' }, request: IncomingMessage): Reply {
    const path = segments.join('/')
    if (method === 'GET' && path === 'version') return documentReply(VERSION)
    if (['readyz', 'livez', 'healthz'].includes(path)) return textReply(200, 'ok')
    const aggregated = wantsAggregated(request.headers.accept) && segments.length === 1
    const document = discovery(segments, this.#backend.registry.definitions, aggregated)
    if (!document) return pathNotFound
    return documentReply(document, aggregated ? AGGREGATED : undefined)
  }

  async #resource(info: ResourceRequest, request: IncomingMessage, response: ServerResponse): Promise<Reply> {
    const definition = this.#definition(info)
    if (!definition) {
      const { definitions } = this.#backend.registry
      if (definitions.some(({ group, version }) => group === info.group && version === info.version))
        throw unknownResource()
      return pathNotFound
    }
    switch (info.verb) {
      case 'list':
        return await this.#list(definition, info, request)
      case 'watch':
        return await this.#watch(definition, info, request, response)
      case 'deletecollection':
        return this.#deleteCollection(definition, info, request)
      default:
        return await this.#single(definition, info, request)
    }
  }

  #definition({
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    verb,
  }: ResourceRequest): Definition | undefined {
    const definition = this.#backend.registry.find(group, version, resource)
    if (!definition || (!definition.namespaced && namespace !== '')) return undefined
    if (subresource !== '' && !(subresource === 'status' && definition.status)) throw unknownResource()
    const collection = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
    if (verb === 'create' ? name !== '' : !collection && name === '') throw methodNotAllowed()
    if (definition.namespaced && namespace === '' && verb !== 'list' && verb !== 'watch') {
      throw name === '' ? methodNotAllowed() : unknownResource()
    }
    return definition
  }

  async #single(definition: Definition, info: ResourceRequest, request: IncomingMessage): Promise<Reply> {
    const { objects } = this.#backend
    const { namespace, name, verb } = info
    const form = negotiate(request.headers.accept, definition)
    const target: Target = { definition, namespace, name }
    const options = writeOptions(info, request)
    const body = verb === 'get' ? '' : await text(request)
    switch (verb) {
      case 'create': {
        const object = parseBody(body, request, definition)
        return jsonReply(201, form.whole(objects.create(definition, namespace, object, options)))
      }
      case 'update':
        return jsonReply(200, form.whole(objects.replace(target, parseBody(body, request, definition), options)))
      case 'patch': {
        const type = patchType(request, definition)
        return jsonReply(200, form.whole(objects.patch(target, parsePatch(body), type, options)))
      }
      case 'delete': {
        const { version, removed } = objects.delete(target, deleteOptions(body, info))
        return removed && definition.kind !== 'Pod'
          ? documentReply(deleted(definition, version))
          : jsonReply(200, form.whole(version))
      }
      default:
        return jsonReply(200, form.whole(objects.get(target)))
    }
  }

  async #list(definition: Definition, info: ResourceRequest, request: IncomingMessage): Promise<Reply> {
    const options = listOptions(info.query, definition, { verb: 'list' })
    const form = negotiate(request.headers.accept, definition)
    await this.#reached(options)
    const { store } = this.#backend
    const content = page(store.table(tableOf(definition)), info.namespace, options, store.revision)
    return { type: 'pieces', pieces: listText(content, form) }
  }

  #deleteCollection(definition: Definition, info: ResourceRequest, request: IncomingMessage): Reply {
    const options = listOptions(info.query, definition, { verb: 'list' })
    const form = negotiate(request.headers.accept, definition)
    const { store, objects } = this.#backend
    const content = page(store.table(tableOf(definition)), info.namespace, options, store.revision)
    const versions = content.versions.map(
      ({ name, namespace }) => objects.delete({ definition, namespace, name }, {}).version,
    )
    return { type: 'pieces', pieces: listText({ ...content, versions }, form) }
  }

  async #watch(
    definition: Definition,
    info: ResourceRequest,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Reply> {
    const { store, clock, random, bookmarkIntervalMs, streamedLists } = this.#backend
    const options = listOptions(info.query, definition, { verb: 'watch', streamedLists })
    const form = negotiate(request.headers.accept, definition)
    const table = store.table(tableOf(definition))
    const timeoutMs = options.timeoutSeconds ? options.timeoutSeconds * 1_000 : MIN_WATCH_MS * (1 + random.next())
    const source = { request: info, definition, table, options, form, revision: () => store.revision }
    const watch = new Watch(source, { clock, bookmarkIntervalMs, timeoutMs }, response, () =>
      request.socket.resetAndDestroy(),
    )
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
    response.flushHeaders()
    this.#watches.add(watch)
    try {
      await watch.run(options.sendInitialEvents ? this.#reached(options) : Promise.resolve())
    } finally {
      this.#watches.delete(watch)
    }
    return noReply
  }

  /** Waits a little for a version that the client has seen elsewhere; throws the 504 if it does not come. */
  async #reached({ resourceVersion, continue: token }: ListOptions): Promise<void> {
    const { store, clock } = this.#backend
    if (resourceVersion === undefined || token !== '' || resourceVersion <= store.revision) return
    await sleep(FRESHNESS_MS, clock, this.#stop.signal)
    if (resourceVersion > store.revision) throw tooLargeResourceVersion(resourceVersion, store.revision)
  }
}

/** What a delete answers when nothing is left to show. */
function deleted(definition: Definition, version: Version): JsonObject {
  const uid = stringAt(objectAt(objectOf(definition, version), 'metadata'), 'uid')
  const { group, resource: kind } = definition
  const details = { name: version.name, ...(group ? { group } : {}), kind, uid }
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }
}
