import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseLabelSelector } from '../lib/label-selector.ts'
import { allow, bodyOf, Refused, sendLines } from './api-request.ts'
import { type SnapshotAdmin, type SnapshotQuery, SnapshotRefused } from './snapshots.ts'

export const SNAPSHOTS = '/api/v1/snapshots'

/** `POST /api/v1/snapshots`: a line of JSON when something changes, see `SnapshotLine`. */
export async function requestSnapshots(
  request: IncomingMessage,
  response: ServerResponse,
  admin: SnapshotAdmin,
): Promise<void> {
  allow(request, 'POST')
  const query = queryOf(await bodyOf(request))
  await sendLines(request, response, {
    open: (signal) => admin.request(query, signal),
    refusal: (error) => {
      if (error instanceof SnapshotRefused) return new Refused(error.status, error.message)
      throw error
    },
  })
}

const SHAPE =
  'write {"of": "SOURCE or STREAM"}, with "sink": "NAME", "namespaces": ["NAME"], "labelSelector": "app=web" and "until": "began" or "ended" if you like'

/** A label of RFC 1123, as the names of namespaces are. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** Characters. */
const MOST_SELECTOR = 8_192

function queryOf(body: unknown): SnapshotQuery {
  const { of, sink, namespaces, labelSelector, until, ...others } = Object(body) as Readonly<Record<string, unknown>>
  const isText = (value: unknown) => value === undefined || typeof value === 'string'
  if (typeof of !== 'string' || !isText(sink) || !isText(labelSelector) || Object.keys(others).length > 0) {
    throw new Refused(400, SHAPE)
  }
  const areNames = namespaces === undefined || (Array.isArray(namespaces) && namespaces.length > 0)
  if (!areNames || namespaces?.some((name) => typeof name !== 'string')) throw new Refused(400, SHAPE)
  const odd = namespaces?.find((name) => !NAMESPACE.test(name))
  if (odd !== undefined) throw new Refused(400, `${JSON.stringify(odd.slice(0, 70))} cannot be the name of a namespace`)
  if (labelSelector !== undefined && labelSelector.trim() === '') {
    throw new Refused(400, 'the label selector is empty: leave it out to have all objects')
  }
  if (labelSelector !== undefined && labelSelector.length > MOST_SELECTOR) {
    const message = `the label selector has ${labelSelector.length} characters; at most ${MOST_SELECTOR}, every sink is told of it`
    throw new Refused(400, message)
  }
  if (until !== undefined && until !== 'began' && until !== 'ended') throw new Refused(400, SHAPE)
  const query = { of, sink, namespaces, labelSelector, until: until ?? 'began' } as SnapshotQuery
  try {
    parseLabelSelector(query.labelSelector ?? '')
  } catch (error) {
    throw new Refused(400, error instanceof Error ? error.message : String(error))
  }
  return query
}
