import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { Copy, decodeStructured } from '../../../src/events/index.ts'
import { type BridgeProcess, startBridge } from '../../e2e/support/bridge-process.ts'
import { type Comparison, compare } from '../../e2e/support/oracle.ts'
import { operate, prefixes, resources } from '../../e2e/support/random-operations.ts'
import { assertCopied, type CopyResult, sorted } from '../../e2e/support/reference-copy.ts'
import { startCluster } from '../../e2e/support/stand.ts'
import { eventually } from '../../support/eventually.ts'
import type { TestApiServer } from '../../testbed/api-server.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { Recorder } from '../../testbed/recorder.ts'
import { listed } from './listed.ts'

/** Soon tried again, so that a fault that is over is soon seen to be over. */
export const retry = { initial: '50ms', max: '500ms' } as const

export interface FaultStandOptions {
  /** One that several tests share, each with a namespace of its own. @default a server that is started for this stand */
  readonly server?: TestApiServer
  /** Where all is written and watched. @default shop */
  readonly namespace?: string
  /** Path. @default one of the administrator, straight to the server */
  readonly kubeconfig?: string
  readonly env?: Readonly<Record<string, string>>
  /** Further members of the configuration. */
  readonly config?: object
  /** Printed and set by a test. */
  readonly seed: number
}

type Events = () => readonly ReceivedEvent[] | Promise<readonly ReceivedEvent[]>

/**
 * A real API server, the bridge as a process of its own, and the sinks that a test gives it; etcd's own history says what
 * should have arrived.
 */
export class FaultStand implements AsyncDisposable {
  readonly server: TestApiServer
  readonly namespace: string
  readonly #start: () => Promise<BridgeProcess>
  readonly #owned: AsyncDisposableStack
  #bridge: BridgeProcess
  #recorder: Recorder
  #seed: number

  private constructor(parts: Parts, seed: number) {
    this.server = parts.server
    this.namespace = parts.namespace
    this.#start = parts.start
    this.#owned = parts.owned
    this.#bridge = parts.bridge
    this.#recorder = parts.recorder
    this.#seed = seed * 1000
  }

  /** Resolves when the bridge is ready. */
  static async start(sinks: readonly object[], options: FaultStandOptions): Promise<FaultStand> {
    const { namespace = 'shop', env, config, seed } = options
    await using made = new AsyncDisposableStack()
    const server = options.server ?? made.use(await startCluster([namespace]))
    const kubeconfig = options.kubeconfig ?? (await server.kubeconfig())
    const start = async () =>
      await startBridge({
        kubeconfig,
        ...(env && { env }),
        config: { sources: [{ name: 'all', resources, namespaces: [namespace] }], sinks, ...config },
      })
    const bridge = await start()
    made.defer(() => bridge[Symbol.asyncDispose]())
    await bridge.ready()
    const recorder = await server.record()
    return new FaultStand({ server, namespace, start, bridge, recorder, owned: made.move() }, seed)
  }

  get bridge(): BridgeProcess {
    return this.#bridge
  }

  /** Ends the bridge; another one with the same configuration begins when `meanwhile` is done. */
  async restart(how: 'SIGTERM' | 'SIGKILL', meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    await this.#bridge.end(how)
    await meanwhile()
    const bridge = await this.#start()
    this.#owned.defer(() => bridge[Symbol.asyncDispose]())
    this.#bridge = bridge
  }

