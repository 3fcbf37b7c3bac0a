/** As much of an API server as a watch of pods takes: discovery, LIST, and a WATCH that says recorded frames. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Pods, type PodsOptions } from './pods.ts'

/** Frames that leave with one write, when there is no pace. */
const AT_ONCE = 16
/** How often what is due is sent, when there is one. Milliseconds. */
const TICK_MS = 2

export interface Release {
  /** Number of the first update. */
  readonly first: number
  readonly updates: number
  /** `creates`: each update is a new object instead. @default updates */
  readonly what?: 'updates' | 'creates' | undefined
  /** Updates a second. @default as fast as they are read */
  readonly perSecond?: number | undefined
}

/** When the frame of each update was sent, by the id of its event; milliseconds of `performance.now`. */
export type SentAt = ReadonlyMap<string, number>

export class WatchServer implements AsyncDisposable {
  readonly #pods: Pods
  readonly #http: Server
  #watch: ServerResponse | undefined
  readonly #watched = new Set<() => void>()

  private constructor(options: PodsOptions) {
    this.#pods = new Pods(options)
    this.#http = createServer((request, response) => this.#serve(request, response))
  }

  static async start(options: PodsOptions): Promise<WatchServer> {
    const server = new WatchServer(options)
    server.#http.listen(0, '127.0.0.1')
    await once(server.#http, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  /** Resolves when somebody watches. */
  async watched(): Promise<void> {
    if (!this.#watch) await new Promise<void>((resolve) => this.#watched.add(resolve))
  }

  /** The updates' frames, made before they are sent: that is no part of any measured time. */
  prepare({ first, updates, what }: Release): readonly { readonly id: string; readonly bytes: Buffer }[] {
    return Array.from({ length: updates }, (_, index) => {
      const number = first + index
      const { id, text } = what === 'creates' ? this.#pods.create(number) : this.#pods.update(number)
      return { id, bytes: Buffer.from(text) }
    })
  }

  /** Sends them to whoever watches, not faster than that reads. */
  async send(frames: ReturnType<WatchServer['prepare']>, perSecond: number | undefined): Promise<SentAt> {
    const watch = this.#watch
    if (!watch) throw new Error('nobody watches')
    const sentAt = new Map<string, number>()
    const started = performance.now()
    for (let next = 0; next < frames.length; ) {
      let end = next + AT_ONCE
      if (perSecond !== undefined) {
        await delay(TICK_MS)
        end = Math.floor(((performance.now() - started) / 1000) * perSecond)
      }
      const due = frames.slice(next, end)
      next = Math.max(next, end)
      if (due.length === 0) continue
      for (const { id } of due) sentAt.set(id, performance.now())
      // one write: after `uncork` a response may say that it needs to drain, and never say that it has
      if (!watch.write(Buffer.concat(due.map(({ bytes }) => bytes)))) await once(watch, 'drain')
    }
    return sentAt
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections()
    this.#http.close()
    await once(this.#http, 'close')
  }

  #serve({ url = '' }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(url, 'http://server')
    response.setHeader('content-type', 'application/json')
    if (pathname === '/api') response.end(JSON.stringify(discovery(['v1'])))
    else if (pathname === '/apis') response.end(JSON.stringify(discovery([])))
    else if (pathname !== '/api/v1/pods') response.writeHead(404).end('{}')
    else if (!searchParams.has('watch')) response.end(this.#pods.list())
    else this.#open(response, searchParams)
  }

  #open(response: ServerResponse, query: URLSearchParams): void {
    response.flushHeaders()
    if (query.get('sendInitialEvents') === 'true') response.write(this.#pods.initialEvents())
    this.#watch = response
    response.on('close', () => {
      if (this.#watch === response) this.#watch = undefined
    })
    for (const resolve of this.#watched) resolve()
    this.#watched.clear()
  }
}

/** Pods, in the core group's versions. */
function discovery(versions: readonly string[]): object {
  const pods = {
    resource: 'pods',
    responseKind: { group: '', version: 'v1', kind: 'Pod' },
    scope: 'Namespaced',
    singularResource: 'pod',
    verbs: ['get', 'list', 'watch'],
  }
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: versions.map((version) => ({
      metadata: {},
      versions: [{ version, resources: [pods], freshness: 'Current' }],
    })),
  }
}
