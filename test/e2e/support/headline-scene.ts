/** A real API server, a real receiver and a bridge that remembers on a disk: what the headline cases happen to. */
import assert from 'node:assert/strict'
import { type TemporaryFolder, temporaryFolder } from '../../../src/journal/testing/kit.ts'
import { eventually } from '../../support/eventually.ts'
import type { TestApiServer } from '../../testbed/api-server.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { RecordedChange, Recorder } from '../../testbed/recorder.ts'
import { type BridgeProcess, startBridge } from './bridge-process.ts'
import { FaultyReceiver } from './faulty-receiver.ts'
import { type Comparison, compare } from './oracle.ts'
import { operate, prefixes, resources } from './random-operations.ts'
import { startCluster, webhook } from './stand.ts'
import { positionsIn } from './state-folder.ts'

/** What is written while something happens; and what nobody touches then, of which nothing may be told. */
export type Namespace = 'shop' | 'still'
const namespaces: readonly Namespace[] = ['shop', 'still']
/** One for each resource and namespace. */
export const STREAMS = resources.length * namespaces.length

/** Names that are never taken twice, so that every operation is a create. */
const NAMES_FOR_ALL = 1_000_000
const WRITERS = 8
const ARRIVES_WITHIN_MS = 120_000

/** A place in both logs. */
export interface Mark {
  readonly history: number
  readonly events: number
}

/** Of etcd. */
export interface Backup {
  readonly folder: string
  /** The newest in it. */
  readonly revision: bigint
}

export interface WriteOptions {
  readonly namespace?: Namespace
  readonly what?: 'anything' | 'creates'
}

export class HeadlineScene implements AsyncDisposable {
  readonly server: TestApiServer
  readonly receiver: FaultyReceiver
  readonly #folder: TemporaryFolder
  #recorder: Recorder
  #seed: number
  #bridge: BridgeProcess | undefined

  private constructor(
    parts: {
      readonly server: TestApiServer
      readonly receiver: FaultyReceiver
      readonly folder: TemporaryFolder
      readonly recorder: Recorder
    },
    seed: number,
  ) {
    this.server = parts.server
    this.receiver = parts.receiver
    this.#folder = parts.folder
    this.#recorder = parts.recorder
    this.#seed = seed * 1000
  }

  /** The bridge runs, and has seen that there is nothing: all that is written is a change. */
  static async start(seed: number): Promise<HeadlineScene> {
    await using made = new AsyncDisposableStack()
    const server = made.use(await startCluster(namespaces))
    const receiver = made.use(await FaultyReceiver.start())
    const folder = made.use(await temporaryFolder())
    const scene = new HeadlineScene({ server, receiver, folder, recorder: await server.record() }, seed)
    await scene.startBridge()
    made.move()
    return scene
  }

