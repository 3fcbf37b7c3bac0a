import type { KubeObject } from '../kube/object.ts'
import { everything, type LabelSelector, parseLabelSelector } from '../lib/label-selector.ts'
import { type Indexer, NAMESPACE_INDEX } from './indexer.ts'

/**
 * Reads an informer's cache: memory only, never the API server. Before the informer has synced the answers are
 * incomplete. Objects are shared: do not change them.
 */
export interface Lister<T extends KubeObject = KubeObject> {
  /** All objects, or those that a selector matches: `app=web,tier in (a,b)`. Throws a SyntaxError for a bad selector. */
  list(selector?: string | LabelSelector): T[]
  /** By `namespace/name`, or by `name` for a cluster-scoped object; in a namespace's lister by `name`. */
  get(key: string): T | undefined
  /** The same for one namespace, by index. */
  namespace(namespace: string): Lister<T>
}

export function listerOf<T extends KubeObject>(indexer: Indexer<T>): Lister<T> {
  return {
    list: (selector) => select(indexer.objects(), selector),
    get: (key) => indexer.get(key),
    namespace: (namespace) => namespaceLister(indexer, namespace),
  }
}

function namespaceLister<T extends KubeObject>(indexer: Indexer<T>, namespace: string): Lister<T> {
  return {
    list: (selector) => select(indexer.byIndex(NAMESPACE_INDEX, namespace), selector),
    get: (name) => indexer.get(`${namespace}/${name}`),
    namespace: (other) => namespaceLister(indexer, other),
  }
}

function select<T extends KubeObject>(objects: Iterable<T>, selector: string | LabelSelector = everything()): T[] {
  const matches = typeof selector === 'string' ? parseLabelSelector(selector) : selector
  if (matches === everything()) return Array.from(objects)
  const found: T[] = []
  for (const object of objects) if (matches(object)) found.push(object)
  return found
}
