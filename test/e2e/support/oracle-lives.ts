/** The bridge of many lives: one process at a time, all on one state. */
import { join } from 'node:path'
import { cacheFolder } from '../../testbed/component.ts'
import { type BridgeOptions, type BridgeProcess, startBridge } from './bridge-process.ts'
import { copyFolder } from './oracle-evidence.ts'

export interface LivesOptions {
  /** How the server is reached. */
  readonly access: Pick<BridgeOptions, 'kubeconfig' | 'args'>
  /** Of the run with this number, from 1. */
  readonly config: (run: number) => object
  /** Where it keeps its state, in `state`. */
  readonly folder: string
}

/** Starting a process is most of what a seed costs. */
const compileCache = join(cacheFolder(), 'compile-cache')

export class OracleLives implements AsyncDisposable {
  /** What each run printed. */
  readonly outputs: string[] = []
  /** How often streams started how. */
  readonly rungs: Record<string, number> = {}
  /** Called as a request of the present run reaches a sink, with how many there were. */
  onRequest: (requests: number) => void = () => {}
  readonly #options: LivesOptions
  #bridge: BridgeProcess | undefined
  #run = 0
  #requests = 0

  constructor(options: LivesOptions) {
    this.#options = options
  }

  /** Of the newest process. */
  get run(): number {
    return this.#run
  }

  get pid(): number {
    return this.#running.pid
  }

  /** A request of a run has reached a sink, and is not answered yet. */
  requested(run: number): void {
    if (run === this.#run) this.onRequest(++this.#requests)
  }

  /**
   * Resolves when it is ready or, if a required sink is away, when it has started: with `up`. If `killedAt` is given,
   * SIGKILL may come first, as that request of it arrives: with `killed`.
   */
  async start(waitsFor: 'ready' | 'started', killedAt = Number.POSITIVE_INFINITY): Promise<'up' | 'killed'> {
    this.#run++
    this.#requests = 0
    const { access, config } = this.#options
    const env = { NODE_COMPILE_CACHE: compileCache }
    const bridge = await startBridge({ ...access, config: config(this.#run), env })
    this.#bridge = bridge
    const killed = Promise.withResolvers<'killed'>()
    this.onRequest = (requests) => {
      if (requests < killedAt) return
      this.onRequest = () => {}
      process.kill(bridge.pid, 'SIGKILL')
      killed.resolve('killed')
    }
    const isUp = waitsFor === 'ready' ? bridge.ready() : bridge.logged('it has started', hasStarted)
    const up = isUp.then(() => 'up' as const)
    up.catch(() => undefined) // of one that was killed nobody asks
    const how = await Promise.race([up, killed.promise])
    this.onRequest = () => {}
    return how
  }

  /** Resolves with the exit code, null after SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const bridge = this.#running
    const code = await bridge.end(signal)
    this.outputs.push(await bridge.output())
    for (const { rung } of await bridge.log()) {
      if (typeof rung === 'string') this.rungs[rung] = (this.rungs[rung] ?? 0) + 1
    }
    await bridge[Symbol.asyncDispose]()
    this.#bridge = undefined
    const { folder } = this.#options
    await copyFolder(join(folder, 'state'), join(folder, `state-after-run-${this.#run}`))
    return code
  }

  /** Of all streams to a sink: changes that are not settled. */
  async lag(sink: string): Promise<number> {
    const lags = (await this.metrics()).matchAll(/^deltawire_watermark_lag_events\{([^}]*)\} (\d+)$/gm)
    return [...lags].reduce((sum, [, labels, lag]) => sum + (labels?.includes(`"${sink}"`) ? Number(lag) : 0), 0)
  }

  async metrics(): Promise<string> {
    return (await this.#running.get('/metrics')).body
  }

  /** What /readyz says. */
  async readiness(): Promise<string> {
    return (await this.#running.get('/readyz')).body
  }

  /** Asks for a snapshot of every stream of a source, for all sinks; resolves when all have begun, or ended. */
  async ask(query: {
    readonly of: string
    readonly namespaces?: readonly string[]
    readonly until: 'began' | 'ended'
  }) {
    const response = await fetch(`${await this.#running.adminUrl()}/api/v1/snapshots`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(query),
    })
    const answer = await response.text()
    if (!response.ok) throw new Error(`no snapshot: ${response.status} ${answer}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.[Symbol.asyncDispose]()
  }

  get #running(): BridgeProcess {
    if (!this.#bridge) throw new Error('no bridge runs')
    return this.#bridge
  }
}

const hasStarted = ({ message }: { readonly message: string }) => message === 'started'
