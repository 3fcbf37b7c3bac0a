/**
 * Containers of an image, run by runc as strictly as a cluster would ever run them: any user, no capability, nothing but
 * /tmp to write to.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from '../support/eventually.ts'
import { use } from './component.ts'
import { nodeSystem } from './node-components.ts'
import { type Program, Workspace, whileRunning } from './workspace.ts'

const run = promisify(execFile)

export interface ContainerOptions {
  /** Instead of the image's own command; found on the image's PATH. */
  readonly command?: readonly string[]
  /** After the command. */
  readonly args: readonly string[]
  /** Files that it finds, by their place: as from a ConfigMap or a Secret. */
  readonly files?: Readonly<Record<string, string>>
  /** Besides what the image sets. */
  readonly env?: Readonly<Record<string, string>>
  /** `none`: not even a loopback interface. @default none */
  readonly network?: 'none' | 'machine'
  /** @default no limit */
  readonly memoryBytes?: number
}

/** The `config` of an image. */
export interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly WorkingDir: string
  readonly Labels: Readonly<Record<string, string>>
}

interface Manifest {
  readonly Config: string
  readonly Layers: readonly string[]
}

/** An image, unpacked into a folder of its own. Disposing ends its containers and removes it. */
export class UnpackedImage implements AsyncDisposable {
  readonly config: ImageConfig
  /** As tar files, the lowest first. */
  readonly layers: readonly string[]
  readonly #runc: string
  readonly #workspace: Workspace

  private constructor(workspace: Workspace, runc: string, config: ImageConfig, layers: readonly string[]) {
    this.#workspace = workspace
    this.#runc = runc
    this.config = config
    this.layers = layers
  }

  static async unpack(archive: string): Promise<UnpackedImage> {
    const runc = join(await use(nodeSystem), 'usr/bin/runc')
    const workspace = await Workspace.create('image')
    const { folder } = workspace
    await mkdir(join(folder, 'archive'))
    await mkdir(join(folder, 'root'))
    await run('tar', ['--extract', '--file', archive, '--directory', join(folder, 'archive')])
    const json = async (name: string) => JSON.parse(await readFile(join(folder, 'archive', name), 'utf8')) as unknown
    const [manifest] = (await json('manifest.json')) as readonly Manifest[]
    if (!manifest) throw new Error(`${archive} holds no image`)
    const { config } = (await json(manifest.Config)) as { readonly config: ImageConfig }
    const layers = manifest.Layers.map((name) => join(folder, 'archive', name))
    for (const layer of layers) await run('tar', ['--extract', '--file', layer, '--directory', join(folder, 'root')])
    return new UnpackedImage(workspace, runc, config, layers)
  }

  /** The files of the image. */
  get root(): string {
    return join(this.#workspace.folder, 'root')
  }

  /** Starts a container. */
  async start(options: ContainerOptions): Promise<Container> {
    const id = `deltawire-${randomUUID()}`
    const bundle = join(this.#workspace.folder, id)
    await mkdir(bundle)
    const mounts: [place: string, source: string][] = []
    for (const [place, content] of Object.entries(options.files ?? {})) {
      const source = join(bundle, `file-${mounts.length}`)
      await writeFile(source, content, { mode: 0o444 })
      mounts.push([place, source])
    }
    await writeFile(join(bundle, 'config.json'), JSON.stringify(this.#specification(id, options, mounts)))
    // In processes of their own, which all end when the first one does: what is started here, the workspace can end
    const apart = ['--mount', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc']
    const command = [this.#runc, `--root=${this.#workspace.folder}/runc`, 'run', `--bundle=${bundle}`, id]
    const program = this.#workspace.start(id, 'unshare', [...apart, ...command])
    return new Container(program, join(this.#workspace.folder, `${id}.log`))
  }

  /** Runs a container to its end. */
  async run(options: ContainerOptions): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const container = await this.start(options)
    return { exitCode: await container.ended(), output: await container.output() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]()
  }

  #specification(
    id: string,
    { command = this.config.Entrypoint, args, env = {}, network = 'none', memoryBytes }: ContainerOptions,
    files: readonly (readonly [place: string, source: string])[],
  ): object {
    const namespaces = ['mount', 'pid', 'ipc', 'uts', ...(network === 'none' ? ['network'] : [])]
    const safe = ['nosuid', 'nodev', 'noexec']
    const mount = (destination: string, type: string, ...more: readonly string[]) => ({
      destination,
      type,
      source: type,
      options: [...safe, ...more],
    })
    return {
      ociVersion: '1.0.2',
      root: { path: this.root, readonly: true },
      process: {
        user: ARBITRARY,
        args: [...command, ...args],
        env: [...this.config.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
        cwd: this.config.WorkingDir,
        capabilities: {},
        noNewPrivileges: true,
      },
      mounts: [
        mount('/proc', 'proc'),
        mount('/sys', 'sysfs', 'ro'),
        mount('/sys/fs/cgroup', 'cgroup', 'ro'),
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
        mount('/tmp', 'tmpfs', 'mode=1777', 'size=16m'),
        ...files.map(([destination, source]) => {
          return { destination, type: 'bind', source, options: [...safe, 'bind', 'ro'] }
        }),
      ],
      linux: {
        cgroupsPath: `/${id}`,
        namespaces: namespaces.map((type) => ({ type })),
        ...(memoryBytes !== undefined && { resources: { memory: { limit: memoryBytes } } }),
      },
    }
  }
}

/** A user that the image does not know, as OpenShift gives one to each namespace. */
const ARBITRARY = { uid: 12345, gid: 12345 } as const

/** A running container. */
export class Container {
  readonly #program: Program
  readonly #log: string

  constructor(program: Program, log: string) {
    this.#program = program
    this.#log = log
  }

  /** Everything it printed, standard error and output. */
  async output(): Promise<string> {
    return await readFile(this.#log, 'utf8')
  }

  /** What the probe returns, as soon as that is neither undefined nor false. Rejects if the container ends before. */
  async until<T>(what: string, probe: () => Promise<T>): Promise<Exclude<T, undefined | false>> {
    return await whileRunning(this.#program, what, probe)
  }

  /** Memory of its first process that is in use, bytes. */
  residentBytes(): number {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#inner()}/status`, 'utf8')) ?? []
    return Number(kilobytes) * 1024
  }

  /** Asks it to stop, as a cluster does, and resolves with its exit code when it has. */
  async stop(): Promise<number | null> {
    process.kill(this.#inner(), 'SIGTERM')
    return await this.ended()
  }

  /** Resolves with its exit code when it has ended by itself. */
  async ended(): Promise<number | null> {
    await eventually(() => !this.#program.running, { withinMs: 60_000, what: 'the container has ended' })
    return this.#program.exitCode
  }

  /** The container's first process: a child of runc, which is the child of what was started. */
  #inner(): number {
    return childOf(childOf(this.#program.pid))
  }
}

/** The only child of a process, whichever of its threads started it. */
function childOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const children = threads.flatMap((id) => readFileSync(`/proc/${pid}/task/${id}/children`, 'utf8').match(/\d+/g) ?? [])
  if (children.length !== 1) throw new Error(`process ${pid} has ${children.length} children instead of one`)
  return Number(children[0])
}
