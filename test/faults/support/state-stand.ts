/** A bridge whose state is on a disk that something is done to, on an API server that it shares with others. */
import assert from 'node:assert/strict'
import { Copy, decodeStructured } from '../../../src/events/index.ts'
import { type BridgeProcess, type LogLine, startBridge } from '../../e2e/support/bridge-process.ts'
import { FaultyReceiver } from '../../e2e/support/faulty-receiver.ts'
import { operate, prefixes, resources } from '../../e2e/support/random-operations.ts'
import { assertCopied, stateOf } from '../../e2e/support/reference-copy.ts'
import { webhook } from '../../e2e/support/stand.ts'
import { isEndNoted, positionsIn } from '../../e2e/support/state-folder.ts'
import { eventually } from '../../support/eventually.ts'
import type { TestApiServer } from '../../testbed/api-server.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { Recorder } from '../../testbed/recorder.ts'

export interface StateStandOptions {
  readonly server: TestApiServer
  readonly namespace: string
  /** Of its state. */
  readonly path: string
  readonly seed: number
}

export class StateStand implements AsyncDisposable {
  readonly receiver: FaultyReceiver
  readonly #options: StateStandOptions
  readonly #recorder: Recorder
  #seed: number
  #bridge: BridgeProcess | undefined

  private constructor(options: StateStandOptions, receiver: FaultyReceiver, recorder: Recorder) {
    this.#options = options
    this.#seed = options.seed * 1000
    this.receiver = receiver
    this.#recorder = recorder
  }

  /** The bridge runs, has told some changes, and what it has to remember is on the disk. */
  static async start(options: StateStandOptions): Promise<StateStand> {
    const { server, namespace, path } = options
    await server.admin.createNamespace(namespace)
    const stand = new StateStand(options, await FaultyReceiver.start(), await server.record())
    await stand.startBridge()
    await stand.bridge.ready()
    await stand.write(40)
    const isRemembered = async () => (await positionsIn(path)).size === resources.length
    await eventually(isRemembered, { what: 'the position of each stream is on disk' })
    await stand.write(120)
    await stand.copied()
    await eventually(() => isEndNoted(path), { what: 'the end of the log is noted' })
    return stand
  }

  get bridge(): BridgeProcess {
    assert.ok(this.#bridge)
    return this.#bridge
  }

  /** In place of the one before, if that has ended. */
  async startBridge(): Promise<BridgeProcess> {
    await this.#bridge?.[Symbol.asyncDispose]()
    this.#bridge = await this.startSecond()
    return this.#bridge
  }

  /** One more on the same folder. */
  async startSecond(): Promise<BridgeProcess> {
    const { server, namespace, path } = this.#options
    return await startBridge({
      kubeconfig: await server.kubeconfig(),
      config: {
        state: { type: 'file', path },
        sources: [{ name: 'all', resources, namespaces: [namespace] }],
        sinks: [webhook('copy', this.receiver.url)],
      },
    })
  }

  async write(count: number): Promise<void> {
    const { server, namespace } = this.#options
    await operate(server.admin, { count, seed: this.#seed++, namespaces: [namespace] })
  }

  /** Resolves when a copy made of all events is what etcd has; an independent program agrees. */
  async copied(): Promise<void> {
    const { server, namespace } = this.#options
    const keys = prefixes.map((prefix) => `${prefix}${namespace}/`)
    const truth = stateOf(await this.#recorder.until(await server.revision(), ...keys))
    const isCopied = () => {
      const copy = new Copy()
      for (const event of this.receiver.events) copy.apply(decodeStructured(JSON.stringify(event)))
      const objects = [...copy.objects()]
      return (
        objects.length === truth.size && objects.every(({ uid, resourceVersion }) => truth.get(uid) === resourceVersion)
      )
    }
    await eventually(isCopied, { what: 'the copy is what etcd has', withinMs: 60_000 }).catch(
      () => undefined, // what differs is shown
    )
    await assertCopied(this.receiver.events, truth)
  }

  /** Since so many events, each stream has told a gap and a full snapshot. */
  async announced(since: number): Promise<void> {
    const ofType = (type: string) => this.receiver.events.slice(since).filter((event) => event.type === type)
    const isAnnounced = () => ofType('io.deltawire.snapshot.end.v1').length >= resources.length
    await eventually(isAnnounced, { what: 'each stream has sent a full snapshot', withinMs: 60_000 })
    const gaps = new Set(ofType('io.deltawire.stream.gap.v1').map(({ stream }) => stream))
    assert.equal(gaps.size, resources.length)
    const first: ReceivedEvent | undefined = this.receiver.events[since]
    assert.equal(first?.type, 'io.deltawire.stream.gap.v1')
  }

  /** What the log says about the state, but for that it is in use. */
  async told(): Promise<readonly LogLine[]> {
    return (await this.bridge.log()).filter(
      ({ level, message }) => level !== 'info' && (message.includes(' state ') || message.includes('the state')),
    )
  }

  async rungs(): Promise<readonly unknown[]> {
    return (await this.bridge.log()).flatMap(({ rung }) => (rung === undefined ? [] : [rung]))
  }

  /** /readyz says this of the state. */
  async untilProblem(problem: RegExp, bridge = this.bridge): Promise<void> {
    const start = '[!] state: cannot be written or read, streams wait: '
    const isTold = async () => {
      const line = (await bridge.get('/readyz')).body.split('\n').find((one) => one.startsWith(start))
      return line !== undefined && problem.test(line.slice(start.length))
    }
    await eventually(isTold, { what: `the state: ${problem}`, withinMs: 60_000 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.[Symbol.asyncDispose]()
    await this.receiver[Symbol.asyncDispose]()
  }
}
