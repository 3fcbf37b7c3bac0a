/** A real Kubernetes of one node, on this machine: control plane, kubelet, containerd, pod network, kube-proxy. */
import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { AdminClient, type TestObject } from '../admin-client.ts'
import { cacheFolder, use } from '../component.ts'
import { etcd } from '../components.ts'
import { kubeApiserver, kubernetesNode } from '../kubernetes-components.ts'
import { nodeSystem } from '../node-components.ts'
import { Recorder } from '../recorder.ts'
import { type Program, whileRunning } from '../workspace.ts'
import { writeBusyboxImage } from './busybox-image.ts'
import { makeCertificates } from './certificates.ts'
import {
  API,
  CERTIFICATES,
  ETCD,
  IMAGE,
  kubeconfigOf,
  kubeconfigs,
  NODE_NAME,
  nodeFiles,
  TOKENS,
} from './configuration.ts'
import { type Hold, holdMachine, requireAbility } from './machine.ts'
import { Node, type NodeParts, network, writeFiles } from './node.ts'

const run = promisify(execFile)

export interface ClusterOptions {
  /** Told of every step that is done, in words. */
  readonly report?: (step: string) => void
}

/**
 * Resolves when the node is Ready and pods can be created in namespace `default`, 10 to 20 s after all components are
 * installed. There is one on a machine at a time: waits while another process, or this one, has one. Rejects, naming what
 * is missing, where it cannot run: it takes Linux and root.
 *
 * Pods reach the machine at `cluster.address`, and nothing beyond it. Images are imported, not pulled. There is no DNS:
 * lookups in pods fail at once.
 */
export async function startCluster({ report = () => {} }: ClusterOptions = {}): Promise<Cluster> {
  requireAbility()
  const parts: NodeParts = {
    system: await use(nodeSystem),
    kubernetes: await use(kubernetesNode),
    kubeApiserver: dirname(await use(kubeApiserver)),
    etcd: dirname(await use(etcd)),
  }
  report('components are installed')
  const hold = await holdMachine()
  try {
    const folder = join(cacheFolder(), 'cluster')
    await Node.removeLeftovers(folder)
    await makeRoot(join(folder, 'root'), parts.system)
    const node = await Node.create(folder, parts)
    try {
      report('the node is made')
      return await Cluster.start(node, parts, hold, report)
    } catch (error) {
      await node[Symbol.asyncDispose]()
      throw error
    }
  } catch (error) {
    hold[Symbol.dispose]()
    throw error
  }
}

export class Cluster implements AsyncDisposable {
  /** Path of a kubeconfig that may do everything, for programs on this machine. */
  readonly kubeconfig: string
  /** Path of kubectl. */
  readonly kubectlFile: string
  /** This machine's address as pods see it: what listens there, or on all addresses, they reach. */
  readonly address = network.machine
  /** The node's address: NodePorts are there. */
  readonly nodeAddress = network.node
  readonly url = API
  /** An image that is there: busybox. A container of it without a command waits. */
  readonly image = IMAGE
  readonly admin: AdminClient
  readonly #node: Node
  readonly #hold: Hold
  readonly #recorders: Recorder[] = []
  #disposed: Promise<void> | undefined

  private constructor(
    node: Node,
    parts: NodeParts,
    hold: Hold,
    access: { readonly token: string; readonly ca: string },
  ) {
    this.#node = node
    this.#hold = hold
    this.kubeconfig = join(node.root, kubeconfigOf('admin'))
    this.kubectlFile = join(parts.kubernetes, 'kubectl')
    this.admin = new AdminClient(API, access.token, () => access.ca)
  }

