import type { RecordedChange } from '../../testbed/recorder.ts'

/** What a write is to a view. */
export interface Effect {
  /** A version of a member; a member ceases to be one; it is gone. */
  readonly type: 'version' | 'left' | 'deleted'
  readonly uid: string
  readonly resourceVersion: string
  /** As in `sequence`: 20 digits, so that text order is their order. */
  readonly position: string
  readonly object: RecordedChange['object']
}

/** All that ever happened to one object. */
export interface ObjectTruth {
  readonly uid: string
  /** As etcd has it. */
  readonly key: string
  /** Stream, in the only source of the suite. */
  readonly stream: string
  readonly source: string
  readonly subject: string
  /** To the view, in order. */
  readonly effects: Effect[]
  /** Position of its deletion, member or not. */
  deletedAt: string | undefined
}

export const SOURCE = 'all'

/** Which objects a sink is told of. */
export type View = (object: RecordedChange['object']) => boolean

export const whole: View = () => true

/** What happened on the server, by object, as a view shows it. */
export class Truth {
  readonly objects = new Map<string, ObjectTruth>()
  /** uids of the objects that had one name, one after the other. */
  readonly successions = new Map<string, string[]>()
  /** Of all objects, in order. */
  readonly effects: Effect[] = []

  /** `history`: every write, in order. */
  constructor(history: readonly RecordedChange[], view: View = whole) {
    for (const change of history) {
      const { uid, key, resourceVersion, object } = change
      const truth = this.objects.get(uid) ?? this.#born(uid, key)
      const position = positionOf(resourceVersion)
      if (change.type === 'deleted') truth.deletedAt = position
      const type = effectOf(change, truth, view)
      if (!type) continue
      const effect = { type, uid, resourceVersion, position, object }
      truth.effects.push(effect)
      this.effects.push(effect)
    }
  }

  /** uid -> resourceVersion of the members at a position; of one stream, or of all. */
  stateAt(position: string, stream?: string): ReadonlyMap<string, string> {
    const state = new Map<string, string>()
    for (const { uid, type, resourceVersion, position: at } of this.effects) {
      if (at > position) break
      if (stream !== undefined && this.objects.get(uid)?.stream !== stream) continue
      if (type === 'version') state.set(uid, resourceVersion)
      else state.delete(uid)
    }
    return state
  }

  isGoneAt(uid: string, position: string): boolean {
    const deletedAt = this.objects.get(uid)?.deletedAt
    return deletedAt !== undefined && deletedAt <= position
  }

  isMemberAt(uid: string, position: string): boolean {
    const effects = this.objects.get(uid)?.effects ?? []
    return effects.findLast(({ position: at }) => at <= position)?.type === 'version'
  }

  #born(uid: string, key: string): ObjectTruth {
    const truth = { uid, key, ...identityOf(key), effects: [], deletedAt: undefined }
    this.objects.set(uid, truth)
    this.successions.set(key, [...(this.successions.get(key) ?? []), uid])
    return truth
  }
}

function effectOf({ type, object }: RecordedChange, { effects }: ObjectTruth, view: View): Effect['type'] | undefined {
  const wasMember = effects.at(-1)?.type === 'version'
  if (type === 'deleted') return wasMember ? 'deleted' : undefined
  if (view(object)) return 'version'
  return wasMember ? 'left' : undefined
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
