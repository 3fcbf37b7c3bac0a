/** A real API server that holds very many ConfigMaps, and how long its answers take. */
import { randomUUID } from 'node:crypto'
import { startApiServer, type TestApiServer } from '../../testbed/api-server.ts'
import type { RecordedChange } from '../../testbed/recorder.ts'
import { type DrillCluster, NAMESPACE } from './drill-cluster.ts'

const COLLECTION = `/api/v1/namespaces/${NAMESPACE}/configmaps`
/** What etcd takes at a time. */
const PUTS_AT_ONCE = 128
const FILLERS = 4
const PAGE = 2_000
const head = { apiVersion: 'v1', kind: 'ConfigMap' } as const

/** In ms since 1970. */
export interface Write {
  readonly begunAt: number
  readonly answeredAt: number
}

export class BigCluster implements DrillCluster {
  readonly kubeconfig: string
  readonly #server: TestApiServer
  /** By the resourceVersion that it made. */
  readonly #writes = new Map<string, Write>()

  private constructor(server: TestApiServer, kubeconfig: string) {
    this.#server = server
    this.kubeconfig = kubeconfig
  }

  /** With this many objects, of about 1.5 KB each: `drill-0` and so on, the names that a `DrillLoad` writes to. */
  static async start(objects: number): Promise<BigCluster> {
    await using made = new AsyncDisposableStack()
    const server = made.use(await startApiServer())
    await server.admin.createNamespace(NAMESPACE)
    const cluster = new BigCluster(server, await server.kubeconfig())
    await cluster.#fill(objects)
    made.move()
    return cluster
  }

  /** Of this load. */
  get writes(): ReadonlyMap<string, Write> {
    return this.#writes
  }

  create(name: string, value: string): Promise<string> {
    return this.#timed(() => this.#server.admin.create(COLLECTION, { ...head, metadata: { name }, data: { value } }))
  }

  update(name: string, value: string): Promise<string> {
    return this.#timed(() => this.#server.admin.patch(`${COLLECTION}/${name}`, { data: { value } }))
  }

  async delete(name: string): Promise<void> {
    await this.#server.admin.delete(`${COLLECTION}/${name}`)
  }

  record(): Promise<void> {
    return Promise.resolve()
  }

  history(): Promise<readonly RecordedChange[]> {
    return Promise.resolve([])
  }

  /** uid -> resourceVersion of all that is there. */
  async versions(): Promise<ReadonlyMap<string, string>> {
    const versions = new Map<string, string>()
    let next: string | undefined = ''
    while (next !== undefined) {
      const page = (await this.#server.admin.get(`${COLLECTION}?limit=${PAGE}&continue=${next}`)) as unknown as Page
      for (const { metadata } of page.items) versions.set(metadata.uid, metadata.resourceVersion)
      next = page.metadata.continue || undefined
    }
    return versions
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }

  /** Straight into etcd, as kube-apiserver would have written it: that takes a tenth of the time. */
  async #fill(objects: number): Promise<void> {
    let next = 0
    const put = async () => {
      while (next < objects) {
        const first = next
        next += PUTS_AT_ONCE
        const count = Math.min(PUTS_AT_ONCE, objects - first)
        const success = Array.from({ length: count }, (_, index) => ({ requestPut: storedObject(first + index) }))
        await this.#server.etcd('kv/txn', { success })
      }
    }
    await Promise.all(Array.from({ length: FILLERS }, put))
  }

  async #timed(write: () => Promise<{ readonly metadata: { readonly resourceVersion?: string } }>): Promise<string> {
    const begunAt = Date.now()
    const { metadata } = await write()
    const resourceVersion = String(metadata.resourceVersion)
    this.#writes.set(resourceVersion, { begunAt, answeredAt: Date.now() })
    return resourceVersion
  }
}

interface Page {
  readonly metadata: { readonly continue?: string }
  readonly items: readonly { readonly metadata: { readonly uid: string; readonly resourceVersion: string } }[]
}

function storedObject(index: number): { readonly key: string; readonly value: string } {
  const name = `drill-${index}`
  const creationTimestamp = '2026-01-01T00:00:00Z'
  const managed = {
    manager: 'drill',
    operation: 'Update',
    apiVersion: 'v1',
    time: creationTimestamp,
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:data': { '.': {}, 'f:settings': {}, 'f:value': {} } },
  }
  const metadata = { name, namespace: NAMESPACE, uid: randomUUID(), creationTimestamp, managedFields: [managed] }
  const data = { settings: `setting ${index} = on\n`.repeat(50), value: `${index}`.padEnd(200, 'x') }
  return {
    key: base64(`/registry/configmaps/${NAMESPACE}/${name}`),
    value: base64(`${JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata, data })}\n`),
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