  /** Starts everything in the node, in the order in which one needs the other. */
  static async start(node: Node, parts: NodeParts, hold: Hold, report: (step: string) => void): Promise<Cluster> {
    const secrets = new Map<string, string>()
    const token = (user: string) => {
      const known = secrets.get(user) ?? randomBytes(16).toString('hex')
      secrets.set(user, known)
      return known
    }
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await writeFiles(node.root, {
      ...nodeFiles(token),
      [`${CERTIFICATES}/service-accounts.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    })
    const containerd = node.start('containerd', [])
    node.start('etcd', etcdFlags)
    await makeCertificates(node)
    const ca = await readFile(join(node.root, CERTIFICATES, 'ca.crt'), 'utf8')
    await writeFiles(node.root, kubeconfigs(ca, token))
    const cluster = new Cluster(node, parts, hold, { token: token('admin'), ca })

    const apiServer = node.start('kube-apiserver', apiServerFlags)
    await whileRunning(containerd, 'containerd answers', async () => await node.run('ctr', ['version']))
    await cluster.#importBusybox(parts.system)
    report('containerd runs, with the busybox image')
    await whileRunning(apiServer, 'kube-apiserver is ready', async () => await cluster.admin.get('/readyz'))
    report('the API server is ready')

    node.start('kube-controller-manager', controllerManagerFlags)
    const scheduler = ['--bind-address=127.0.0.1', '--leader-elect=false']
    node.start('kube-scheduler', [`--kubeconfig=${kubeconfigOf('kube-scheduler')}`, ...scheduler])
    node.start('kube-proxy', ['--config=/etc/kubernetes/kube-proxy.yaml'])
    await cluster.admin.create('/api/v1/namespaces/kube-system/services', noDns)
    const kubelet = node.start('kubelet', kubeletFlags)
    await cluster.#whenUsable(kubelet, report)
    return cluster
  }

  /** Runs kubectl with these arguments. What it prints; rejects with what it says if it fails. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const options = { maxBuffer: 64 * 1024 * 1024, env: { ...process.env, KUBECONFIG: this.kubeconfig } }
    const { stdout } = await run(this.kubectlFile, args, options)
    return stdout
  }

  /** Makes the images of an archive (docker or OCI, not compressed) available to pods, under the names that it gives. */
  async importImage(archive: string): Promise<void> {
    await this.#node.run('ctr', ['--namespace=k8s.io', 'images', 'import', '-'], archive)
  }

  /** etcd's own history, from now or from a revision on: the truth that tests compare with. */
  async record(from?: bigint): Promise<Recorder> {
    const recorder = await Recorder.start(ETCD_URL, from ?? (await this.revision()) + 1n)
    this.#recorders.push(recorder)
    return recorder
  }

  /** Newest revision of etcd, which is the newest resourceVersion. */
  async revision(): Promise<bigint> {
    const body = JSON.stringify({ key: Buffer.from('\0').toString('base64'), limit: 1 })
    const response = await fetch(`${ETCD_URL}/v3/kv/range`, { method: 'POST', body })
    if (!response.ok) throw new Error(`etcd refused to tell its revision: ${await response.text()}`)
    const { header } = (await response.json()) as { readonly header: { readonly revision: string } }
    return BigInt(header.revision)
  }

  /** Ends all of it, pods too, and leaves nothing: no process, mount, network interface, rule, cgroup or file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose()
    await this.#disposed
  }

  async #dispose(): Promise<void> {
    for (const recorder of this.#recorders) await recorder[Symbol.asyncDispose]()
    await this.admin[Symbol.asyncDispose]()
    await this.#node[Symbol.asyncDispose]()
    this.#hold[Symbol.dispose]()
  }

  async #importBusybox(system: string): Promise<void> {
    const archive = join(this.#node.root, 'tmp/busybox.tar')
    await writeBusyboxImage(IMAGE, join(system, 'usr/bin/busybox'), archive)
    await this.importImage(archive)
  }

  async #whenUsable(kubelet: Program, report: (step: string) => void): Promise<void> {
    const ready = async () => {
      const { status } = (await this.admin.get(`/api/v1/nodes/${NODE_NAME}`)) as TestObject & {
        readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
      }
      return status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
    }
    await whileRunning(kubelet, 'the node is Ready', ready)
    report('the node is Ready')
    const path = '/api/v1/namespaces/default/serviceaccounts/default'
    await whileRunning(kubelet, 'the default service account is there', async () => await this.admin.get(path))
    report('pods can be created')
  }
}

async function makeRoot(root: string, system: string): Promise<void> {
  await mkdir(join(root, 'var'), { recursive: true })
  await mkdir(join(root, 'tmp'), { mode: 0o1777 })
  await cp(join(system, 'etc'), join(root, 'etc'), { recursive: true, verbatimSymlinks: true })
  for (const part of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${part}`, join(root, part))
}

/** A service without endpoints: kube-proxy refuses what is sent to it, and nobody waits for an answer. */
const noDns = {
  metadata: { name: 'kube-dns' },
  spec: {
    clusterIP: network.dns,
    ports: [
      { name: 'dns', protocol: 'UDP', port: 53 },
      { name: 'dns-tcp', protocol: 'TCP', port: 53 },
    ],
  },
}

const ETCD_URL = `http://${network.node}:${ETCD}`

const etcdFlags = [
  '--name=etcd',
  '--data-dir=/var/lib/etcd',
  `--listen-client-urls=http://127.0.0.1:${ETCD},${ETCD_URL}`,
  `--advertise-client-urls=http://127.0.0.1:${ETCD}`,
  '--listen-peer-urls=http://127.0.0.1:2380',
  '--initial-advertise-peer-urls=http://127.0.0.1:2380',
  '--initial-cluster=etcd=http://127.0.0.1:2380',
  '--unsafe-no-fsync',
  '--log-level=warn',
]

const apiServerFlags = [
  `--etcd-servers=http://127.0.0.1:${ETCD}`,
  // etcd then holds JSON, which its history can be read from
  '--storage-media-type=application/json',
  `--bind-address=${network.node}`,
  `--advertise-address=${network.node}`,
  `--tls-cert-file=${CERTIFICATES}/kube-apiserver.crt`,
  `--tls-private-key-file=${CERTIFICATES}/kube-apiserver.key`,
  `--token-auth-file=${TOKENS}`,
  '--authorization-mode=Node,RBAC',
  '--enable-admission-plugins=NodeRestriction',
  '--allow-privileged=true',
  '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
  `--service-account-key-file=${CERTIFICATES}/service-accounts.key`,
  `--service-account-signing-key-file=${CERTIFICATES}/service-accounts.key`,
  `--service-cluster-ip-range=${network.services}`,
  `--client-ca-file=${CERTIFICATES}/ca.crt`,
  `--kubelet-certificate-authority=${CERTIFICATES}/ca.crt`,
  `--kubelet-client-certificate=${CERTIFICATES}/kubelet-client.crt`,
  `--kubelet-client-key=${CERTIFICATES}/kubelet-client.key`,
  '--kubelet-preferred-address-types=InternalIP',
]

const controllerManagerFlags = [
  `--kubeconfig=${kubeconfigOf('kube-controller-manager')}`,
  '--bind-address=127.0.0.1',
  '--leader-elect=false',
  '--use-service-account-credentials',
  `--service-account-private-key-file=${CERTIFICATES}/service-accounts.key`,
  `--root-ca-file=${CERTIFICATES}/ca.crt`,
  '--flex-volume-plugin-dir=/var/lib/kubelet/plugins',
  // its usual 20 a second make its start 4 s longer
  '--kube-api-qps=1000',
  '--kube-api-burst=1000',
]

const kubeletFlags = [
  '--config=/etc/kubernetes/kubelet.yaml',
  `--kubeconfig=${kubeconfigOf('kubelet')}`,
  `--hostname-override=${NODE_NAME}`,
  `--node-ip=${network.node}`,
]
