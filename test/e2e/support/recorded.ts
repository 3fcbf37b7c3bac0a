import { KubeConfig } from '@kubernetes/client-node'
import type { ListWatch } from '../../../src/kube/list-watch.ts'
import type { KubeObject, Resource } from '../../../src/kube/object.ts'

export const configMaps: Resource = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
}

/** The same calls, written down: `stream`, `stream at a version`, `list`, `next page`, `check`, `watch`. */
export function recorded(api: ListWatch<KubeObject>): ListWatch<KubeObject> & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    streaming: api.streaming,
    list(query, signal) {
      asked.push(query.continue !== undefined ? 'next page' : query.limit === 1 ? 'check' : 'list')
      return api.list(query, signal)
    },
    watch(query, signal) {
      const streamed = query.resourceVersion === undefined ? 'stream' : 'stream at a version'
      asked.push(query.sendInitialEvents ? streamed : 'watch')
      return api.watch(query, signal)
    },
  }
}

/** A kubeconfig for a server that takes everybody, as the simulator. */
export function configOf(url: string): KubeConfig {
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [{ name: 'simulator', server: url, skipTLSVerify: true }],
    users: [{ name: 'tester' }],
    contexts: [{ name: 'simulator', cluster: 'simulator', user: 'tester' }],
    currentContext: 'simulator',
  })
  return config
}
