/** The certificates of a cluster, made by the node's openssl. Users have tokens instead. */
import { CERTIFICATES, NODE_NAME } from './configuration.ts'
import { type ClusterNode, network } from './node.ts'

const REQUEST = `${CERTIFICATES}/openssl.cnf`
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30']

/** A CA and, signed by it: the API server's, the kubelet's, and the one by which the kubelet knows the API server. */
export async function makeCertificates(node: ClusterNode): Promise<void> {
  await node.write({ [REQUEST]: '[req]\ndistinguished_name = name\n[name]\n' })
  const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local']
  const addresses = [network.node, network.kubernetes, '127.0.0.1']
  await make(node, 'ca', '/CN=deltawire-testbed', [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign',
  ])
  await Promise.all([
    signed(node, 'kube-apiserver', '/CN=kube-apiserver', [
      'extendedKeyUsage=serverAuth',
      `subjectAltName=${[...names.map((name) => `DNS:${name}`), ...addresses.map((ip) => `IP:${ip}`)].join(',')}`,
    ]),
    signed(node, 'kubelet', `/O=system:nodes/CN=system:node:${NODE_NAME}`, [
      'extendedKeyUsage=serverAuth',
      `subjectAltName=DNS:${NODE_NAME},IP:${network.node}`,
    ]),
    signed(node, 'kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client', [
      'extendedKeyUsage=clientAuth',
    ]),
  ])
}

async function signed(node: ClusterNode, name: string, subject: string, extensions: readonly string[]): Promise<void> {
  const by = ['-CA', `${CERTIFICATES}/ca.crt`, '-CAkey', `${CERTIFICATES}/ca.key`]
  await make(node, name, subject, ['basicConstraints=critical,CA:FALSE', ...extensions], by)
}

async function make(
  node: ClusterNode,
  name: string,
  subject: string,
  extensions: readonly string[],
  by: readonly string[] = [],
): Promise<void> {
  const files = ['-keyout', `${CERTIFICATES}/${name}.key`, '-out', `${CERTIFICATES}/${name}.crt`]
  const added = extensions.flatMap((extension) => ['-addext', extension])
  await node.run('openssl', ['req', '-x509', '-config', REQUEST, ...KEY, '-subj', subject, ...files, ...added, ...by])
}
