import type { KubeObject } from './object.ts'

/** What redaction took from an object and later stages still need. Never serialised. */
export interface Taken {
  /** Who wrote last: `manager` of the newest managedFields entry. */
  readonly fieldManager: string | undefined
  /** When that was, as the server wrote it (whole seconds). */
  readonly changedAt: string | undefined
  /** JSON Pointers to the redacted values. */
  readonly redacted: readonly string[]
}

const taken = Symbol('taken')

/** A copy of `object` that remembers `value`. Spreading the copy keeps it; JSON does not show it. */
export function withTaken<T extends KubeObject>(object: T, value: Taken): T {
  return { ...object, [taken]: value }
}

/** What redaction took; undefined for an object that did not pass it. */
export function takenFrom(object: KubeObject): Taken | undefined {
  return (object as KubeObject & { readonly [taken]?: Taken })[taken]
}
