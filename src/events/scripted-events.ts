/** Events as a bridge makes them, each in a word: for tests of what a consumer makes of them. */
import { createHash } from 'node:crypto'
import { resourceVersion, type Uid } from '../kube/object.ts'
import type { Decoded } from './decode.ts'
import { deletedId, gapId, itemId, leftId, markerId, sequence, versionId } from './ids.ts'
import { dataSchemas, eventTypes } from './types.ts'

export const stream = 'workloads/pods'
export const rv = (position: number) => resourceVersion(`${position}`)

interface Place {
  readonly at: number
  readonly [attribute: string]: unknown
}

export function event(type: keyof typeof eventTypes, id: string, { at, ...more }: Place, data: unknown): Decoded {
  return {
    attributes: {
      specversion: '1.0',
      id,
      source: 'kubernetes://prod-eu/api/v1/pods',
      cluster: 'test',
      type: eventTypes[type],
      datacontenttype: 'application/json',
      dataschema: dataSchemas.object,
      time: '2026-01-01T00:00:00Z',
      stream,
      sequence: sequence(rv(at)),
      ...more,
    },
    data,
  }
}

/** `added` or `updated` of the uid in this version; `at` is its position if a list found it. */
export function put(type: 'added' | 'updated', uid: string, version: number, at = version): Decoded {
  return event(type, versionId(uid as Uid, rv(version)), { at, ...about(uid, version) }, { object: uid })
}

export function item(uid: string, version: number, at: number, snapshotid: string): Decoded {
  const id = itemId(uid as Uid, rv(version), snapshotid)
  return event('snapshotItem', id, { at, snapshotid, ...about(uid, version) }, { object: uid })
}

export const gone = (uid: string, at: number) =>
  event('deleted', deletedId(uid as Uid), { at, ...about(uid, at) }, { object: uid })
export const left = (uid: string, at: number) =>
  event('deleted', leftId(uid as Uid, sequence(rv(at))), { at, ...about(uid, at) }, { object: uid })
export const begin = (snapshotid: string, at: number, mode = 'full') =>
  event('snapshotBegin', markerId(snapshotid, 'begin'), { at, snapshotid }, { snapshot: { mode } })
export const aborted = (snapshotid: string, at: number) =>
  event('snapshotAborted', markerId(snapshotid, 'aborted'), { at, snapshotid }, {})
export const restored = (from: number, to: number) =>
  event('gap', gapId(stream, rv(from), rv(to)), { at: to }, { gap: { cause: 'restored' } })
/** `web.2` is the second object called `web`. */
const subjectOf = (uid: string) => `shop/${uid.split('.')[0]}`
export const about = (uid: string, version: number) => ({
  subject: subjectOf(uid),
  uid,
  resourceversion: `${version}`,
})

export function end(
  snapshotid: string,
  at: number,
  truth: ReadonlyMap<string, number>,
  { mode = 'full', deadLettered = 0 }: { readonly mode?: string; readonly deadLettered?: number } = {},
): Decoded {
  const texts = [...truth].map(
    ([uid, version]) => [`${subjectOf(uid)}:${uid}`, `${subjectOf(uid)}:${uid}:${version}`] as const,
  )
  const snapshot = {
    mode,
    items: truth.size,
    deadLettered,
    members: digest(texts.map(([identity]) => identity)),
    state: digest(texts.map(([, version]) => version)),
  }
  return event('snapshotEnd', markerId(snapshotid, 'end'), { at, snapshotid }, { snapshot })
}

function digest(texts: readonly string[]): string {
  let sum = 0n
  for (const text of texts) sum += BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
  return (sum % (1n << 256n)).toString(16).padStart(64, '0')
}
