/** For tests: what a consumer must have in the end, and must never have seen. */
import assert from 'node:assert/strict'
import { Copy, type Decoded } from '../../events/index.ts'
import { isRecord } from '../../lib/json-pointer.ts'
import type { Kept } from '../../state/store.ts'
import type { Taken } from './target.ts'
import type { Shape } from './views.ts'

export interface Member {
  readonly uid: string
  readonly resourceVersion: string
  readonly shape: Shape
}

export interface Judged {
  readonly taken: readonly Taken[]
  /** What is there now, of what the sink is to see. */
  readonly objects: readonly Member[]
  readonly keeps: Kept
  /** Whether it gets snapshots. */
  readonly hasSnapshots: boolean
}

/** Throws an AssertionError that names the promise. */
export function judge(judged: Judged): void {
  const { objects, hasSnapshots } = judged
  const taken = sinceAnew(judged.taken)
  if (hasSnapshots) judgeCopy(taken, objects)
  judgeOrder(taken)
  judgeEnds({ ...judged, taken })
}

/** Who was not one of the stream's sinks when it was told that the server was restored begins with nothing. */
function sinceAnew(taken: readonly Taken[]): readonly Taken[] {
  let begin = 0
  let isUntold = false
  let wasRemoved = false
  for (const [index, one] of taken.entries()) {
    if (one.type === 'restored') isUntold = true
    if (one.type === 'removed') wasRemoved = true
    if (one.type !== 'event') continue
    if (wasRemoved && isUntold) begin = index
    if (wasRemoved || isRestored(one.event)) isUntold = false
    wasRemoved = false
  }
  return taken.slice(begin)
}

function judgeCopy(taken: readonly Taken[], objects: readonly Member[]): void {
  const copy = new Copy()
  for (const one of taken) {
    if (one.type !== 'event') continue
    const { completed, checked } = copy.apply(one.event)
    assert.notEqual(completed?.digests, 'differ', 'I1: digests')
    assert.notEqual(checked, 'differ', 'I1: digests of a snapshot without items')
  }
  const here = objects.map(({ uid, resourceVersion, shape }) => `${uid}@${resourceVersion} ${shape}`)
  const found = [...copy.objects()].map(({ uid, resourceVersion, object }) => {
    const shape = isRecord(object) && 'spec' in object ? 'object' : 'metadata'
    return `${uid}@${resourceVersion} ${shape}`
  })
  assert.deepEqual(found.sort(), here.sort(), 'I1: the copy is the cluster')
}

interface Told {
  readonly sequence: string
  readonly final: boolean
}

/** Ids seen before are dropped, as a consumer does; a restore makes it forget them. */
function judgeOrder(taken: readonly Taken[]): void {
  const ids = new Set<string>()
  /** What one process has told of an object last. */
  const run = new Map<string, Told>()
  const ended = new Map<string, string>()
  let floor: string | undefined
  for (const one of taken) {
    if (one.type === 'life') {
      run.clear()
      floor = one.floor
    }
    if (one.type !== 'event') continue
    const { attributes } = one.event
    if (isRestored(one.event)) for (const known of [ids, run, ended]) known.clear()
    if (attributes.type.includes('gap')) floor = undefined
    const { id, uid, sequence } = attributes
    if (typeof uid !== 'string' || typeof sequence !== 'string') continue
    const isItem = attributes.type.includes('item')
    assert.ok(floor === undefined || isItem || BigInt(sequence) > BigInt(floor), `I4: ${id} is not after ${floor}`)
    if (ids.has(id)) continue
    ids.add(id)
    const before = run.get(uid)
    assert.ok(!before?.final, `I2: ${id} follows the deletion`)
    assert.ok(!before || before.sequence <= sequence, `I2: ${id} at ${sequence} follows ${before?.sequence}`)
    // a process that goes on further back tells what was told again: a version that came as an item has another id then;
    // and it does not know what the last one told in its last second, so that one that is gone may leave once more
    const end = ended.get(uid)
    const isEnd = attributes.type.includes('deleted')
    assert.ok(isEnd || end === undefined || sequence <= end, `I2: ${id} follows the deletion at ${end}`)
    const final = id === `${uid}:deleted`
    run.set(uid, { sequence, final })
    if (final) ended.set(uid, sequence)
  }
}

/**
 * The last that was told of an object is its end if, and with a ledger only if, it has ended. Without snapshots nobody
 * tells of one that came back while the sink was owed something.
 */
function judgeEnds({ taken, objects, keeps, hasSnapshots }: Judged): void {
  const here = new Set(objects.map(({ uid }) => uid))
  const last = new Map<string, { readonly type: string; readonly sequence: string }>()
  const ids = new Set<string>()
  const ended = new Set<string>()
  for (const one of taken) {
    if (one.type === 'removed') last.clear()
    if (one.type !== 'event') continue
    if (isRestored(one.event)) for (const known of [last, ids, ended]) known.clear()
    const { id, uid, type, sequence } = one.event.attributes
    if (typeof uid !== 'string' || typeof sequence !== 'string' || ids.has(id) || ended.has(uid)) continue
    const final = id === `${uid}:deleted`
    const before = last.get(uid)
    if (!final && before && sequence < before.sequence) continue
    ids.add(id)
    if (final) ended.add(uid)
    last.set(uid, { type, sequence })
  }
  for (const [uid, { type }] of last) {
    const isEnd = type.includes('deleted')
    if (here.has(uid)) assert.ok(!isEnd || !hasSnapshots, `I2: ${uid} is there, and was ${type} last`)
    else if (keeps === 'ledger') assert.ok(isEnd, `I3: ${uid} is gone, and was ${type} last`)
  }
}

function isRestored({ attributes, data }: Decoded): boolean {
  return attributes.type.includes('gap') && JSON.stringify(data).includes('"restored"')
}
