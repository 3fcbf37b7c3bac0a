/** From JSON text to objects of one resource, checked where they enter. */
import type { BoundedText } from './bounded-text.ts'
import { KubeError } from './errors.ts'
import { isRecord, type JsonRecord } from './json.ts'
import {
  apiVersionOf,
  asUnread,
  type KubeObject,
  type Resource,
  type ResourceVersion,
  resourceName,
  resourceVersion,
  type Uid,
} from './object.ts'

/** What a stream asks for. */
export interface Expected {
  readonly resource: Resource
  /** The server sends `PartialObjectMetadata`; the objects handed on carry the resource's own apiVersion and kind. */
  readonly metadataOnly: boolean
}

/** The strings by which an object is known that is too long or too deep to be parsed. */
export const identityPaths = [
  'apiVersion',
  'kind',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'metadata.resourceVersion',
] as const

/** A resourceVersion from outside. Throws `unusable`. */
export function decodeVersion(value: unknown, what: string): ResourceVersion {
  try {
    return resourceVersion(value)
  } catch (cause) {
    throw new KubeError('unusable', `${what} has no usable resourceVersion`, { cause })
  }
}

/**
 * The value as an object of the resource, with apiVersion and kind: `kindIfAbsent` stands in where the server leaves them
 * out (items of a list). Throws `unusable` for another kind, no name, no uid or no valid resourceVersion.
 */
export function decodeObject<T extends KubeObject>(value: unknown, expected: Expected, kindIfAbsent?: string): T {
  const { resource, metadataOnly } = expected
  const what = `an object of ${resourceName(resource)}`
  if (!isRecord(value)) throw new KubeError('unusable', `${what} is not a JSON object`)
  const wanted = metadataOnly ? 'PartialObjectMetadata' : resource.kind
  const kind = value.kind ?? kindIfAbsent
  if (kind !== wanted) throw new KubeError('unusable', `${what} is of kind ${name(kind)}, not ${wanted}`)
  const { metadata } = value
  if (!isRecord(metadata)) throw new KubeError('unusable', `${what} has no metadata`)
  if (!isText(metadata.name)) throw new KubeError('unusable', `${what} has no name`)
  if (!isText(metadata.uid)) throw new KubeError('unusable', `${what} has no uid`)
  decodeVersion(metadata.resourceVersion, what)
  if (!metadataOnly && isText(value.apiVersion) && isText(value.kind)) return value as T
  const apiVersion = !metadataOnly && isText(value.apiVersion) ? value.apiVersion : apiVersionOf(resource)
  const typeMeta = { apiVersion, kind: resource.kind }
  // twice: before the rest, as watch objects have it, and instead of what came
  return { ...typeMeta, ...value, ...typeMeta } as JsonRecord as T
}

/** The object behind an oversized text: identity only, marked. `prefix` is where in the text it stands: `object.`. */
export function decodeOversized<T extends KubeObject>(
  { strings, reason }: Extract<BoundedText, { type: 'Oversized' }>,
  expected: Expected,
  { prefix = '', kindIfAbsent }: { readonly prefix?: string; readonly kindIfAbsent?: string | undefined },
): T {
  const at = (path: (typeof identityPaths)[number]) => strings.get(prefix + path)
  const namespace = at('metadata.namespace')
  const object = decodeObject<T>(
    {
      apiVersion: at('apiVersion'),
      kind: at('kind'),
      metadata: {
        name: at('metadata.name'),
        ...(namespace === undefined ? {} : { namespace }),
        uid: at('metadata.uid') as Uid | undefined,
        resourceVersion: at('metadata.resourceVersion'),
      },
    },
    expected,
    kindIfAbsent,
  )
  return asUnread(object, reason)
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** For a message: the name of a kind, nothing longer. */
const name = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 63) : 'unknown')
