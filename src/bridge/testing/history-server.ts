/** For tests: an API server of one resource, made of its history, which may be cut short or replaced by a backup. */
import { added, bookmark, deleted, modified, pod, rv } from '../../informer/test-kit.ts'
import { KubeError } from '../../kube/errors.ts'
import type { Frame, Frames, ListPage, ListQuery, ListWatch, WatchQuery } from '../../kube/list-watch.ts'
import type { KubeObject } from '../../kube/object.ts'
import { abortable } from '../../lib/abort.ts'

interface Entry {
  readonly version: number
  readonly name: string
  readonly frame: Frame<KubeObject>
}

export class HistoryServer implements ListWatch<KubeObject> {
  version = 10
  readonly objects = new Map<string, KubeObject>()
  #history: Entry[] = []
  #born = 0
  /** Watches from before this version, and lists at one, are answered with 410. */
  #watchFrom = 0
  #exactFrom = 0
  /** Connections from before are cut. */
  #era = 0
  /** A list was answered since the last restore. */
  wasAsked = true
  #changed = Promise.withResolvers<void>()

  put(name: string, tier = 'a'): void {
    this.version++
    const known = this.objects.get(name)
    const uid = known?.metadata.uid ?? `${name}-${++this.#born}`
    const object = pod(`shop/${name}`, this.version, { uid, labels: { tier }, spec: this.version })
    this.objects.set(name, object)
    this.#write(name, known ? modified(object) : added(object))
  }

  delete(name: string): void {
    const known = this.objects.get(name)
    if (!known) return
    this.version++
    this.objects.delete(name)
    const { uid, labels = {} } = known.metadata
    this.#write(name, deleted(pod(`shop/${name}`, this.version, { uid, labels, spec: this.version })))
  }

  /** Something else of the cluster has changed: a bookmark tells. */
  progress(): void {
    this.version++
    this.#wake()
  }

  /** The watch cache holds nothing older any more. */
  expireWatches(): void {
    this.#watchFrom = this.version
    this.#wake()
  }

  /** Nor does etcd: it was compacted. */
  compact(): void {
    this.expireWatches()
    this.#exactFrom = this.version
  }

  /** From a backup that is so many versions old. */
  restore(versions: number): void {
    this.version = Math.max(1, this.version - versions)
    this.#history = this.#history.filter(({ version }) => version <= this.version)
    this.objects.clear()
    for (const [name, object] of this.#at(this.version)) this.objects.set(name, object)
    this.#watchFrom = Math.min(this.#watchFrom, this.version)
    this.#exactFrom = Math.min(this.#exactFrom, this.version)
    this.wasAsked = false
    this.reset()
  }

  /** Connections are cut. */
  reset(): void {
    this.#era++
    this.#wake()
  }

  async list({ limit, resourceVersion, continue: next }: ListQuery): Promise<ListPage<KubeObject>> {
    this.wasAsked = true
    const asked = next?.split(' ').map(Number) ?? []
    const at = asked[0] ?? Number(resourceVersion ?? this.version)
    if (at < this.#exactFrom && at !== this.version) throw new KubeError('expired', 'compacted')
    const from = asked[1] ?? 0
    const all = [...this.#at(at).values()]
    const items = all.slice(from, from + limit)
    const page = { items, resourceVersion: rv(at) }
    return from + limit < all.length ? { ...page, continue: `${at} ${from + limit}` } : page
  }

  async watch({ resourceVersion }: WatchQuery, signal: AbortSignal): Promise<Frames<KubeObject>> {
    const from = Number(resourceVersion)
    if (from < this.#watchFrom) throw new KubeError('expired', 'too old')
    const chunks = this.#frames(from, signal)
    return { [Symbol.asyncIterator]: () => chunks, [Symbol.asyncDispose]: async () => undefined }
  }

  async *#frames(after: number, signal: AbortSignal): AsyncGenerator<readonly Frame<KubeObject>[]> {
    const era = this.#era
    let from = after
    for (;;) {
      if (this.#era !== era) throw new KubeError('reset', 'the connection was cut')
      if (from < this.#watchFrom) throw new KubeError('expired', 'too slow')
      const news = this.#history.filter(({ version }) => version > from)
      if (news.length > 0) {
        from = news.at(-1)?.version ?? from
        yield news.map(({ frame }) => frame)
      } else if (from < this.version) {
        from = this.version
        yield [bookmark(this.version)]
      } else {
        await abortable(this.#changed.promise, signal)
      }
    }
  }

  #at(version: number): ReadonlyMap<string, KubeObject> {
    const objects = new Map<string, KubeObject>()
    for (const { version: at, name, frame } of this.#history) {
      if (at > version) break
      if (frame.type === 'DELETED') objects.delete(name)
      else if ('object' in frame) objects.set(name, frame.object)
    }
    return objects
  }

  #write(name: string, frame: Frame<KubeObject>): void {
    this.#history.push({ version: this.version, name, frame })
    this.#wake()
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
