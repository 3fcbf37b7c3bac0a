import { Agent, request } from 'undici'
import { eventually } from '../support/eventually.ts'

/** One write of one object, as etcd recorded it. */
export interface RecordedChange {
  readonly type: 'created' | 'updated' | 'deleted'
  /** `pods/shop/web`, `example.com/widgets/shop/one`: the key below `/registry/`. */
  readonly key: string
  readonly uid: string
  /** Of the write; of a deletion, that of the deletion. */
  readonly resourceVersion: string
  /** The object as it was stored; of a deletion, the last one. */
  readonly object: { readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string } }
}

interface KeyValue {
  readonly key: string
  readonly value?: string
  readonly create_revision?: string
  readonly mod_revision: string
}

interface WatchEvent {
  readonly type?: 'DELETE'
  readonly kv: KeyValue
  readonly prev_kv?: KeyValue
}

interface WatchLine {
  readonly result?: {
    readonly header: { readonly revision: string }
    readonly canceled?: boolean
    readonly compact_revision?: string
    readonly events?: readonly WatchEvent[]
  }
  readonly error?: unknown
}

/**
 * etcd's own history of every key, from a revision on: what really happened, in order, whatever happened to API servers
 * meanwhile. Complete also when etcd is compacted later: it is read as it happens.
 */
export class Recorder implements AsyncDisposable {
  readonly #agent = new Agent({ bodyTimeout: 0 })
  readonly #stop = new AbortController()
  readonly #changes: RecordedChange[] = []
  #revision: bigint
  #failure: unknown
  #reading: Promise<void> | undefined

  private constructor(before: bigint) {
    this.#revision = before
  }

  /** `from`: the first revision that is wanted; etcd must still have it. */
  static async start(etcdUrl: string, from: bigint): Promise<Recorder> {
    const recorder = new Recorder(from - 1n)
    const everything = Buffer.from('\0').toString('base64')
    const { body } = await request(`${etcdUrl}/v3/watch`, {
      method: 'POST',
      dispatcher: recorder.#agent,
      signal: recorder.#stop.signal,
      body: JSON.stringify({
        create_request: { key: everything, range_end: everything, start_revision: String(from), prev_kv: true },
      }),
    })
    recorder.#reading = recorder.#read(body)
    return recorder
  }

  /**
   * Everything under `/registry/<prefix>`, in order; waits until all up to `revision` is recorded, and may hold more.
   * Rejects if etcd ended the watch, for example because it was compacted beyond `from`.
   */
  async until(revision: bigint, ...prefixes: readonly string[]): Promise<readonly RecordedChange[]> {
    const what = `etcd's history is read up to ${revision}`
    await eventually(() => this.#failure !== undefined || this.#revision >= revision, { what })
    if (this.#failure !== undefined) throw this.#failure
    return this.#changes.filter(({ key }) => prefixes.some((prefix) => key.startsWith(prefix)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#reading
    await this.#agent.destroy()
  }

  async #read(body: AsyncIterable<Buffer>): Promise<void> {
    try {
      let rest = ''
      const decoder = new TextDecoder()
      for await (const chunk of body) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line) this.#take(JSON.parse(line) as WatchLine)
      }
      throw new Error('etcd ended the watch of its history')
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure = error
    }
  }

  #take({ result, error }: WatchLine): void {
    if (!result || result.canceled) {
      const compacted = result?.compact_revision && `compacted up to ${result.compact_revision}`
      throw new Error(`etcd ended the watch of its history: ${compacted || JSON.stringify(error ?? result)}`)
    }
    for (const event of result.events ?? []) {
      const change = changeOf(event)
      if (change) this.#changes.push(change)
      this.#revision = BigInt(event.kv.mod_revision)
    }
  }
}

const REGISTRY = '/registry/'

function changeOf({ type, kv, prev_kv }: WatchEvent): RecordedChange | undefined {
  const key = Buffer.from(kv.key, 'base64').toString()
  if (!key.startsWith(REGISTRY)) return undefined
  const value = type === 'DELETE' ? prev_kv?.value : kv.value
  // the value before a deletion is read when the watch is served: a compaction can be faster
  if (value === undefined) throw new Error(`etcd has no value for ${key} at ${kv.mod_revision} any more`)
  const object = JSON.parse(Buffer.from(value, 'base64').toString()) as RecordedChange['object']
  const created = kv.create_revision === kv.mod_revision
  return {
    type: type === 'DELETE' ? 'deleted' : created ? 'created' : 'updated',
    key: key.slice(REGISTRY.length),
    uid: object.metadata.uid,
    resourceVersion: kv.mod_revision,
    object,
  }
}
