import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AdminClient } from './admin-client.ts'
import { use } from './component.ts'
import { etcd } from './components.ts'
import { kubeApiserver } from './kubernetes-components.ts'
import { Recorder } from './recorder.ts'
import { freePorts, type Program, Workspace, whileRunning } from './workspace.ts'

export interface ApiServerOptions {
  /** Further flags of kube-apiserver, for example `--watch-cache-sizes=pods#0`. */
  readonly flags?: readonly string[]
}

/**
 * Who may talk to it: `admin` may do everything, `limited` nothing until a role is bound to it. The token of `unknown` is
 * none that the server knows: 401.
 */
export type TestUser = 'admin' | 'limited' | 'unknown'

const tokens: Readonly<Record<TestUser, string>> = {
  admin: 'admin-token',
  limited: 'limited-token',
  unknown: 'unknown-token',
}
const START_ATTEMPTS = 3

/** A real etcd and a real kube-apiserver, without nodes, on free loopback ports. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<TestApiServer> {
  const programs = { etcd: await use(etcd), kubeApiserver: await use(kubeApiserver) }
  for (let attempt = 1; ; attempt++) {
    const workspace = await Workspace.create('api-server')
    try {
      return await TestApiServer.start(workspace, programs, options)
    } catch (error) {
      await workspace[Symbol.asyncDispose]()
      const taken = error instanceof Error && error.message.includes('address already in use')
      if (!taken || attempt === START_ATTEMPTS) throw error
    }
  }
}

interface Programs {
  readonly etcd: string
  readonly kubeApiserver: string
}

interface Ports {
  readonly etcd: number
  readonly peer: number
  readonly api: number
}

export class TestApiServer implements AsyncDisposable {
  readonly admin: AdminClient
  readonly #workspace: Workspace
  readonly #programs: Programs
  readonly #flags: readonly string[]
  #ports: Ports
  // another one that was faster to take the port would answer as well: told apart by its name
  readonly #name = randomUUID()
  #etcd: Program | undefined
  #api: Program | undefined
  #recorders: Recorder[] = []

  private constructor(workspace: Workspace, programs: Programs, ports: Ports, flags: readonly string[]) {
    this.#workspace = workspace
    this.#programs = programs
    this.#ports = ports
    this.#flags = flags
    this.admin = new AdminClient(this.url, tokens.admin, () => this.ca)
  }

  static async start(
    workspace: Workspace,
    programs: Programs,
    { flags = [] }: ApiServerOptions,
  ): Promise<TestApiServer> {
    const [client = 0, peer = 0, api = 0] = await freePorts(3)
    const server = new TestApiServer(workspace, programs, { etcd: client, peer, api }, flags)
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await writeFile(join(workspace.folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const users = [`${tokens.admin},admin,admin,"system:masters"`, `${tokens.limited},limited,limited,"limited"`]
    await writeFile(join(workspace.folder, 'tokens.csv'), `${users.join('\n')}\n`)
    await server.#startEtcd()
    await server.start()
    return server
  }

  get url(): string {
    return urlOf(this.#ports.api)
  }

  /** PEM; the server makes its own when it first starts. */
  get ca(): string {
    return readFileSync(this.caFile, 'utf8')
  }

  get caFile(): string {
    return join(this.#workspace.folder, 'certs', 'apiserver.crt')
  }

  token(user: TestUser): string {
    return tokens[user]
  }

  get pid(): number | undefined {
    return this.#api?.pid
  }

  /** Path of a kubeconfig for this user. */
  async kubeconfig(user: TestUser = 'admin'): Promise<string> {
    const file = join(this.#workspace.folder, `${user}.kubeconfig`)
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'testbed', cluster: { server: this.url, 'certificate-authority': this.caFile } }],
      users: [{ name: user, user: { token: tokens[user] } }],
      contexts: [{ name: user, context: { cluster: 'testbed', user } }],
      'current-context': user,
    }
    await writeFile(file, JSON.stringify(config, null, 2), { mode: 0o600 })
    return file
  }

  /** Starts kube-apiserver on the same port and etcd; resolves when it is ready and namespace `default` exists. */
  async start(): Promise<void> {
    this.#api = this.#run(this.#ports.api)
    await ready(this.#api, this.admin)
  }

  /**
   * As in an upgrade of servers behind a load balancer: starts another kube-apiserver beside the first, on the same etcd.
   * Resolves when that is ready, with what ends the first as `stop` does; `url` and `admin` lead to the new one.
   */
  async startAnother(): Promise<() => Promise<void>> {
    const first = this.#api
    const [port = 0] = await freePorts(1)
    const another = this.#run(port)
    await using admin = new AdminClient(urlOf(port), tokens.admin, () => this.ca)
    await ready(another, admin)
    this.#api = another
    this.#ports = { ...this.#ports, api: port }
    this.admin.moveTo(this.url)
    return async () => await first?.end('SIGTERM')
  }

  #run(port: number): Program {
    return this.#workspace.start('kube-apiserver', this.#programs.kubeApiserver, [
      `--etcd-servers=${this.#etcdUrl}`,
      `--secure-port=${port}`,
      '--bind-address=127.0.0.1',
      '--cert-dir=certs',
      '--token-auth-file=tokens.csv',
      '--authorization-mode=RBAC',
      '--service-account-key-file=sa.key',
      '--service-account-signing-key-file=sa.key',
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.0.0.0/24',
      // no controller makes service accounts here, and pods would wait for theirs
      '--disable-admission-plugins=ServiceAccount',
      // etcd then holds JSON, which its history can be read from
      '--storage-media-type=application/json',
      ...this.#flags,
    ])
  }

  /** As a crash: SIGKILL, at once. etcd goes on. */
  async kill(): Promise<void> {
    await this.#api?.end('SIGKILL')
    this.admin.reset()
  }

  /** As an upgrade: SIGTERM. It goes on serving its watches while it drains; resolves when it has ended. */
  async stop(): Promise<void> {
    await this.#api?.end('SIGTERM')
    this.admin.reset()
  }

  /** Of all that etcd holds, as of now; nothing is stopped for it. Returns what `restore` takes. */
  async backup(): Promise<string> {
    const etcd = this.#etcd
    if (!etcd) throw new Error('etcd has not been started')
    const folder = await mkdtemp(join(this.#workspace.folder, 'backup-'))
    // while it stands still its files are what they would be after a kill -9
    process.kill(etcd.pid, 'SIGSTOP')
    try {
      await cp(this.#etcdFolder, folder, { recursive: true })
    } finally {
      process.kill(etcd.pid, 'SIGCONT')
    }
    return folder
  }

  /** As after a disaster: all that was written since the backup never was. Versions go back; recorders end. */
  async restore(backup: string): Promise<void> {
    for (const recorder of this.#recorders.splice(0)) await recorder[Symbol.asyncDispose]()
    await this.kill()
    await this.#etcd?.end('SIGKILL')
    await rm(this.#etcdFolder, { recursive: true })
    await cp(backup, this.#etcdFolder, { recursive: true })
    await this.#startEtcd()
    await this.start()
  }

  /** Newest revision of etcd, which is the newest resourceVersion. */
  async revision(): Promise<bigint> {
    const { header } = (await this.etcd('kv/range', { key: Buffer.from('\0').toString('base64'), limit: 1 })) as {
      readonly header: { readonly revision: string }
    }
    return BigInt(header.revision)
  }

  /**
   * Makes etcd forget what was before its newest revision, or before the given one, once its recorders have that. A
   * running server still has its cache.
   */
  async compact(revision?: bigint): Promise<void> {
    const to = revision ?? (await this.revision())
    for (const recorder of this.#recorders) await recorder.until(to)
    await this.etcd('kv/compaction', { revision: String(to), physical: true })
  }

  /** etcd's own history, from now or from a revision on: the truth that tests compare with. */
  async record(from?: bigint): Promise<Recorder> {
    const recorder = await Recorder.start(this.#etcdUrl, from ?? (await this.revision()) + 1n)
    this.#recorders.push(recorder)
    return recorder
  }

  /** A call of etcd's JSON gateway. */
  async etcd(path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.#etcdUrl}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`etcd refused ${path}: ${await response.text()}`)
    return await response.json()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const recorder of this.#recorders) await recorder[Symbol.asyncDispose]()
    await this.admin[Symbol.asyncDispose]()
    await this.#workspace[Symbol.asyncDispose]()
  }

  async #startEtcd(): Promise<void> {
    const url = this.#etcdUrl
    const peerUrl = `http://127.0.0.1:${this.#ports.peer}`
    const etcd = this.#workspace.start('etcd', this.#programs.etcd, [
      `--name=${this.#name}`,
      `--data-dir=${this.#etcdFolder}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${this.#name}=${peerUrl}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ])
    this.#etcd = etcd
    await whileRunning(etcd, 'etcd answers', async () => (await this.#etcdName()) === this.#name)
  }

  get #etcdFolder(): string {
    return join(this.#workspace.folder, 'etcd')
  }

  get #etcdUrl(): string {
    return `http://127.0.0.1:${this.#ports.etcd}`
  }

  async #etcdName(): Promise<string | undefined> {
    const { members } = (await this.etcd('cluster/member/list', {})) as {
      readonly members: readonly { readonly name?: string }[]
    }
    return members[0]?.name
  }
}

const urlOf = (port: number): string => `https://127.0.0.1:${port}`

async function ready(api: Program, admin: AdminClient): Promise<void> {
  await whileRunning(api, 'kube-apiserver is ready', async () => {
    await admin.get('/readyz')
    await admin.get('/api/v1/namespaces/default')
    await admin.get('/api/v1/namespaces/kube-system')
    return true
  })
}
