import { type JsonObject, objectAt } from './json.ts'
import type { Definition } from './resources.ts'
import { notAcceptable } from './status.ts'
import { objectOf, textOf } from './stored-object.ts'
import type { Version } from './table.ts'

/** How objects are shown to one client. */
export interface Representation {
  /** Inside a list. */
  item(version: Version): string
  /** On its own: as a response, or in a watch frame. */
  whole(version: Version): string
  /** Of the list around the items. */
  readonly listKind: string
  readonly listApiVersion: string
  readonly namesContinue: boolean
  readonly kind: string
  readonly apiVersion: string
}

/** The form that the Accept header asks for first and that the server has: the objects, or their metadata only. */
export function negotiate(accept: string | undefined, definition: Definition): Representation {
  for (const { type, parameters } of parseAccept(accept ?? '*/*')) {
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue
    const as = parameters.get('as')
    if (as === undefined) return full(definition)
    if (as.startsWith('PartialObjectMetadata') && parameters.get('v') === 'v1') return metadataOnly(definition)
  }
  throw notAcceptable()
}

export interface MediaRange {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
}

/** Ranges in the order of the header; quality values are ignored, as nobody who asks an API server sends any. */
export function parseAccept(header: string): readonly MediaRange[] {
  return header.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    return { type, parameters: new Map(parameters.map((part) => part.split('=', 2) as [string, string])) }
  })
}

function full(definition: Definition): Representation {
  const { group, version, kind } = definition
  const apiVersion = group ? `${group}/${version}` : version
  const whole = (object: Version) => textOf(definition, object)
  return {
    whole,
    item: definition.builtIn ? ({ body }) => `{${body}` : whole,
    namesContinue: !definition.builtIn,
    kind,
    apiVersion,
    listKind: `${kind}List`,
    listApiVersion: apiVersion,
  }
}

function metadataOnly(definition: Definition): Representation {
  const kind = 'PartialObjectMetadata'
  const apiVersion = 'meta.k8s.io/v1'
  const whole = (version: Version) => {
    const partial: JsonObject = { kind, apiVersion, metadata: objectAt(objectOf(definition, version), 'metadata') }
    return JSON.stringify(partial)
  }
  return {
    whole,
    item: whole,
    namesContinue: false,
    kind,
    apiVersion,
    listKind: `${kind}List`,
    listApiVersion: apiVersion,
  }
}
