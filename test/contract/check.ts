import type { Answer, ApiClient, ContractServer, Json } from './client.ts'

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

/** Calls until the answer suits: for what a server does soon, but not at once. */
export async function eventually(call: () => Promise<Answer>, suits: (answer: Answer) => boolean): Promise<Answer> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const answer = await call()
    if (suits(answer)) return answer
    if (performance.now() > deadline)
      throw new Error(`not within 20 s; the last answer is ${answer.status} ${answer.text}`)
  }
}
