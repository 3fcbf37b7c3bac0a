/** Helm, as a user runs it, on a cluster of the testbed. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Cluster } from '../../testbed/cluster/cluster.ts'
import { type Component, use } from '../../testbed/component.ts'

const run = promisify(execFile)
const chart = resolve(import.meta.dirname, '../../../helm')

export class Helm implements AsyncDisposable {
  readonly #file: string
  readonly #home: string
  readonly #kubeconfig: string

  private constructor(file: string, home: string, kubeconfig: string) {
    this.#file = file
    this.#home = home
    this.#kubeconfig = kubeconfig
  }

  /** `component`: which version of Helm. */
  static async create(component: Component, { kubeconfig }: Cluster): Promise<Helm> {
    return new Helm(await use(component), await mkdtemp(join(tmpdir(), 'deltawire-helm-')), kubeconfig)
  }

  /** `helm install RELEASE` with these values, into a namespace that exists. Resolves when the pod is ready. */
  async install(release: string, namespace: string, values: object): Promise<string> {
    const file = join(this.#home, `${release}.json`)
    await writeFile(file, JSON.stringify(values))
    return await this.run('install', release, chart, '--namespace', namespace, '--values', file, ...WAIT)
  }

  async test(release: string, namespace: string): Promise<string> {
    return await this.run('test', release, '--namespace', namespace, '--timeout=2m')
  }

  async uninstall(release: string, namespace: string): Promise<string> {
    return await this.run('uninstall', release, '--namespace', namespace, ...WAIT)
  }

  async run(...args: readonly string[]): Promise<string> {
    const env = { PATH: process.env.PATH, HOME: this.#home, KUBECONFIG: this.#kubeconfig }
    const { stdout } = await run(this.#file, args, { env })
    return stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#home, { recursive: true })
  }
}

const WAIT = ['--wait', '--timeout=2m']