  /** So many random creates, updates and deletes. */
  async write(count: number): Promise<void> {
    await operate(this.server.admin, { count, seed: this.#seed++, namespaces: [this.namespace] })
  }

  /**
   * Resolves when all that was written is there, as itself or as what a later event of the object stands for. Rejects with
   * what is missing, out of order or different.
   */
  async arrived(events: Events): Promise<Comparison> {
    const history = await this.history()
    const what = 'all has arrived'
    const judge = async () => compare(history, await events())
    await eventually(async () => (await judge()).problems.length === 0, { what, withinMs: 120_000 }).catch(
      () => undefined, // the comparison below says what is missing
    )
    const result = await judge()
    assert.deepEqual(result.problems, [])
    return result
  }

  /**
   * Resolves when a consumer that follows docs/events.md has what the server has: by the product's own reducer, and by a
   * program that knows nothing of it.
   */
  async copied(events: () => readonly ReceivedEvent[]): Promise<CopyResult> {
    const truth = await listed(this.server, this.namespace)
    const isCopy = () => isDeepStrictEqual(sorted(held(events())), sorted(truth))
    await eventually(isCopy, { what: 'the copy is what the server has' }).catch(
      () => undefined, // the comparison below says what is different
    )
    return await assertCopied(events(), truth)
  }

  /** All that was written since the bridge was ready. */
  async history() {
    const own = prefixes.map((prefix) => `${prefix}${this.namespace}/`)
    return await this.#recorder.until(await this.server.revision(), ...own)
  }

  /** The states that the log has told of a sink, one line each. */
  async told(sink: string): Promise<readonly unknown[]> {
    return (await this.bridge.log()).filter(({ key }) => key === `sink ${sink}`).map(({ state }) => state)
  }

  /** The log says that the sink is in this state: its last line. */
  async untilTold(sink: string, state: string): Promise<void> {
    await eventually(async () => (await this.told(sink)).at(-1) === state, {
      what: `sink ${sink} is told to be ${state}`,
    })
  }

  /** How often the log has told that events of the sink are tried again, by code. */
  async retriesTold(sink: string): Promise<readonly unknown[]> {
    const lines = (await this.bridge.log()).filter(({ key }) => String(key).startsWith(`retries of sink ${sink}:`))
    return lines.map(({ code }) => code)
  }

  /** What `/readyz` says of the sink. */
  async readiness(sink: string): Promise<string> {
    const { body } = await this.bridge.get('/readyz')
    return body.split('\n').find((line) => line.includes(`sink ${sink}`)) ?? ''
  }

  /** Of a metric of this sink. */
  async metric(name: string, sink: string, labels = ''): Promise<number> {
    return await this.bridge.metric(`deltawire_${name}{sink="${sink}"${labels}}`)
  }

  /** Changes that the sink does not have yet, or that are behind one that it does not have: of all streams. */
  async lag(sink: string): Promise<number> {
    const { body } = await this.bridge.get('/metrics')
    const lines = [...body.matchAll(/^deltawire_watermark_lag_events\{(.*)\} (\d+)$/gm)]
    const ofSink = lines.filter(([, labels = '']) => labels.includes(`sink="${sink}"`))
    assert.equal(ofSink.length, resources.length, 'there is one for each stream')
    return ofSink.reduce((sum, [, , count]) => sum + Number(count), 0)
  }

  /** Nothing was given up, the sink is in order and owes nothing, and the bridge drains and ends. */
  async endsInOrder(...sinks: readonly string[]): Promise<void> {
    for (const sink of sinks) {
      await eventually(async () => (await this.metric('sink_queue_events', sink)) === 0, { what: `${sink} has all` })
      assert.equal(await this.metric('sink_circuit_state', sink), 0)
      assert.match(await this.readiness(sink), /connected$/)
    }
    const { body } = await this.bridge.get('/metrics')
    assert.deepEqual(
      body.split('\n').filter((line) => line.startsWith('deltawire_dead_letters_total{') && !line.endsWith(' 0')),
      [],
    )
    assert.equal(await this.bridge.end('SIGTERM'), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]()
  }
}

interface Parts {
  readonly server: TestApiServer
  readonly namespace: string
  readonly start: () => Promise<BridgeProcess>
  readonly bridge: BridgeProcess
  readonly recorder: Recorder
  readonly owned: AsyncDisposableStack
}

/** uid -> resourceVersion. */
function held(events: readonly ReceivedEvent[]): ReadonlyMap<string, string> {
  const copy = new Copy()
  for (const event of events) copy.apply(decodeStructured(JSON.stringify(event)))
  return new Map([...copy.objects()].map(({ uid, resourceVersion = '' }) => [uid, resourceVersion]))
}

/** A seed, told by the test. */
export function newSeed(t: { diagnostic(message: string): void }): number {
  const seed = Math.floor(Math.random() * 1e6)
  t.diagnostic(`seed ${seed}`)
  return seed
}
