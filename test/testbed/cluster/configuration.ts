/** The files that the programs of a node are started with, by their place in its root directory. */
import { ClusterNode, network } from './node.ts'

export const NODE_NAME = 'node1'
export const IMAGE = 'localhost/busybox:1'
export const API = `https://${network.node}:6443`
/** Port of etcd, for the API server and for tests. */
export const ETCD = 2379
export const CERTIFICATES = '/etc/kubernetes/pki'
export const CONTAINERD = '/run/containerd/containerd.sock'
export const COREFILE = '/etc/coredns/Corefile'
export const TOKENS = '/etc/kubernetes/tokens.csv'

const users = {
  admin: { name: 'admin', groups: ['system:masters'] },
  kubelet: { name: `system:node:${NODE_NAME}`, groups: ['system:nodes'] },
  'kube-controller-manager': { name: 'system:kube-controller-manager', groups: [] },
  'kube-scheduler': { name: 'system:kube-scheduler', groups: [] },
  'kube-proxy': { name: 'system:kube-proxy', groups: [] },
} as const
type User = keyof typeof users

/** Where in the node a user's kubeconfig is. */
export function kubeconfigOf(user: User): string {
  return `/etc/kubernetes/${user}.kubeconfig`
}

/** All of them. `token` is a user's token; */
export function nodeFiles(token: (user: string) => string): Readonly<Record<string, string>> {
  return {
    '/etc/hosts': `127.0.0.1 localhost\n${network.node} ${NODE_NAME}\n`,
    '/etc/resolv.conf': 'search .\n',
    '/etc/machine-id': `${'0'.repeat(31)}1\n`,
    '/etc/containerd/config.toml': containerd,
    '/etc/cni/net.d/10-bridge.conflist': JSON.stringify(cni),
    '/etc/kubernetes/kubelet.yaml': JSON.stringify(kubelet),
    '/etc/kubernetes/kube-proxy.yaml': JSON.stringify(kubeProxy),
    [COREFILE]: coredns,
    [TOKENS]: Object.entries(users)
      .map(([user, { name, groups }]) => `${token(user)},${name},${name},"${groups.join(',')}"\n`)
      .join(''),
  }
}

/** The kubeconfigs, once there is a CA (PEM). */
export function kubeconfigs(ca: string, token: (user: string) => string): Readonly<Record<string, string>> {
  const config = (user: string) => ({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'testbed', cluster: { server: API, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: user, user: { token: token(user) } }],
    contexts: [{ name: 'testbed', context: { cluster: 'testbed', user } }],
    'current-context': 'testbed',
  })
  const names = Object.keys(users) as readonly User[]
  return Object.fromEntries(names.map((user) => [kubeconfigOf(user), JSON.stringify(config(user), null, 2)]))
}

const containerd = `version = 2
[grpc]
  address = "${CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true # otherwise no sandbox starts on a machine without CAP_SYS_RESOURCE
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`

/** The names of the cluster, and no others: what else is asked for is refused at once. */
const coredns = `cluster.local:53 {
  errors
  kubernetes cluster.local {
    kubeconfig ${kubeconfigOf('admin')}
  }
}
`

const cni = {
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'pods',
      isDefaultGateway: true,
      hairpinMode: true,
      ipMasq: true, // the machine knows no way back to a pod's address
      ipam: { type: 'host-local', ranges: [[{ subnet: network.pods }]] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
}

const kubelet = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: network.node,
  healthzBindAddress: '127.0.0.1',
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: `${CERTIFICATES}/ca.crt` },
  },
  authorization: { mode: 'Webhook' },
  tlsCertFile: `${CERTIFICATES}/kubelet.crt`,
  tlsPrivateKeyFile: `${CERTIFICATES}/kubelet.key`,
  containerRuntimeEndpoint: `unix://${CONTAINERD}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: ClusterNode.cgroup,
  failCgroupV1: false,
  failSwapOn: false,
  oomScoreAdj: 0,
  clusterDomain: 'cluster.local',
  clusterDNS: [network.dns],
  volumePluginDir: '/var/lib/kubelet/plugins',
  // images are imported, not pulled: none may go
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  evictionHard: {
    'memory.available': '100Mi',
    'nodefs.available': '1%',
    'imagefs.available': '1%',
    'nodefs.inodesFree': '1%',
  },
}

const kubeProxy = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'iptables',
  clientConnection: { kubeconfig: kubeconfigOf('kube-proxy') },
  hostnameOverride: NODE_NAME,
  clusterCIDR: network.pods,
  // 0: leave the kernel's limits alone
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  oomScoreAdj: 0,
}
