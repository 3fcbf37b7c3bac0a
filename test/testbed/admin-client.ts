import { Agent, request } from 'undici'
import { eventually } from '../support/eventually.ts'

/** What a test writes, or the server answers. */
export interface TestObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly resourceVersion?: string
    readonly [member: string]: unknown
  }
  readonly [member: string]: unknown
}

/** The server's refusal, with its status. */
export class AdminError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Writes to an API server as its administrator, with no code of the product in between. */
export class AdminClient implements AsyncDisposable {
  #url: string
  readonly #token: string
  readonly #ca: () => string
  #agent: Agent | undefined

  constructor(url: string, token: string, ca: () => string) {
    this.#url = url
    this.#token = token
    this.#ca = ca
  }

  get(path: string): Promise<TestObject> {
    return this.#call('GET', path)
  }

  /** A body that is a text is sent as it is. */
  create(path: string, body: object | string): Promise<TestObject> {
    return this.#call('POST', path, body)
  }

  replace(path: string, body: object): Promise<TestObject> {
    return this.#call('PUT', path, body)
  }

  /** A JSON merge patch (RFC 7386). */
  patch(path: string, body: object): Promise<TestObject> {
    return this.#call('PATCH', path, body, 'application/merge-patch+json')
  }

  /** At once, without a grace period. */
  delete(path: string): Promise<TestObject> {
    return this.#call('DELETE', path, { gracePeriodSeconds: 0 })
  }

  async createNamespace(name: string): Promise<void> {
    await this.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }

  /** `widgets.example.com`, version v1, namespaced, with a status; resolves when it is served. */
  async createWidgets(): Promise<void> {
    const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    await this.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: { openAPIV3Schema: schema },
          },
        ],
      },
    })
    const served = async () => (await this.get('/apis/example.com/v1/widgets')) !== undefined
    await eventually(served, { what: 'the widgets are served' })
  }

  /** Lets the user list and watch these resources of an API group everywhere. */
  async grant(user: string, apiGroup: string, ...resources: readonly string[]): Promise<void> {
    const name = `${user}-${apiGroup || 'core'}-${resources.join('-')}`
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } }
    const path = '/apis/rbac.authorization.k8s.io/v1'
    const rules = [{ apiGroups: [apiGroup], resources, verbs: ['get', 'list', 'watch'] }]
    await this.create(`${path}/clusterroles`, { ...rbac, kind: 'ClusterRole', rules })
    await this.create(`${path}/clusterrolebindings`, {
      ...rbac,
      kind: 'ClusterRoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }],
    })
  }

  /** Where the server is found from now on. */
  moveTo(url: string): void {
    this.#url = url
  }

  /** The server was killed: connections to it are dropped. */
  reset(): void {
    void this.#agent?.destroy()
    this.#agent = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.destroy()
    this.#agent = undefined
  }

  async #call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: object | string,
    contentType = 'application/json',
  ): Promise<TestObject> {
    this.#agent ??= new Agent({ connect: { ca: this.#ca() } })
    const response = await request(`${this.#url}${path}`, {
      method,
      dispatcher: this.#agent,
      // a server that is still starting may hold a request for a minute; it is asked again
      headersTimeout: 10_000,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': contentType },
      ...(body && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }).catch((error: unknown) => {
      // the certificate that the agent was made with may have been half written
      this.reset()
      throw error
    })
    const text = await response.body.text()
    if (response.statusCode >= 300)
      throw new AdminError(response.statusCode, `${method} ${path}: ${text.slice(0, 500)}`)
    return text.startsWith('{') ? (JSON.parse(text) as TestObject) : { metadata: { name: text } }
  }
}
