/** The arguments that the programs of a cluster are started with, and the objects that its DNS is reached by. */
import { CERTIFICATES, COREFILE, ETCD, kubeconfigOf, NODE_NAME, TOKENS } from './configuration.ts'
import { network } from './node.ts'

const dnsPorts = [
  { name: 'dns', protocol: 'UDP', port: 53 },
  { name: 'dns-tcp', protocol: 'TCP', port: 53 },
]

/** Where pods ask for names. */
export const dnsService = { metadata: { name: 'kube-dns' }, spec: { clusterIP: network.dns, ports: dnsPorts } }

/** What stands behind it: a process of the node, in no pod. */
export const dnsEndpoints = {
  metadata: { name: 'kube-dns', labels: { 'kubernetes.io/service-name': 'kube-dns' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: [network.node] }],
  ports: dnsPorts,
}

export const corednsFlags = [`-conf=${COREFILE}`]

export const ETCD_URL = `http://${network.node}:${ETCD}`

export const etcdFlags = [
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

export const apiServerFlags = [
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

export const controllerManagerFlags = [
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

export const schedulerFlags = [
  `--kubeconfig=${kubeconfigOf('kube-scheduler')}`,
  '--bind-address=127.0.0.1',
  '--leader-elect=false',
]

export const kubeProxyFlags = ['--config=/etc/kubernetes/kube-proxy.yaml']

export const kubeletFlags = [
  '--config=/etc/kubernetes/kubelet.yaml',
  `--kubeconfig=${kubeconfigOf('kubelet')}`,
  `--hostname-override=${NODE_NAME}`,
  `--node-ip=${network.node}`,
]
