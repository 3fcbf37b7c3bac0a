/** The events and changes of random histories. */
import type { ResourceVersion, Timestamp, Uid } from '../../kube/object.ts'
import type { Notable, Snapshot } from '../../reconcile/change.ts'
import { event, version, type What } from '../scripted-sink.ts'
import type { OutboundEvent } from '../sink.ts'
import type { Step } from './random-history.ts'

export const observedAt = '2026-01-01T00:00:00Z' as Timestamp
export const result = { items: 0, added: 0, updated: 0, deleted: 0, unchanged: 0, members: '', state: '' }

type Touch = Extract<Step, { type: 'write' | 'delete' | 'item' }>
type Mark = Extract<Step, { type: 'mark' }>

/** A change, and what its event is about. */
export interface Told {
  readonly change: Notable
  readonly key?: string
  readonly facts?: Facts
}

/** Objects that come, change, go and come back, at positions that go up. */
export class RandomCluster {
  /** By name, who has it. */
  readonly #objects = new Map<string, string>()
  #born = 0
  #position = 0

  get position(): ResourceVersion {
    return `${this.#position}` as ResourceVersion
  }

  advance(): ResourceVersion {
    this.#position++
    return this.position
  }

  /** Undefined if there is nothing that the step could be about. */
  tell(stream: string, step: Touch | Mark): Told | undefined {
    return step.type === 'mark' ? { change: this.#mark(step.kind) } : this.#touch(`${stream}/${step.object}`, step)
  }

  #touch(key: string, step: Touch): Told | undefined {
    const position = this.advance()
    const known = this.#objects.get(key)
    const seen = { resourceVersion: position, observed: 'watch', observedAt, collapsed: false } as const
    const isThere = known !== undefined && !known.startsWith('gone:')
    if (step.type !== 'write' && !isThere) return undefined
    if (step.type === 'item') {
      const snapshot = snapshotOf(position, 'part')
      return { change: { type: 'SnapshotItem', object: objectOf(known ?? '', position), snapshot, ...seen }, key }
    }
    if (step.type === 'delete') {
      const uid = known ?? ''
      this.#objects.set(key, `gone:${uid}`)
      const gone = { identity: { name: uid, uid: uid as Uid }, object: undefined, finalStateKnown: false, gone: false }
      return {
        change: { type: 'Deleted', ...gone, ...seen },
        key,
        facts: { uid, what: 'deleted', bytes: 10, size: 'fixed' },
      }
    }
    const isBack = !isThere && known !== undefined && step.again === 'same'
    const uid = isThere ? known : isBack ? known.slice('gone:'.length) : `uid-${++this.#born}`
    this.#objects.set(key, uid)
    const object = objectOf(uid, position)
    const facts = { uid, bytes: step.bytes, size: step.size }
    if (!isThere) return { change: { type: 'Added', object, ...seen }, key, facts: { ...facts, what: 'added' } }
    return {
      change: { type: 'Updated', object, previous: undefined, ...seen },
      key,
      facts: { ...facts, what: 'updated' },
    }
  }

  #mark(kind: Mark['kind']): Notable {
    const position = this.advance()
    const placed = { snapshot: snapshotOf(position, 'part'), resourceVersion: position, observedAt }
    switch (kind) {
      case 'begin':
        return { type: 'SnapshotBegin', ...placed }
      case 'end':
        return { type: 'SnapshotEnd', result, ...placed }
      case 'aborted':
        return { type: 'SnapshotAborted', cause: 'a gap', ...placed }
      case 'expired':
      case 'restored':
        return { type: 'Gap', from: position, to: position, cause: kind, observedAt }
    }
  }
}

/** What an event is about, if that is a change of an object. */
export interface Facts {
  readonly uid: string
  readonly what: What
  readonly bytes: number
  readonly size: 'fixed' | 'degradable'
}

export function eventOf(
  stream: string,
  n: number,
  change: Notable,
  key: string | undefined,
  facts: Facts | undefined,
): OutboundEvent {
  const id = `${n}`
  if (facts && key) {
    const { uid, what, bytes, size } = facts
    const smaller = () => event(id, key, { stream, dataBytes: Math.ceil(bytes / 2) })
    const plain = version(uid, n, what, { key, stream, dataBytes: bytes })
    if (size === 'fixed') return plain
    return version(uid, n, what, {
      key,
      stream,
      dataBytes: bytes,
      smaller: () => ({ ...smaller(), attributes: plain.attributes }),
    })
  }
  switch (change.type) {
    case 'SnapshotItem':
      return event(id, key ?? '', { kind: 'item', stream })
    case 'SnapshotBegin':
      return event(id, `${stream}:begin`, { kind: 'begin', stream })
    case 'SnapshotEnd': {
      const final = () => event(id, `${stream}:end`, { kind: 'end', stream, dataBytes: 12 })
      return { ...event(id, `${stream}:end`, { kind: 'end', stream }), final }
    }
    case 'SnapshotAborted':
      return event(id, `${stream}:aborted`, { kind: 'aborted', stream })
    default: {
      const supersedes = change.type === 'Gap' && change.cause === 'restored' && ({ supersedes: 'stream' } as const)
      return event(id, `${stream}:gap`, { kind: 'gap', stream, ...supersedes })
    }
  }
}

export function objectOf(uid: string, resourceVersion: ResourceVersion) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: uid, uid: uid as Uid, resourceVersion } }
}

export function snapshotOf(id: string, mode: Snapshot['mode']): Snapshot {
  return { id, reason: 'periodic', mode, ledger: 'warm' }
}
