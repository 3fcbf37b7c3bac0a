import type { KubeObject } from '../kube/object.ts'

const identityOnly = Symbol('deltawire.identityOnly')

/**
 * An object of which nothing but apiVersion, kind, namespace, name, uid and resourceVersion may be kept, because its
 * transform failed. It stands for the object everywhere, so that no change of it, and above all no delete, is silent.
 */
export function reduceToIdentity<T extends KubeObject>({ apiVersion, kind, metadata }: T): T {
  const { name, namespace, uid, resourceVersion } = metadata
  const kept = { name, uid, resourceVersion, ...(namespace === undefined ? {} : { namespace }) }
  const reduced: KubeObject & { readonly [identityOnly]: true } = {
    apiVersion,
    kind,
    metadata: kept,
    [identityOnly]: true,
  }
  return reduced as KubeObject as T
}

/** Whether this is what `reduceToIdentity` left of an object. */
export function isIdentityOnly(object: KubeObject): boolean {
  return identityOnly in object
}
