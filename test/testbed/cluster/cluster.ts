/** A real Kubernetes of one node, on this machine: control plane, kubelet, containerd, pod network, kube-proxy. */
import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { AdminClient, type TestObject } from '../admin-client.ts'
import { cacheFolder, use } from '../component.ts'
import { etcd } from '../components.ts'
import { coredns } from '../coredns.ts'
import { kubeApiserver, kubernetesNode } from '../kubernetes-components.ts'
import { nodeSystem } from '../node-components.ts'
import { Recorder } from '../recorder.ts'
import { type Watched, whileRunning } from '../workspace.ts'
import { writeBusyboxImage } from './busybox-image.ts'
import { makeCertificates } from './certificates.ts'
import { API, CERTIFICATES, IMAGE, kubeconfigOf, kubeconfigs, NODE_NAME, nodeFiles } from './configuration.ts'
import {
  apiServerFlags,
  controllerManagerFlags,
  corednsFlags,
  dnsEndpoints,
  dnsService,
  ETCD_URL,
  etcdFlags,
  kubeletFlags,
  kubeProxyFlags,
  schedulerFlags,
} from './flags.ts'
import { holdMachine, requireAbility } from './machine.ts'
import { ClusterNode, type NodeParts, network } from './node.ts'

const run = promisify(execFile)

export interface ClusterOptions {
  /** Told of every step that is done, in words. */
  readonly report?: (step: string) => void
}

/**
 * Resolves when the node is Ready and pods can be created in namespace `default`, 5 to 10 s after all components are
 * installed. There is one on a machine at a time: waits while another process, or this one, has one. Rejects, naming what
 * is missing, where it cannot run: it takes Linux and root.
 *
 * Pods reach the machine at `cluster.address`, and nothing beyond it. Images are imported, not pulled. The names
 * of services resolve, others are refused at once.
 */
export async function startCluster({ report = () => {} }: ClusterOptions = {}): Promise<Cluster> {
  requireAbility()
  const parts: NodeParts = {
    system: await use(nodeSystem),
    kubernetes: await use(kubernetesNode),
    kubeApiserver: dirname(await use(kubeApiserver)),
    etcd: dirname(await use(etcd)),
    coredns: dirname(await use(coredns)),
  }
  report('components are installed')
  await using owned = new AsyncDisposableStack()
  owned.use(await holdMachine())
  const folder = join(cacheFolder(), 'cluster')
  await ClusterNode.removeLeftovers(folder)
  await makeRoot(join(folder, 'root'), parts.system)
  const node = owned.use(await ClusterNode.create(folder, parts))
  report('the node is made')
  return await Cluster.start(node, parts, owned, report)
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
  readonly #node: ClusterNode
  /** Ended in reverse order: what is watched before what it is watched on. */
  #owned = new AsyncDisposableStack()

  private constructor(node: ClusterNode, kubectlFile: string, admin: AdminClient) {
    this.#node = node
    this.kubeconfig = join(node.root, kubeconfigOf('admin'))
    this.kubectlFile = kubectlFile
    this.admin = admin
  }

  /** Starts everything in the node, in the order in which one needs the other. Takes over what is owned. */
  static async start(
    node: ClusterNode,
    parts: NodeParts,
    owned: AsyncDisposableStack,
    report: (step: string) => void,
  ): Promise<Cluster> {
    const secrets = new Map<string, string>()
    const token = (user: string) => {
      const known = secrets.get(user) ?? randomBytes(16).toString('hex')
      secrets.set(user, known)
      return known
    }
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await node.write({
      ...nodeFiles(token),
      [`${CERTIFICATES}/service-accounts.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    })
    const containerd = node.start('containerd', [])
    node.start('etcd', etcdFlags)
    await makeCertificates(node)
    const ca = await readFile(join(node.root, CERTIFICATES, 'ca.crt'), 'utf8')
    await node.write(kubeconfigs(ca, token))
    const admin = owned.use(new AdminClient(API, token('admin'), () => ca))
    const cluster = new Cluster(node, join(parts.kubernetes, 'kubectl'), admin)

    const apiServer = node.start('kube-apiserver', apiServerFlags)
    await whileRunning(containerd, 'containerd answers', async () => await node.run('ctr', ['version']))
    await cluster.#importBusybox(parts.system)
    report('containerd runs, with the busybox image')
    await whileRunning(apiServer, 'kube-apiserver is ready', async () => await cluster.admin.get('/readyz'))
    report('the API server is ready')

    node.start('kube-controller-manager', controllerManagerFlags)
    node.start('kube-scheduler', schedulerFlags)
    node.start('kube-proxy', kubeProxyFlags)
    await cluster.admin.create('/api/v1/namespaces/kube-system/services', dnsService)
    await cluster.admin.create('/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices', dnsEndpoints)
    node.start('coredns', corednsFlags)
    const kubelet = node.start('kubelet', kubeletFlags)
    await cluster.#whenUsable(kubelet, report)
    cluster.#owned = owned.move()
    return cluster
  }

  /** Runs kubectl with these arguments. What it prints; rejects with what it says if it fails. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const cache = join(this.#node.root, 'tmp/kubectl') // usually in the home folder
    const env = { ...process.env, KUBECONFIG: this.kubeconfig, KUBECACHEDIR: cache }
    const options = { maxBuffer: 64 * 1024 * 1024, env }
    const { stdout } = await run(this.kubectlFile, args, options)
    return stdout
  }

  /** Makes the images of an archive (docker or OCI, not compressed) available to pods, under the names that it gives. */
  async importImage(archive: string): Promise<void> {
    try {
      await this.#node.run('ctr', ['--namespace=k8s.io', 'images', 'import', '-'], archive)
    } catch (cause) {
      throw new Error(`${archive} cannot be imported: it takes an archive of images, docker or OCI, not compressed`, {
        cause,
      })
    }
  }

  /** etcd's own history, from now or from a revision on: the truth that tests compare with. */
  async record(from?: bigint): Promise<Recorder> {
    return this.#owned.use(await Recorder.start(ETCD_URL, from ?? (await this.revision()) + 1n))
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
    await this.#owned.disposeAsync()
  }

  async #importBusybox(system: string): Promise<void> {
    const archive = join(this.#node.root, 'tmp/busybox.tar')
    await writeBusyboxImage(IMAGE, join(system, 'usr/bin/busybox'), archive)
    await this.importImage(archive)
  }

  async #whenUsable(kubelet: Watched, report: (step: string) => void): Promise<void> {
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
