import type { ObjectIdentity } from '../kube/object.ts'
import type { Held } from '../state/ledger.ts'

/** Neither a namespace nor a name holds a slash. */
export function identityOfKey({ uid, key }: Held): ObjectIdentity {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key, uid } : { namespace: key.slice(0, slash), name: key.slice(slash + 1), uid }
}
