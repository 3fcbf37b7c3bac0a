import { createHash } from 'node:crypto'
import type { RequestOptions } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import type { KubeConfig } from '@kubernetes/client-node'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { KubeError } from './errors.ts'

/** Where and with what a request is sent, as of now. */
export interface Connection {
  readonly dispatcher: Dispatcher
  readonly origin: string
  /** `''`, or the path under which a proxy serves the API: `/k8s/clusters/c-1`. */
  readonly basePath: string
  /** Authorization and impersonation. Never to be logged. */
  readonly headers: Readonly<Record<string, string>>
  /** Counts `reload`s. */
  readonly generation: number
}

/** Go's own idle time-out of pooled connections. */
const KEEP_ALIVE_MS = 90_000

/**
 * One pool of connections per TLS identity, shared by all requests. The kubeconfig's inputs are read again for every
 * request, so that a rotated token is used at once and a rotated CA or client certificate makes a new pool; requests that
 * run, watches above all, end on the old one.
 */
export class Connections implements AsyncDisposable {
  #config: KubeConfig
  readonly #reload: () => KubeConfig
  #generation = 0
  #reading: Promise<Connection> | undefined
  #current: { readonly key: string; readonly dispatcher: Dispatcher } | undefined
  readonly #retired = new Set<Dispatcher>()
  #disposed = false

  constructor(config: KubeConfig, reload: () => KubeConfig) {
    this.#config = config
    this.#reload = reload
  }

  /**
   * Rejects with `unauthorized` if the credentials cannot be read. Calls that wait at the same time share one reading:
   * thirty watches that begin together run an exec plugin once.
   */
  async open(): Promise<Connection> {
    if (this.#reading !== undefined) return await this.#reading
    const reading = this.#read().finally(() => {
      // after a reload it may be a newer one's place
      if (this.#reading === reading) this.#reading = undefined
    })
    this.#reading = reading
    return await reading
  }

  /** Reads the credentials anew, past every cache, unless that happened since `rejected` was opened. Throws `unauthorized`. */
  reload(rejected: Connection): void {
    if (rejected.generation !== this.#generation) return
    try {
      this.#config = this.#reload()
    } catch (cause) {
      throw new KubeError('unauthorized', 'the credentials were refused and the kubeconfig cannot be read again', {
        cause,
      })
    }
    this.#generation++
    this.#reading = undefined
  }

  async #read(): Promise<Connection> {
    const [config, generation] = [this.#config, this.#generation]
    const cluster = config.getCurrentCluster()
    if (cluster === null) throw new KubeError('refused', 'the kubeconfig has no current cluster')
    const inputs: RequestOptions = {}
    try {
      await config.applyToHTTPSOptions(inputs)
    } catch (error) {
      throw noCredentials(config, error)
    }
    if (this.#disposed) throw new KubeError('refused', `the client of cluster ${cluster.name} is closed`)
    const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = inputs
    const identity = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized }
    try {
      const { origin, pathname } = new URL(cluster.server)
      const dispatcher = this.#dispatcher(hash([origin, cluster.proxyUrl, identity]), () =>
        createDispatcher(config.createDispatcherOptions(cluster, defined(identity))),
      )
      return { dispatcher, origin, basePath: pathname.replace(/\/$/, ''), headers: authHeaders(inputs), generation }
    } catch (cause) {
      const message = `cluster ${cluster.name} of the kubeconfig cannot be used; check its server, proxy-url and certificates`
      throw new KubeError('refused', message, { cause })
    }
  }

  #dispatcher(key: string, create: () => Dispatcher): Dispatcher {
    if (this.#current?.key === key) return this.#current.dispatcher
    const dispatcher = create()
    if (this.#current !== undefined) this.#retire(this.#current.dispatcher)
    this.#current = { key, dispatcher }
    return dispatcher
  }

  /** Closes once its last request has ended. */
  #retire(dispatcher: Dispatcher): void {
    this.#retired.add(dispatcher)
    const forget = () => {
      this.#retired.delete(dispatcher)
    }
    dispatcher.close().then(forget, forget)
  }

  /** Breaks all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    const dispatchers = [...this.#retired]
    if (this.#current !== undefined) dispatchers.push(this.#current.dispatcher)
    this.#current = undefined
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy()))
  }
}

type DispatcherOptions = ReturnType<KubeConfig['createDispatcherOptions']>

/** HTTP/2 wherever TLS negotiates it. */
function createDispatcher(options: DispatcherOptions): Dispatcher {
  const common = { allowH2: true, keepAliveTimeout: KEEP_ALIVE_MS }
  switch (options.type) {
    case 'none':
      return new Agent(common)
    case 'agent':
      return new Agent({ ...common, connect: tls(options.connect) })
    case 'proxy':
      return new ProxyAgent({ ...common, uri: options.uri, requestTls: tls(options.requestTls) })
    case 'socks':
      return new ProxyAgent({
        ...common,
        uri: options.uri.replace(/^socks5h:/, 'socks5:'),
        requestTls: tls(options.requestTls),
      })
  }
}

/** Without the members that TLS takes no notice of and whose types the two libraries disagree on. */
function tls<T extends ConnectionOptions>({ port: _port, timeout: _timeout, ...options }: T) {
  return options
}

/** Bearer token and impersonation come as headers, a user name and password as `auth`. */
function authHeaders({ headers, auth }: RequestOptions): Readonly<Record<string, string>> {
  const all: Record<string, string> = {}
  if (typeof auth === 'string') all.authorization = `Basic ${Buffer.from(auth).toString('base64')}`
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value !== undefined) all[name.toLowerCase()] = String(value)
  }
  return all
}

function noCredentials(config: KubeConfig, error: unknown): KubeError {
  const { name = 'none' } = config.getCurrentUser() ?? {}
  // what an exec plugin printed instead of JSON may be a credential: a SyntaxError quotes it
  const cause = error instanceof SyntaxError ? new Error('the answer of the credential plugin is not JSON') : error
  const message = `cannot read the credentials of user ${name} of context ${config.getCurrentContext()}; check that user and its cluster in the kubeconfig`
  return new KubeError('unauthorized', message, { cause })
}

const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('base64')

/** Without the members that are undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
