import type { KubeObject } from './object.ts'

/** One who may have written last: an entry of managedFields. */
export interface Writer {
  readonly manager: string | undefined
  readonly operation: string | undefined
  readonly subresource: string | undefined
  /** How many fields it owns. */
  readonly fields: number
}

/** What redaction took from an object and later stages still need. Never serialised. */
export interface Taken {
  /** Those with the newest time, in the order of managedFields: more than one if they wrote within one second. */
  readonly writers: readonly Writer[]
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

/**
 * The manager that wrote this version of the object: of several that wrote within the same second, one that had not
 * written in that second before, or that owns more fields than in the version before. Undefined if nobody says so.
 */
export function fieldManager(object: KubeObject, previous: KubeObject | undefined): string | undefined {
  const now = takenFrom(object)
  if (!now) return undefined
  const { writers, changedAt } = now
  if (writers.length < 2) return writers[0]?.manager
  const past = previous && takenFrom(previous)
  const known = past && past.changedAt === changedAt ? past.writers : []
  const isSame = (one: Writer, other: Writer) =>
    one.manager === other.manager && one.operation === other.operation && one.subresource === other.subresource
  const wrote = writers.filter(
    (writer) => !known.some((before) => isSame(before, writer) && before.fields >= writer.fields),
  )
  return (wrote.at(-1) ?? writers.at(-1))?.manager
}
