import type { ApiClient, ContractServer, Json } from './client.ts'

/** What a check has to work with: a namespace of its own, and the server. */
export interface Bench {
  readonly api: ApiClient
  readonly server: ContractServer
  readonly namespace: string
  /** `/api/v1/namespaces/NAMESPACE/configmaps`: where most checks play. */
  readonly configMaps: string
  /** Different in every run and check: for what is not inside the namespace. */
  readonly unique: string
}

/** One sentence about an API server, and the calls that prove it. */
export interface Check {
  readonly name: string
  run(bench: Bench): Promise<void>
}

export function check(name: string, run: (bench: Bench) => Promise<void>): Check {
  return { name, run }
}

export function configMap(name: string, more: Readonly<Record<string, Json>> = {}): Json {
  const { metadata, ...rest } = more
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, ...rest }
}

/** The resourceVersion of a list of everything there: where a watch can begin. */
export async function versionNow({ api, configMaps }: Bench): Promise<string> {
  return (await api.get(configMaps)).body.metadata.resourceVersion
}

/** A Deployment with one container, valid on a real server. */
export function deployment(name: string, image = 'web:1'): Json {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'web', image, env: [{ name: 'A', value: '1' }] }] },
      },
    },
  }
}
