import type { ApiClient } from './api-client.ts'
import { KubeError } from './errors.ts'
import { isRecord } from './json.ts'
import type { Uid } from './object.ts'

export interface ServerVersion {
  /** `v1.36.2`. */
  readonly gitVersion: string
  /** `1`. */
  readonly major: string
  /** `36`; some providers add a sign: `36+`. */
  readonly minor: string
}

/** `GET /version`, which every account may read. */
export async function serverVersion(client: ApiClient, signal: AbortSignal): Promise<ServerVersion> {
  const answer = await client.get('/version', signal)
  if (!isRecord(answer) || typeof answer.gitVersion !== 'string') {
    throw new KubeError('unusable', 'GET /version: the answer has no gitVersion; is this a Kubernetes API server?')
  }
  const { gitVersion, major, minor } = answer
  return { gitVersion, major: String(major ?? ''), minor: String(minor ?? '') }
}

/** The uid of namespace kube-system: it stays for the life of a cluster and no two have the same. */
export async function clusterUid(client: ApiClient, signal: AbortSignal): Promise<Uid> {
  const namespace = await client.get('/api/v1/namespaces/kube-system', signal)
  const uid = isRecord(namespace) && isRecord(namespace.metadata) ? namespace.metadata.uid : undefined
  if (typeof uid !== 'string' || uid === '') {
    throw new KubeError('unusable', 'namespace kube-system has no uid; set `cluster` in the configuration')
  }
  return uid as Uid
}
