/** What a drill writes to: a real API server, or the simulator, which takes a multiple of that on the same machine. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Simulator } from '../../../src/simulator/index.ts'
import { startApiServer, type TestApiServer } from '../../testbed/api-server.ts'
import type { RecordedChange, Recorder } from '../../testbed/recorder.ts'
import { Workspace } from '../../testbed/workspace.ts'

export const clusterTypes = ['simulator', 'real'] as const
export type ClusterType = (typeof clusterTypes)[number]

/** ConfigMaps of one namespace. A write resolves with the object's resourceVersion. */
export interface DrillCluster extends AsyncDisposable {
  readonly kubeconfig: string
  create(name: string, value: string): Promise<string>
  update(name: string, value: string): Promise<string>
  delete(name: string): Promise<void>
  /** From now on every write is remembered. */
  record(): Promise<void>
  history(): Promise<readonly RecordedChange[]>
}

export const NAMESPACE = 'drill'
const PREFIX = `configmaps/${NAMESPACE}/`
const head = { apiVersion: 'v1', kind: 'ConfigMap' } as const

/** About as long a history as a real server has under such a load: a minute or so. */
const HISTORY_LENGTH = 37_500

export async function startDrillCluster(type: ClusterType): Promise<DrillCluster> {
  return type === 'real' ? await RealCluster.start() : await SimulatedCluster.start()
}

class RealCluster implements DrillCluster {
  readonly kubeconfig: string
  readonly #server: TestApiServer
  readonly #collection = `/api/v1/namespaces/${NAMESPACE}/configmaps`
  #recorder: Recorder | undefined

  private constructor(server: TestApiServer, kubeconfig: string) {
    this.#server = server
    this.kubeconfig = kubeconfig
  }

  static async start(): Promise<RealCluster> {
    const server = await startApiServer()
    await server.admin.createNamespace(NAMESPACE)
    return new RealCluster(server, await server.kubeconfig())
  }

  async create(name: string, value: string): Promise<string> {
    const { metadata } = await this.#server.admin.create(this.#collection, {
      ...head,
      metadata: { name },
      data: { value },
    })
    return String(metadata.resourceVersion)
  }

  async update(name: string, value: string): Promise<string> {
    const { metadata } = await this.#server.admin.patch(`${this.#collection}/${name}`, { data: { value } })
    return String(metadata.resourceVersion)
  }

  async delete(name: string): Promise<void> {
    await this.#server.admin.delete(`${this.#collection}/${name}`)
  }

  async record(): Promise<void> {
    this.#recorder = await this.#server.record()
  }

  async history(): Promise<readonly RecordedChange[]> {
    return (await this.#recorder?.until(await this.#server.revision(), PREFIX)) ?? []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }
}

class SimulatedCluster implements DrillCluster {
  readonly kubeconfig: string
  readonly #simulator: Simulator
  readonly #workspace: Workspace
  #history: RecordedChange[] | undefined

  private constructor(simulator: Simulator, workspace: Workspace) {
    this.#simulator = simulator
    this.#workspace = workspace
    this.kubeconfig = join(workspace.folder, 'kubeconfig')
  }

  static async start(): Promise<SimulatedCluster> {
    const simulator = await new Simulator({ historyLength: HISTORY_LENGTH }).start()
    simulator.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
    const cluster = new SimulatedCluster(simulator, await Workspace.create('drill-cluster'))
    const name = 'drill'
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: simulator.url } }],
      users: [{ name, user: {} }],
      contexts: [{ name, context: { cluster: name, user: name } }],
      'current-context': name,
    }
    await writeFile(cluster.kubeconfig, JSON.stringify(config))
    return cluster
  }

  async create(name: string, value: string): Promise<string> {
    const object = this.#simulator.create({ ...head, metadata: { name, namespace: NAMESPACE }, data: { value } })
    return this.#note('created', object.metadata)
  }

  async update(name: string, value: string): Promise<string> {
    const reference = { ...head, metadata: { name, namespace: NAMESPACE } }
    return this.#note('updated', this.#simulator.patch(reference, { data: { value } }).metadata)
  }

  async delete(name: string): Promise<void> {
    const { metadata } = this.#simulator.delete({ ...head, metadata: { name, namespace: NAMESPACE } })
    this.#note('deleted', { ...metadata, resourceVersion: this.#simulator.resourceVersion })
  }

  async record(): Promise<void> {
    this.#history = []
  }

  async history(): Promise<readonly RecordedChange[]> {
    return this.#history ?? []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#simulator[Symbol.asyncDispose]()
    await this.#workspace[Symbol.asyncDispose]()
  }

  #note(
    type: RecordedChange['type'],
    { name, uid, resourceVersion }: { readonly name: string; readonly uid: string; readonly resourceVersion: string },
  ): string {
    const object = { metadata: { name, namespace: NAMESPACE, uid } }
    this.#history?.push({ type, key: `${PREFIX}${name}`, uid, resourceVersion, object })
    return resourceVersion
  }
}
