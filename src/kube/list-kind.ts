import type { Expected } from './decode-object.ts'
import { apiVersionOf, type Resource } from './object.ts'

/** What the head of a list says of it. */
export interface ListHead {
  readonly kind: unknown
  readonly apiVersion: unknown
  /** Every item, and there is at least one, says for itself of which kind it is. */
  readonly itemsTell: boolean
  readonly empty: boolean
}

/**
 * Tells the lists of one stream from others. It matters most for a list without items: taken for this stream's, it
 * deletes every object. A CRD may give its list any name, which discovery does not tell: it is learnt from the first
 * list whose items say what they are.
 */
export class ListKind {
  /** By convention, and always for built-in types. */
  readonly usual: string
  readonly #expected: Expected
  #learnt: string | undefined

  constructor(expected: Expected) {
    this.#expected = expected
    this.usual = expected.metadataOnly ? 'PartialObjectMetadataList' : `${expected.resource.kind}List`
  }

  /** Whether a list is one of this stream. Its items have been checked on their own. */
  accepts({ kind, apiVersion, itemsTell, empty }: ListHead): boolean {
    if (typeof kind !== 'string' || kind === 'Table') return false
    const { metadataOnly, resource } = this.#expected
    if (metadataOnly || !(itemsTell || empty)) return kind === this.usual
    if (itemsTell) {
      this.#learnt = kind
      return true
    }
    if (isBuiltIn(resource)) return kind === this.usual || kind === this.#learnt
    if (apiVersion !== apiVersionOf(resource)) return false
    return kind === this.usual || (this.#learnt === undefined ? kind.endsWith('List') : kind === this.#learnt)
  }
}

/** CRDs have a dot in their group, and `k8s.io` is kept for the project's own, which name their lists as usual. */
const isBuiltIn = ({ group }: Resource): boolean => !group.includes('.') || group.endsWith('.k8s.io')