  /** Resolves when it is ready. */
  async startBridge(): Promise<void> {
    this.#bridge = await startBridge({
      kubeconfig: await this.server.kubeconfig(),
      config: {
        state: { type: 'file', path: this.#folder.path },
        sources: [{ name: 'all', resources, namespaces }],
        routes: [{ name: 'all', to: ['consumer'], payload: { previous: true } }],
        sinks: [webhook('consumer', this.receiver.url, { queue: { whenFull: 'block' } })],
      },
    })
    await this.#bridge.ready()
  }

  /**
   * kill -9, once all that has arrived is remembered. Of a stream that is quiet the newest position is not, so its last
   * change will arrive again: it is made to be the creation of an object that nobody touches.
   */
  async killBridge(): Promise<void> {
    await this.arrived()
    const positions = new Map<string, bigint>()
    for (const { stream, sequence } of this.receiver.events) {
      const position = BigInt(String(sequence))
      if (position > (positions.get(String(stream)) ?? 0n)) positions.set(String(stream), position)
    }
    assert.equal(positions.size, STREAMS)
    await this.createLast()
    await this.arrived()
    const isRemembered = async () => {
      const noted = await positionsIn(this.#folder.path)
      return [...positions].every(([stream, position]) => BigInt(noted.get(stream) ?? 0) >= position)
    }
    await eventually(isRemembered, { what: 'all that has arrived is remembered' })
    assert.equal(await this.bridge.end('SIGKILL'), null)
  }

  get bridge(): BridgeProcess {
    assert.ok(this.#bridge)
    return this.#bridge
  }

  /** How each stream has started, as the log of the running bridge says. */
  async rungs(): Promise<readonly string[]> {
    return (await this.bridge.log()).flatMap(({ rung }) => (typeof rung === 'string' ? [rung] : []))
  }

  async write(count: number, { namespace = 'shop', what = 'anything' }: WriteOptions = {}): Promise<void> {
    const names = what === 'creates' ? { names: NAMES_FOR_ALL } : {}
    await operate(this.server.admin, { count, seed: this.#seed++, namespaces: [namespace], ...names })
  }

  /** Deletes everything, one by one, and nothing is there. */
  async empty(): Promise<void> {
    const left = [...present(await this.history()).values()]
    const work = async () => {
      for (let one = left.pop(); one; one = left.pop()) await this.server.admin.delete(pathOf(one.key))
    }
    await Promise.all(Array.from({ length: WRITERS }, work))
  }

  /** So many objects of `shop` are deleted while the API server is away: by another one of the cluster, say. */
  async deleteBehind(count: number): Promise<void> {
    const objects = [...present(await this.history()).values()].filter(({ key }) => key.includes('/shop/'))
    assert.ok(objects.length >= count, `there are ${objects.length} objects`)
    for (const { key } of objects.slice(0, count)) {
      await this.server.etcd('kv/deleterange', { key: Buffer.from(`/registry/${key}`).toString('base64') })
    }
  }

  /** All that was written, since the beginning or since the server was restored. */
  async history(): Promise<readonly RecordedChange[]> {
    const keys = prefixes.flatMap((prefix) => namespaces.map((namespace) => `${prefix}${namespace}/`))
    return await this.#recorder.until(await this.server.revision(), ...keys)
  }

  async mark(): Promise<Mark> {
    return { history: (await this.history()).length, events: this.receiver.events.length }
  }

  /** What has arrived behind the mark, without what had arrived before, and each once. */
  newsSince({ events }: Mark): readonly ReceivedEvent[] {
    const known = new Set<string>()
    return this.receiver.events.filter((event, index) => {
      const id = `${event.source} ${event.id}`
      const isNews = index >= events && !known.has(id)
      known.add(id)
      return isNews
    })
  }

  /** Resolves when all that was written has arrived, or has been made up for. Rejects with what is not. */
  async arrived(): Promise<Comparison> {
    return await arrived(await this.history(), () => this.receiver.events)
  }

  async backUp(): Promise<Backup> {
    const revision = await this.server.revision()
    return { folder: await this.server.backup(), revision }
  }

  /** Returns what had been written, as far as it is still so; what is written from now on is the new history. */
  async restore({ folder, revision }: Backup): Promise<readonly RecordedChange[]> {
    const history = await this.history()
    await this.server.restore(folder)
    this.#recorder = await this.server.record(revision + 1n)
    return history.filter(({ resourceVersion }) => BigInt(resourceVersion) <= revision)
  }

  /** Everything that was on its way has arrived. */
  async end(): Promise<void> {
    assert.equal(await this.bridge.end('SIGTERM'), 0)
  }

  /** In each stream one more object, like one that was there. */
  async createLast(): Promise<void> {
    this.#seed++
    const models = new Map((await this.history()).map((change) => [collectionOf(change.key), change.object]))
    assert.equal(models.size, STREAMS)
    for (const [collection, { metadata: _, ...model }] of models) {
      await this.server.admin.create(collection, { ...model, metadata: { name: `last-${this.#seed}` } })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.[Symbol.asyncDispose]()
    await this.receiver[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
    await this.#folder[Symbol.asyncDispose]()
  }
}

/** Resolves when all of the history has arrived, or has been made up for. Rejects with what is not. */
export async function arrived(
  history: readonly RecordedChange[],
  events: () => readonly ReceivedEvent[],
): Promise<Comparison> {
  const judge = () => compare(history, events())
  await eventually(() => judge().problems.length === 0, { what: 'all has arrived', withinMs: ARRIVES_WITHIN_MS }).catch(
    () => undefined, // the comparison says what is missing
  )
  const result = judge()
  assert.deepEqual(result.problems, [])
  return result
}

/** What is there at the end of a history, by uid: the last write of each. */
function present(history: readonly RecordedChange[]): ReadonlyMap<string, RecordedChange> {
  const objects = new Map<string, RecordedChange>()
  for (const change of history) {
    if (change.type === 'deleted') objects.delete(change.uid)
    else objects.set(change.uid, change)
  }
  return objects
}

/** Where the API server has the objects like that of a key in etcd: `pods/shop/web`, `example.com/widgets/shop/one`. */
function collectionOf(key: string): string {
  const [, namespace, resource, group] = key.split('/').reverse()
  return `${group ? `/apis/${group}/v1` : '/api/v1'}/namespaces/${namespace}/${resource}`
}

function pathOf(key: string): string {
  return `${collectionOf(key)}/${key.slice(key.lastIndexOf('/') + 1)}`
}
