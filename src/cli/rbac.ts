import { stringify } from 'yaml'
import type { Arguments, Environment } from '../config/layers.ts'
import { loadConfig } from '../config/load.ts'
import { type Rights, rightsOf, UnknownGroupError } from '../config/rights.ts'
import { ExitCode } from './exit-code.ts'

export interface RbacOptions {
  readonly file: string
  /** Of the service account. Roles and bindings are called `NAMESPACE-NAME`. */
  readonly name: string
  /** Where Deltawire runs. */
  readonly namespace: string
  /** `manifests` for kubectl, `values` for the Helm chart with `existingConfigMap`. */
  readonly output: RbacOutput
  readonly env: Environment
  readonly args?: Arguments
  readonly stdout: Output
  readonly stderr: Output
}

export const rbacOutputs = ['manifests', 'values'] as const
export type RbacOutput = (typeof rbacOutputs)[number]

interface Output {
  write(text: string): unknown
}

/**
 * `deltawire rbac`: the rights that a configuration needs, on standard output. They are those that the Helm chart gives.
 * Opens no connection. Throws a ConfigError.
 */
export async function rbac(options: RbacOptions): Promise<ExitCode> {
  const { file, stdout, stderr } = options
  const config = await loadConfig(options)
  try {
    const rights = rightsOf(config)
    const documents = options.output === 'values' ? [valuesOf(rights)] : manifestsOf(rights, options)
    stdout.write(documents.map((document) => stringify(document)).join('---\n'))
    if (config.cluster === undefined && config.sources.every(({ namespaces }) => namespaces !== undefined)) {
      stderr.write(
        `warning: ${file}: cluster is not set, so namespace kube-system is read, which takes a right in the cluster; ` +
          'set cluster and rights in the namespaces alone will do\n',
      )
    }
    return ExitCode.done
  } catch (error) {
    if (!(error instanceof UnknownGroupError)) throw error
    stderr.write(`${file}: ${error.message}\n`)
    return ExitCode.usage
  }
}

const API_GROUP = 'rbac.authorization.k8s.io'

interface Names {
  readonly name: string
  readonly namespace: string
}

function manifestsOf({ cluster, namespaces }: Rights, { name: account, namespace: home }: Names): readonly object[] {
  const subjects = [{ kind: 'ServiceAccount', name: account, namespace: home }]
  // two of the same name in two namespaces may watch the same one
  const name = `${home}-${account}`
  const pair = (kind: 'Role' | 'ClusterRole', rules: object, namespace?: string) => {
    const metadata = { name, ...(namespace !== undefined && { namespace }) }
    const roleRef = { apiGroup: API_GROUP, kind, name }
    return [
      { apiVersion: `${API_GROUP}/v1`, kind, metadata, rules },
      { apiVersion: `${API_GROUP}/v1`, kind: `${kind}Binding`, metadata, roleRef, subjects },
    ]
  }
  return [
    ...(cluster.length > 0 ? pair('ClusterRole', cluster) : []),
    ...namespaces.flatMap(({ namespace, rules }) => pair('Role', rules, namespace)),
  ]
}

function valuesOf({ cluster, namespaces }: Rights): object {
  const rules = [...cluster, ...namespaces.flatMap((scope) => scope.rules)]
  const secrets = rules.some(({ apiGroups, resources }) => apiGroups.includes('') && resources.includes('secrets'))
  return {
    rbac: {
      ...(secrets && { allowSecrets: true }),
      ...(cluster.length > 0 && { rules: cluster }),
      ...(namespaces.length > 0 && { namespaceRules: namespaces }),
    },
  }
}
