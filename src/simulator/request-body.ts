/** What the body, the query and the headers of a write say. */
import type { IncomingMessage } from 'node:http'
import { isObject, type JsonObject, objectAt, stringAt } from './json.ts'
import type { DeleteOptions, WriteOptions } from './objects.ts'
import type { PatchType } from './patch.ts'
import type { ResourceRequest } from './request.ts'
import type { Definition } from './resources.ts'
import { badRequest, unsupportedMediaType } from './status.ts'

const PATCH_TYPES: Readonly<Record<string, PatchType>> = {
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/json-patch+json': 'json',
}

/** Throws the 415; custom resources have no strategic merge patch, because it needs to know the type. */
export function patchType(request: IncomingMessage, { builtIn }: Definition): PatchType {
  const type = PATCH_TYPES[mediaType(request)]
  if (!type || (type === 'strategic' && !builtIn)) throw unsupportedMediaType()
  return type
}

export function writeOptions({ query, subresource }: ResourceRequest, { headers }: IncomingMessage): WriteOptions {
  const program = (headers['user-agent'] ?? 'unknown').split('/')[0] ?? 'unknown'
  return { manager: query.get('fieldManager') ?? program, subresource: subresource === 'status' ? 'status' : '' }
}

export function deleteOptions(body: string, { query }: ResourceRequest): DeleteOptions {
  const options = body === '' ? {} : parseJson(body)
  const preconditions = objectAt(options, 'preconditions')
  const uid = stringAt(preconditions, 'uid')
  const resourceVersion = stringAt(preconditions, 'resourceVersion')
  const grace = query.get('gracePeriodSeconds') ?? options.gracePeriodSeconds
  return {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(grace === undefined || grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
  }
}

function mediaType({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? 'application/json').split(';')[0]?.trim() ?? ''
}

export function parseBody(body: string, request: IncomingMessage, { kind }: Definition): JsonObject {
  if (mediaType(request) !== 'application/json') {
    throw unsupportedMediaType(
      'the body of the request was in an unknown format - accepted media types include: application/json',
    )
  }
  try {
    return parseJson(body)
  } catch {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error`,
    )
  }
}

export function parsePatch(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw badRequest('error decoding patch: unexpected end of JSON input')
  }
}

function parseJson(body: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw badRequest('the body of the request is not JSON')
  }
  if (!isObject(value)) throw badRequest('the body of the request is not an object')
  return value
}
