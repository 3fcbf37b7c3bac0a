/** The servers that the oracle suite runs on: what is written, and what then is the truth. */
import { setTimeout as delay } from 'node:timers/promises'
import { Simulator } from '../../../src/simulator/index.ts'
import { AdminClient, AdminError, type TestObject } from '../../testbed/admin-client.ts'
import type { TestApiServer } from '../../testbed/api-server.ts'
import type { RecordedChange, Recorder } from '../../testbed/recorder.ts'
import type { BridgeOptions } from './bridge-process.ts'
import { operate, prefixes, type Writer } from './random-operations.ts'
import { startCluster } from './stand.ts'

export interface Writes {
  readonly count: number
  readonly seed: number
  readonly names: number
  /** Called after each write, with its number from 1. */
  readonly onWrite?: (number: number) => void
}

export interface OracleCluster extends AsyncDisposable {
  /** How a bridge reaches it. */
  readonly access: Pick<BridgeOptions, 'kubeconfig' | 'args'>
  write(writes: Writes): Promise<void>
  /** It dies and comes back. */
  restart(): Promise<void>
  /** It dies, and when it is back knows nothing of what was before, but how things stand. */
  forget(): Promise<void>
  /** Every write so far, in order. */
  history(): Promise<readonly RecordedChange[]>
}

/** Few, so that what is written in which order depends as little as possible on how fast the server is. */
const WRITERS = 2
/** Of the simulator: slow enough that the bridge keeps up, as with a real server. */
const WRITE_MS = 3

export async function realCluster(namespaces: readonly string[]): Promise<OracleCluster> {
  const server = await startCluster(namespaces)
  return new RealCluster(server, namespaces, await server.kubeconfig(), await server.record())
}

class RealCluster implements OracleCluster {
  readonly access: OracleCluster['access']
  readonly #server: TestApiServer
  readonly #namespaces: readonly string[]
  readonly #recorder: Recorder

  constructor(server: TestApiServer, namespaces: readonly string[], kubeconfig: string, recorder: Recorder) {
    this.#server = server
    this.#namespaces = namespaces
    this.#recorder = recorder
    this.access = { kubeconfig }
  }

  async write(writes: Writes): Promise<void> {
    await operateOn(this.#server.admin, this.#namespaces, writes)
  }

  async restart(): Promise<void> {
    await this.#server.kill()
    await this.#server.start()
  }

  async forget(): Promise<void> {
    await this.#server.kill()
    await this.#server.compact()
    await this.#server.start()
  }

  async history(): Promise<readonly RecordedChange[]> {
    return await this.#recorder.until(await this.#server.revision(), ...prefixes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }
}

export async function simulatedCluster(namespaces: readonly string[], seed: number): Promise<OracleCluster> {
  const simulator = await new Simulator({ seed, bookmarkIntervalMs: 2_000 }).start()
  await using admin = new AdminClient(simulator.url, 'none', () => '')
  for (const namespace of namespaces) await admin.createNamespace(namespace)
  await admin.createWidgets()
  return new SimulatedCluster(simulator, namespaces)
}

const kinds: Readonly<Record<string, { readonly apiVersion: string; readonly kind: string; readonly prefix: string }>> =
  {
    pods: { apiVersion: 'v1', kind: 'Pod', prefix: 'pods' },
    configmaps: { apiVersion: 'v1', kind: 'ConfigMap', prefix: 'configmaps' },
    widgets: { apiVersion: 'example.com/v1', kind: 'Widget', prefix: 'example.com/widgets' },
  }

/** Its truth is what each write returned; that none is missing shows in the server's revision. */
class SimulatedCluster implements OracleCluster {
  readonly access: OracleCluster['access']
  readonly #simulator: Simulator
  readonly #namespaces: readonly string[]
  readonly #history: RecordedChange[] = []
  readonly #writer: Writer = {
    create: async (collection, body) => {
      const { apiVersion, kind, namespace } = referenceOf(collection)
      return await this.#write('created', collection, () => {
        const { metadata, ...object } = body as TestObject
        return this.#simulator.create({ ...object, apiVersion, kind, metadata: { ...metadata, namespace } })
      })
    },
    patch: async (path, body) => await this.#write('updated', path, () => this.#simulator.patch(targetOf(path), body)),
    delete: async (path) =>
      await this.#write('deleted', path, () => this.#simulator.delete(targetOf(path), { gracePeriodSeconds: 0 })),
  }

  constructor(simulator: Simulator, namespaces: readonly string[]) {
    this.#simulator = simulator
    this.#namespaces = namespaces
    this.access = { args: ['--master', simulator.url] }
  }

  async write(writes: Writes): Promise<void> {
    await operateOn(this.#writer, this.#namespaces, writes)
  }

  async restart(): Promise<void> {
    this.#simulator.restart()
  }

  async forget(): Promise<void> {
    this.#simulator.dropHistory()
    this.#simulator.restart()
  }

  async history(): Promise<readonly RecordedChange[]> {
    return [...this.#history]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#simulator[Symbol.asyncDispose]()
  }

  /** A write takes about as long as on a real server. */
  async #write(type: RecordedChange['type'], path: string, write: () => object): Promise<TestObject> {
    await delay(WRITE_MS) // how fast the cluster is, not how long a test waits
    const before = BigInt(this.#simulator.resourceVersion)
    const object = attempt(write) as TestObject
    const { name, namespace = '', uid = '', resourceVersion = '' } = object.metadata
    const after = BigInt(this.#simulator.resourceVersion)
    if (after === before) return object // changed nothing
    if (after !== before + 1n || BigInt(resourceVersion) !== after)
      throw new Error(`${path}: its write is not the only one from ${before} to ${after}`)
    const key = `${referenceOf(path).prefix}/${namespace}/${name}`
    this.#history.push({
      type,
      key,
      uid,
      resourceVersion,
      object: { ...object, metadata: { ...object.metadata, name, namespace, uid } },
    })
    return object
  }
}

async function operateOn(writer: Writer, namespaces: readonly string[], writes: Writes): Promise<void> {
  let written = 0
  const noted = async <T>(writing: Promise<T>) => {
    const result = await writing
    writes.onWrite?.(++written)
    return result
  }
  const noting: Writer = {
    create: (collection, body) => noted(writer.create(collection, body)),
    patch: (path, body) => noted(writer.patch(path, body)),
    delete: (path) => noted(writer.delete(path)),
  }
  const { count, seed, names } = writes
  await operate(noting, { count, seed, namespaces, names, writers: WRITERS })
}

/** The simulator refuses with an error of its own. */
function attempt<T>(write: () => T): T {
  try {
    return write()
  } catch (error) {
    const failure =
      error instanceof Error && 'failure' in error ? (error.failure as { readonly code: number }) : undefined
    if (!failure) throw error
    throw new AdminError(failure.code, String(error))
  }
}

function referenceOf(path: string) {
  const [namespace = '', resource = '', name = ''] = path.split('/namespaces/')[1]?.split('/') ?? []
  const kind = kinds[resource]
  if (!kind) throw new Error(`${path}: no kind is known for ${resource}`)
  return { ...kind, namespace, name }
}

function targetOf(path: string) {
  const { apiVersion, kind, namespace, name } = referenceOf(path)
  return { apiVersion, kind, metadata: { namespace, name } }
}
