/**
 * The rights in the cluster that a configuration needs, and no others. The Helm chart makes the same of the same
 * configuration (helm/templates/_rights.tpl); test/helm/rbac.test.ts compares them.
 */
import type { BridgeConfig } from './bridge-config.ts'
import { apiGroupOf, parseResourceName } from './resource-name.ts'

/** A rule as `rbac.authorization.k8s.io/v1` has it. */
export interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

export interface Rights {
  /** For a ClusterRole. Empty: none is needed. */
  readonly cluster: readonly PolicyRule[]
  /** For a Role in each of these namespaces; they repeat nothing that `cluster` has. By name. */
  readonly namespaces: readonly { readonly namespace: string; readonly rules: readonly PolicyRule[] }[]
}

/** A resource whose API group the configuration does not say: rights cannot be given to it without asking a server. */
export class UnknownGroupError extends Error {
  override readonly name = 'UnknownGroupError'

  /** @param path as in `sources[0].resources[1]` */
  constructor(path: string, resource: string) {
    super(
      `${path}: ${resource} may be of any API group, and rights are given by group: write it as ` +
        '`kubectl api-resources -o name` prints it, for example deployments.apps',
    )
  }
}

/**
 * `list` and `watch` on what each source names: in its namespaces, or in the cluster if it names none; and, if `cluster`
 * is not set, `get` on the namespace kube-system, whose uid then names the cluster. Throws an UnknownGroupError.
 */
export function rightsOf({ cluster: name, sources }: Pick<BridgeConfig, 'cluster' | 'sources'>): Rights {
  const everywhere = new Scope()
  const byNamespace = new Map<string, Scope>()
  for (const [index, { resources, namespaces }] of sources.entries()) {
    for (const [position, text] of resources.entries()) {
      const resource = parseResourceName(text)
      const group = apiGroupOf(resource)
      if (group === undefined) throw new UnknownGroupError(`sources[${index}].resources[${position}]`, text)
      if (namespaces === undefined) everywhere.add(group, resource.resource)
      for (const namespace of namespaces ?? []) {
        const scope = byNamespace.get(namespace) ?? new Scope()
        byNamespace.set(namespace, scope.add(group, resource.resource))
      }
    }
  }
  return {
    cluster: [...everywhere.rules(), ...(name === undefined ? [readKubeSystem] : [])],
    namespaces: [...byNamespace]
      .map(([namespace, scope]) => ({ namespace, rules: scope.rules(everywhere) }))
      .filter(({ rules }) => rules.length > 0)
      .sort((a, b) => (a.namespace < b.namespace ? -1 : 1)),
  }
}

const readKubeSystem: PolicyRule = {
  apiGroups: [''],
  resources: ['namespaces'],
  resourceNames: ['kube-system'],
  verbs: ['get'],
}

/** Resources by API group, each once. */
class Scope {
  readonly #groups = new Map<string, Set<string>>()

  add(group: string, resource: string): this {
    const resources = this.#groups.get(group) ?? new Set()
    this.#groups.set(group, resources.add(resource))
    return this
  }

  has(group: string, resource: string): boolean {
    return this.#groups.get(group)?.has(resource) ?? false
  }

  /** By group, without what `other` has. */
  rules(other?: Scope): readonly PolicyRule[] {
    return [...this.#groups.keys()].sort().flatMap((group) => {
      const resources = [...(this.#groups.get(group) ?? [])].filter((resource) => !other?.has(group, resource)).sort()
      return resources.length === 0 ? [] : [{ apiGroups: [group], resources, verbs: ['list', 'watch'] }]
    })
  }
}
