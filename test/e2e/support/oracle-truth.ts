import type { RecordedChange } from '../../testbed/recorder.ts'

/** All that ever happened to one object. */
export interface ObjectTruth {
  readonly uid: string
  /** Stream, in the only source of the suite. */
  readonly stream: string
  readonly source: string
  readonly subject: string
  /** In order; the last one may be its deletion. */
  readonly changes: readonly RecordedChange[]
  /** Position of its deletion. */
  readonly deletedAt?: string
}

export const SOURCE = 'all'

/** What happened on the server, by object. Positions are as in `sequence`: 20 digits, so that text order is their order. */
export class Truth {
  readonly objects = new Map<string, ObjectTruth>()
  /** uids of the objects that had one name, one after the other. */
  readonly successions = new Map<string, string[]>()
  readonly history: readonly RecordedChange[]

  /** `history`: every write, in order. */
  constructor(history: readonly RecordedChange[]) {
    this.history = history
    for (const change of history) {
      const { uid, key, type, resourceVersion } = change
      const before = this.objects.get(uid) ?? { uid, ...identityOf(key), changes: [] }
      if (before.changes.length === 0) this.successions.set(key, [...(this.successions.get(key) ?? []), uid])
      const changes = [...before.changes, change]
      this.objects.set(uid, {
        ...before,
        changes,
        ...(type === 'deleted' && { deletedAt: positionOf(resourceVersion) }),
      })
    }
  }

  /** uid -> resourceVersion of what was there at a position; of one stream, or of all. */
  stateAt(position: string, stream?: string): ReadonlyMap<string, string> {
    const state = new Map<string, string>()
    for (const { uid, type, resourceVersion } of this.history) {
      if (positionOf(resourceVersion) > position) break
      if (stream !== undefined && this.objects.get(uid)?.stream !== stream) continue
      if (type === 'deleted') state.delete(uid)
      else state.set(uid, resourceVersion)
    }
    return state
  }

  isGoneAt(uid: string, position: string): boolean {
    const deletedAt = this.objects.get(uid)?.deletedAt
    return deletedAt !== undefined && deletedAt <= position
  }
}

/** `4711` as 20 digits. */
export function positionOf(resourceVersion: string): string {
  return resourceVersion.padStart(20, '0')
}

/** Behind everything. */
export const END = '9'.repeat(20)

const resources: Readonly<Record<string, { readonly stream: string; readonly source: string }>> = {
  pods: { stream: 'pods', source: 'kubernetes://test/api/v1/pods' },
  configmaps: { stream: 'configmaps', source: 'kubernetes://test/api/v1/configmaps' },
  'example.com/widgets': { stream: 'widgets.v1.example.com', source: 'kubernetes://test/apis/example.com/v1/widgets' },
}

/** Of `example.com/widgets/shop/one`. */
function identityOf(key: string): Pick<ObjectTruth, 'stream' | 'source' | 'subject'> {
  const [name = '', namespace = '', ...rest] = key.split('/').reverse()
  const resource = resources[rest.reverse().join('/')]
  if (!resource) throw new Error(`no stream is known for ${key}`)
  const { stream, source } = resource
  return { stream: `${SOURCE}/${stream}/${namespace}`, source, subject: `${namespace}/${name}` }
}
