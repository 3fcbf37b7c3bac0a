/** What is measured, each with a world of its own outside of it: the bridge, as users run it, and the bare loop. */
import { join } from 'node:path'
import { type BridgeProcess, startBridge } from '../../test/e2e/support/bridge-process.ts'
import { eventually } from '../../test/support/eventually.ts'
import type { BareCalls, BareResult, BareTarget } from './bare.ts'
import { Child } from './child.ts'
import type { OutsideCalls, Run, RunResult } from './outside.ts'
import type { PodsOptions } from './pods.ts'

const script = (name: string) => join(import.meta.dirname, `${name}.ts`)

interface Outside {
  readonly calls: Child<OutsideCalls>
  /** Of the API server, and of the receiver. */
  readonly url: string
  readonly receiver: string
}

async function startOutside(pods: PodsOptions): Promise<Outside> {
  const calls = Child.start<OutsideCalls>(script('outside'))
  return { calls, ...(await calls.call('start', pods)) }
}

export interface BridgeSideOptions {
  readonly pods: PodsOptions
  /** The keys of the sink, but its name. */
  readonly sink: (receiver: string) => object
  /** The section `state`. @default in memory */
  readonly state?: object
  /** Where a CPU profile is written when it ends. */
  readonly profile?: string | undefined
}

/** `deltawire run`, all of whose events are changes. */
export class BridgeSide implements AsyncDisposable {
  readonly #outside: Outside
  readonly #bridge: BridgeProcess

  private constructor(outside: Outside, bridge: BridgeProcess) {
    this.#outside = outside
    this.#bridge = bridge
  }

  /** Resolves when it watches. */
  static async start({ pods, sink, state = {}, profile }: BridgeSideOptions): Promise<BridgeSide> {
    await using started = new AsyncDisposableStack() // what was started when something fails
    const outside = await startOutside(pods)
    started.use(outside.calls)
    const bridge = await startBridge({
      config: {
        sources: [{ name: 'all', resources: ['pods'] }],
        routes: [{ name: 'changes', to: ['bench'], on: ['added', 'updated', 'deleted', 'gap'] }],
        state,
        sinks: [{ name: 'bench', queue: { whenFull: 'block' }, ...sink(outside.receiver) }],
      },
      args: ['--master', outside.url],
      env: profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` },
    })
    started.use(bridge)
    await bridge.ready()
    await outside.calls.call('watched', undefined)
    started.move()
    return new BridgeSide(outside, bridge)
  }

  /** Throws if an event was lost, repeated or overtaken. Ends when the bridge has nothing left to do. */
  async run(run: Run): Promise<RunResult> {
    const result = await this.#outside.calls.call('run', run)
    if (result.problems.length > 0) throw new Error(`the bridge: ${result.problems.join('; ')}`)
    return result
  }

  /** Milliseconds of CPU that the process has used since it began. Waits until all is settled. */
  async cpuMs(): Promise<number> {
    const isSettled = async () => (await this.#bridge.metric('deltawire_sink_queue_events{sink="bench"}')) === 0
    await eventually(isSettled, { what: 'the queue is empty' })
    return (await this.#bridge.metric('process_cpu_seconds_total')) * 1000
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge.end('SIGTERM') // not killed: its profile is written when it ends
    await this.#bridge[Symbol.asyncDispose]()
    await this.#outside.calls[Symbol.asyncDispose]()
  }
}

export class BareSide implements AsyncDisposable {
  readonly #outside: Outside
  readonly #loop: Child<BareCalls>

  private constructor(outside: Outside, loop: Child<BareCalls>) {
    this.#outside = outside
    this.#loop = loop
  }

  static async start(pods: PodsOptions, target: (receiver: string) => BareTarget): Promise<BareSide> {
    await using started = new AsyncDisposableStack()
    const outside = await startOutside(pods)
    started.use(outside.calls)
    const loop = started.use(Child.start<BareCalls>(script('bare')))
    await loop.call('start', { server: outside.url, target: target(outside.receiver) })
    started.move()
    return new BareSide(outside, loop)
  }

  /** `events`: as the bridge sent them in structured mode. */
  async run(run: Run, events: readonly string[]): Promise<RunResult & { readonly bare: BareResult }> {
    const [result, bare] = await Promise.all([this.#outside.calls.call('run', run), this.#loop.call('run', events)])
    return { ...result, bare }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]()
    await this.#outside.calls[Symbol.asyncDispose]()
  }
}

/** Loopback, in plain HTTP: the keys that a webhook needs for it. */
export const local = { type: 'webhook', insecureHttp: true, network: { allow: ['127.0.0.1/32'] } } as const
