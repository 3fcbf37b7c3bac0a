import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { type Program, Workspace } from '../../testbed/workspace.ts'

export interface BridgeOptions {
  /** All but `http` and `admin`, which get free loopback ports. */
  readonly config: object
  readonly kubeconfig?: string
  /** Texts of files beside the configuration, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Further arguments of `run`. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const main = join(import.meta.dirname, '../../../src/main.ts')

/** `deltawire run` as a process of its own. */
export async function startBridge(options: BridgeOptions): Promise<BridgeProcess> {
  const workspace = await Workspace.create('bridge')
  const config = join(workspace.folder, 'deltawire.yaml')
  for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(workspace.folder, name), text)
  const listen = '127.0.0.1:0'
  const head = { apiVersion: 'deltawire.io/v1', kind: 'Bridge', cluster: 'test' }
  const whole = { ...head, http: { listen }, admin: { listen } }
  await writeFile(config, JSON.stringify({ ...whole, ...options.config }, null, 2))
  const kube = options.kubeconfig ? ['--kubeconfig', options.kubeconfig] : []
  const args = [main, 'run', '--config', config, ...kube, ...(options.args ?? [])]
  const program = workspace.start('bridge', process.execPath, args, options.env)
  return new BridgeProcess(workspace, program)
}

/** One line of the bridge's log. */
export interface LogLine {
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export class BridgeProcess implements AsyncDisposable {
  readonly #workspace: Workspace
  readonly #program: Program

  constructor(workspace: Workspace, program: Program) {
    this.#workspace = workspace
    this.#program = program
  }

  get pid(): number {
    return this.#program.pid
  }

  /** Everything it printed, standard error and output. */
  async output(): Promise<string> {
    return await readFile(join(this.#workspace.folder, 'bridge.log'), 'utf8')
  }

  async log(): Promise<readonly LogLine[]> {
    const lines = (await this.output()).split('\n').filter((line) => line.startsWith('{"level"'))
    return lines.map((line) => JSON.parse(line) as LogLine)
  }

  /** The first log line that matches, as soon as it is there. */
  async logged(what: string, matches: (line: LogLine) => boolean, withinMs = 60_000): Promise<LogLine> {
    return await this.#until(what, async () => (await this.log()).find(matches), withinMs)
  }

  async ready(): Promise<void> {
    await this.#until('the bridge is ready', async () => (await this.get('/readyz')).status === 200)
  }

  /** Where the admin API listens. */
  async adminUrl(): Promise<string> {
    return String((await this.logged('it has started', ({ message }) => message === 'started')).admin)
  }

  /** One of the probes. */
  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const started = (await this.log()).find(({ message }) => message === 'started')
    if (!started) throw new Error('the bridge has not started yet')
    const response = await fetch(`${String(started.http)}${path}`)
    return { status: response.status, body: await response.text() }
  }

  /** The value of one series of /metrics: `deltawire_gaps_total{stream="pods/pods",cause="expired"}`; 0 if it is not there. */
  async metric(series: string): Promise<number> {
    const { body } = await this.get('/metrics')
    const line = body.split('\n').find((one) => one.startsWith(`${series} `))
    return Number(line?.slice(series.length + 1) ?? 0)
  }

  /** Resolves with the exit code, null after SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    await this.#program.end(signal)
    return this.#program.exitCode
  }

  /** Resolves when it has ended by itself. */
  async exited(): Promise<number | null> {
    await this.#until('the bridge has ended', () => !this.#program.running)
    return this.#program.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }

  async #until<T>(
    what: string,
    probe: () => T | Promise<T>,
    withinMs = 60_000,
  ): Promise<Exclude<T, undefined | false>> {
    try {
      return await eventually(probe, { what, withinMs })
    } catch (error) {
      throw new Error(`${what}: not so. The last it said: ${await this.#program.tail()}`, { cause: error })
    }
  }
}
