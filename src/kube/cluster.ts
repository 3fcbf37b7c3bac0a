import type { ApiClient } from './api-client.ts'
import { KubeError } from './errors.ts'
import { isRecord } from './json.ts'
import type { Uid } from './object.ts'

/** The uid of namespace kube-system: it stays for the life of a cluster and no two have the same. */
export async function clusterUid(client: ApiClient, signal: AbortSignal): Promise<Uid> {
  const namespace = await client.get('/api/v1/namespaces/kube-system', signal)
  const uid = isRecord(namespace) && isRecord(namespace.metadata) ? namespace.metadata.uid : undefined
  if (typeof uid !== 'string' || uid === '') {
    throw new KubeError('unusable', 'namespace kube-system has no uid; set `cluster` in the configuration')
  }
  return uid as Uid
}
