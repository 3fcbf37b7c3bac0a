/** Where the API server is and who we are, found as client-go finds it. */
import { existsSync } from 'node:fs'
// not the package's index: it loads all API classes, a quarter of a second
import { KubeConfig } from '@kubernetes/client-node/dist/config.js'
import { nearest } from '../lib/nearest.ts'

export interface KubeConfigOptions {
  /** Path of a kubeconfig. @default KUBECONFIG, then ~/.kube/config, then the pod's service account */
  readonly kubeconfig?: string | undefined
  /** Name of a context in it. @default its current-context */
  readonly context?: string | undefined
  /** URL of the API server, instead of the one in the kubeconfig. Without a kubeconfig: no credentials. */
  readonly master?: string | undefined
}

/** There is no usable configuration. The message names the file and the way out. */
export class KubeConfigError extends Error {
  override readonly name = 'KubeConfigError'
}

/**
 * A configuration whose current context, cluster and user exist. Throws a KubeConfigError. What its files say is read
 * here; tokens, certificates and plugins are read later, for every request.
 */
export function loadKubeConfig({ kubeconfig, context, master }: KubeConfigOptions = {}): KubeConfig {
  const place = kubeconfig ?? 'the default kubeconfig (KUBECONFIG or ~/.kube/config)'
  if (master !== undefined) checkUrl(master)
  const config = read(kubeconfig, place)
  if (config === undefined) {
    if (context !== undefined) throw new KubeConfigError(`context ${context} not found: there is no kubeconfig`)
    if (master !== undefined) return configOf({ name: 'master', server: master, skipTLSVerify: false }, undefined)
    throw new KubeConfigError(
      'no API server is configured: no KUBECONFIG, no ~/.kube/config, no service account of a pod; ' +
        'give --kubeconfig FILE or --master URL',
    )
  }
  const chosen = chooseContext(config, context, place)
  const cluster = config.getCluster(chosen.cluster)
  if (cluster === null) {
    throw new KubeConfigError(`${place}: context ${chosen.name} names cluster ${chosen.cluster}, which is not there`)
  }
  const user = chosen.user === undefined ? undefined : config.getUser(chosen.user)
  if (user === null) {
    throw new KubeConfigError(`${place}: context ${chosen.name} names user ${chosen.user}, which is not there`)
  }
  return configOf(master === undefined ? cluster : { ...cluster, server: master }, user, chosen)
}

/** The same configuration with every cached token forgotten: files are read and plugins run again. */
export function withFreshCredentials({ clusters, users, contexts, currentContext }: KubeConfig): KubeConfig {
  const config = new KubeConfig()
  config.loadFromOptions({ clusters, users, contexts, currentContext })
  return config
}

type Cluster = KubeConfig['clusters'][number]
type User = KubeConfig['users'][number]
type Context = KubeConfig['contexts'][number]

/** Undefined if nothing is configured anywhere. */
function read(kubeconfig: string | undefined, place: string): KubeConfig | undefined {
  if (kubeconfig !== undefined && !existsSync(kubeconfig)) {
    throw new KubeConfigError(`${kubeconfig}: no such file; give --kubeconfig the path of a kubeconfig`)
  }
  const config = new KubeConfig()
  try {
    if (kubeconfig === undefined) config.loadFromDefault()
    else config.loadFromFile(kubeconfig)
  } catch (error) {
    // a parser's further lines quote the file, credentials and all: neither they nor the error go further
    const [reason] = error instanceof Error ? error.message.split('\n') : []
    throw new KubeConfigError(`${place} cannot be read: ${reason?.slice(0, 300)}`)
  }
  const [cluster] = config.clusters
  // what client-node makes up when it finds nothing
  const madeUp = kubeconfig === undefined && cluster?.name === 'cluster' && cluster.server === 'http://localhost:8080'
  return madeUp ? undefined : config
}

function chooseContext(config: KubeConfig, asked: string | undefined, place: string): Context {
  const names = config.contexts.map(({ name }) => name)
  const name = asked ?? config.currentContext
  if (!name) {
    const choice =
      names.length === 0 ? 'it has no contexts' : `choose one with --context: ${names.slice(0, 10).join(', ')}`
    throw new KubeConfigError(`${place} has no current context; ${choice}`)
  }
  const context = config.getContextObject(name)
  if (context !== null) return context
  const meant = nearest(name, names)
  const choice = meant === undefined ? `it has ${names.slice(0, 10).join(', ') || 'none'}` : `is ${meant} meant?`
  throw new KubeConfigError(`context ${name} not found in ${place}; ${choice}`)
}

function configOf(cluster: Cluster, user: User | undefined, context?: Context): KubeConfig {
  const config = new KubeConfig()
  const currentContext = context?.name ?? 'master'
  // without a user client-node would ignore the cluster's CA
  const who = user ?? { name: 'anonymous' }
  config.loadFromOptions({
    // client-node refuses plain HTTP, which has no TLS to verify, unless told to skip it
    clusters: [cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster],
    users: [who],
    contexts: [{ ...context, name: currentContext, cluster: cluster.name, user: who.name }],
    currentContext,
  })
  return config
}

function checkUrl(master: string): void {
  if (!/^https?:\/\//.test(master) || !URL.canParse(master)) {
    // what stands before an @ may be a password
    const place = master.slice(master.lastIndexOf('@') + 1).slice(0, 200)
    throw new KubeConfigError(`--master ${place} is not a URL; give one such as https://10.0.0.1:6443`)
  }
}
