/**
 * The machine that a cluster's node believes to be: processes, mounts and network of its own, made of namespaces. What runs
 * in it cannot leave anything behind, because it all ends with its first process, `init.sh`, and that ends with this
 * process.
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { eventually } from '../../support/eventually.ts'
import type { Watched } from '../workspace.ts'
import { makeCgroups, removeCgroups } from './cgroups.ts'

const run = promisify(execFile)

/** Both ends of the link between the machine and the node, and what lies behind the node. */
export const network = {
  machine: '172.31.255.1',
  node: '172.31.255.2',
  prefix: 30,
  pods: '10.244.0.0/24',
  services: '10.96.0.0/16',
  /** Of the API server: the first of the services. */
  kubernetes: '10.96.0.1',
  dns: '10.96.0.10',
} as const

/** Name of the machine's end of the link, and of the cgroup that all containers are in. */
const NAME = 'deltawire'
const LINK = `/sys/class/net/${NAME}`

/** Folders that the node's root directory is made of. */
export interface NodeParts {
  readonly system: string
  readonly kubernetes: string
  readonly kubeApiserver: string
  readonly etcd: string
  readonly coredns: string
}

export class ClusterNode implements AsyncDisposable {
  /** The cgroup that the kubelet may use, below the roots of the controllers. */
  static readonly cgroup = `/${NAME}`
  /** Its root directory, seen from outside. What is written there before a program starts, the program sees. */
  readonly root: string
  readonly #folder: string
  readonly #init: ChildProcessWithoutNullStreams
  readonly #ended: Promise<unknown>
  #pid = ''
  #complaints = ''

  private constructor(folder: string, parts: NodeParts) {
    this.#folder = folder
    this.root = join(folder, 'root')
    const namespaces = ['--mount', '--net', '--pid', '--ipc', '--uts', '--fork', '--kill-child=SIGKILL']
    const { machine: _, node, prefix, services } = network
    const folders = [this.root, parts.system, parts.kubernetes, parts.kubeApiserver, parts.etcd, parts.coredns]
    const init = ['sh', join(import.meta.dirname, 'init.sh'), ...folders, `${node}/${prefix}`, services, NAME]
    this.#init = spawn('unshare', [...namespaces, ...init], { detached: true })
    this.#init.stderr.on('data', (text) => {
      this.#complaints = `${this.#complaints}${text}`.slice(-4000)
    })
    this.#init.stdin.on('error', () => {}) // it has ended: that is told by what reads from it
    this.#ended = once(this.#init, 'close')
  }

  /** Starts it, with the folder for all that it writes. Of an earlier one nothing may be left: see `removeLeftovers`. */
  static async create(folder: string, parts: NodeParts): Promise<ClusterNode> {
    await mkdir(join(folder, 'log'), { recursive: true })
    await makeCgroups(NAME)
    const node = new ClusterNode(folder, parts)
    try {
      await node.#start(parts.system)
      return node
    } catch (error) {
      await node[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * Removes what an earlier node left whose process was killed. Its processes, mounts and network end by themselves then,
   * which this waits for; files and perhaps empty cgroups stay.
   */
  static async removeLeftovers(folder: string): Promise<void> {
    await eventually(() => !existsSync(LINK), {
      what: `the network interface ${NAME} is gone. An earlier cluster still runs: end its first process, init.sh`,
    })
    await removeCgroups(NAME)
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }

  /** Writes files by their place in it. */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.root, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content, { mode: 0o600 })
    }
  }

  /** Starts a program in it. What it prints goes to `<name>.log`. */
  start(name: string, args: readonly string[]): Watched {
    const log = this.#log(name)
    const output = openSync(log, 'a')
    const child = spawn('nsenter', this.#enter(name, args), {
      stdio: ['ignore', output, output],
      detached: true,
      env: environment,
    })
    closeSync(output)
    return {
      get running() {
        return child.exitCode === null && child.signalCode === null
      },
      tail: async () => `${log}\n${(await readFile(log, 'utf8')).split('\n').slice(-15).join('\n')}`,
    }
  }

  /** Runs a program in it to its end, with a file of the machine as its standard input. What it prints. */
  async run(program: string, args: readonly string[], input = '/dev/null'): Promise<string> {
    await using file = await open(input)
    const child = spawn('nsenter', this.#enter(program, args), { detached: true, env: environment })
    const [output, said, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
      pipeline(file.createReadStream(), child.stdin).catch(() => {}), // it need not read to the end
    ])
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed in the node: ${said}`)
    return output
  }

  /** Ends all that runs in it, at once, and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#init.stdin.end()
    const hangs = setTimeout(() => this.#init.kill('SIGKILL'), 20_000)
    await this.#ended
    clearTimeout(hangs)
    await ClusterNode.removeLeftovers(this.#folder)
  }

  async #start(system: string): Promise<void> {
    const lines = createInterface({ input: this.#init.stdout })[Symbol.asyncIterator]()
    const line = async () => {
      const { value } = await lines.next()
      if (value !== undefined) return value
      throw new Error(`the node cannot be made on this machine: ${this.#complaints}`)
    }
    this.#pid = await line()
    const ip = (...args: readonly string[]) => run('chroot', [system, 'ip', ...args], { env: environment })
    await ip('link', 'add', NAME, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#pid)
    await ip('address', 'add', `${network.machine}/${network.prefix}`, 'dev', NAME)
    await ip('link', 'set', NAME, 'up')
    this.#init.stdin.write('\n')
    await line()
  }

  #enter(program: string, args: readonly string[]): readonly string[] {
    return ['--target', this.#pid, '--mount', '--net', '--pid', '--ipc', '--uts', '--', program, ...args]
  }

  #log(name: string): string {
    return join(this.#folder, 'log', `${name}.log`)
  }
}

const environment = {
  HOME: '/root',
  PATH: '/opt/kubernetes:/opt/kube-apiserver:/opt/etcd:/opt/coredns:/usr/sbin:/usr/bin',
}
