/** A resource as a configuration names it, before discovery has said which one it is. */
export interface ResourceName {
  /** Plural, lower case. */
  readonly resource: string
  readonly version: string | undefined
  /** Undefined: not said; discovery takes the first group that has the resource. */
  readonly group: string | undefined
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const VERSION = /^v[1-9][0-9]*(?:(?:alpha|beta)[1-9][0-9]*)?$/

/**
 * Parses `pods`, `deployments.apps`, `deployments.v1.apps`, `widgets.v1.example.com`.
 * Throws a RangeError that says how to write it. Source: `schema.ParseResourceArg` of apimachinery.
 */
export function parseResourceName(text: string): ResourceName {
  if (text === '*' || text.startsWith('*.'))
    throw new RangeError('a wildcard would watch everything: name the resources')
  if (text.includes('/')) {
    throw new RangeError(
      'write plural.group or plural.version.group, as in deployments.apps; subresources have no watch',
    )
  }
  const [resource = '', ...rest] = text.split('.')
  if (/[A-Z]/.test(text) || !LABEL.test(resource) || !rest.every((label) => LABEL.test(label)) || text.length > 253) {
    throw new RangeError('write it as kubectl prints it: the plural in lower case, as in pods or deployments.apps')
  }
  const [first, ...others] = rest
  if (first !== undefined && VERSION.test(first)) {
    return { resource, version: first, group: others.length === 0 ? '' : others.join('.') }
  }
  return { resource, version: undefined, group: first === undefined ? undefined : rest.join('.') }
}

/** What the core group has that can be watched. Source: the API server's own list, `kubectl api-resources`. */
const CORE = new Set([
  'configmaps',
  'endpoints',
  'events',
  'limitranges',
  'namespaces',
  'nodes',
  'persistentvolumeclaims',
  'persistentvolumes',
  'pods',
  'podtemplates',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'serviceaccounts',
  'services',
])

/** Whether both may name the same objects, in one version or two. A group that is not said may be any. */
export function mayBeSame(a: ResourceName, b: ResourceName): boolean {
  if (a.resource !== b.resource) return false
  const [one, other] = [groupOf(a), groupOf(b)]
  return one === undefined || other === undefined || one === other
}

/** The Events of `events.k8s.io` are those of the core group. */
function groupOf(name: ResourceName): string | undefined {
  if (name.resource === 'events' && name.group === 'events.k8s.io') return ''
  return apiGroupOf(name)
}

/** The API group that is asked for it. Undefined: only a server knows. Discovery takes the core group first. */
export function apiGroupOf({ resource, group }: ResourceName): string | undefined {
  return group ?? (CORE.has(resource) ? '' : undefined)
}

/** Whether these are KubeEvents, by either of their names. */
export function isKubeEvents(name: ResourceName): boolean {
  return name.resource === 'events' && groupOf(name) === ''
}

/** Whether this may be Secrets of the core group. */
export function isSecrets({ resource, group }: ResourceName): boolean {
  return (resource === 'secrets' || resource === 'secret') && (group === undefined || group === '')
}
