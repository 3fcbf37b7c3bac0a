/** For tests: objects in short, an API server that answers by script, and what an informer made of it. */
import { test } from 'node:test'
import { KubeError, type KubeErrorCode, type KubeErrorDetails } from '../kube/errors.ts'
import type { Frame, Frames, ListPage, ListQuery, ListWatch, WatchQuery } from '../kube/list-watch.ts'
import { type KubeObject, type ResourceVersion, resourceVersion, type Uid } from '../kube/object.ts'
import { type ListStreaming, StreamedLists } from '../kube/streamed-lists.ts'
import { abortable, sleep } from '../lib/abort.ts'
import { assertNever } from '../lib/assert-never.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import type { Delta } from './delta.ts'
import type { DeltaReader } from './delta-reader.ts'
import { Informer, type InformerOptions } from './informer.ts'
import type { InformerFault, ListWay, StreamObserver } from './observer.ts'

export interface PodMembers {
  readonly uid?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly spec?: unknown
}

/** `pod('shop/web', 7)`: a pod at version 7, its uid `shop/web` unless said otherwise. */
export function pod(key: string, version: number, { uid = key, labels, spec }: PodMembers = {}): KubeObject {
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  const namespace = slash < 0 ? {} : { namespace: key.slice(0, slash) }
  const metadata = { ...namespace, name, uid: uid as Uid, resourceVersion: rv(version), ...(labels ? { labels } : {}) }
  return { apiVersion: 'v1', kind: 'Pod', metadata, ...(spec === undefined ? {} : { spec }) }
}

export function rv(version: number): ResourceVersion {
  return resourceVersion(String(version))
}

export function fault(code: KubeErrorCode, details?: KubeErrorDetails): KubeError {
  return new KubeError(code, `scripted: ${code}`, details)
}

export type ObjectFrame = Extract<Frame<KubeObject>, { readonly object: KubeObject }>

export const added = (object: KubeObject): ObjectFrame => ({ type: 'ADDED', object, bytes: 100 })
export const modified = (object: KubeObject): ObjectFrame => ({ type: 'MODIFIED', object, bytes: 100 })
export const deleted = (object: KubeObject): ObjectFrame => ({ type: 'DELETED', object, bytes: 100 })
export const bookmark = (version: number): Frame<KubeObject> => ({
  type: 'BOOKMARK',
  resourceVersion: rv(version),
  initialEventsEnd: false,
})
/** The bookmark that ends the objects of a streamed list. */
export const marker = (version: number): Frame<KubeObject> => ({
  type: 'BOOKMARK',
  resourceVersion: rv(version),
  initialEventsEnd: true,
})
export const error = (code: KubeErrorCode, details?: KubeErrorDetails): Frame<KubeObject> => ({
  type: 'ERROR',
  error: fault(code, details),
})

/** What a scripted watch does next. After the last one it stays open and silent. */
export type Act = readonly Frame<KubeObject>[] | { readonly afterMs: number } | 'close' | KubeError

type Answer =
  | { readonly call: 'list'; readonly page: ListPage<KubeObject> | KubeError }
  | { readonly call: 'watch'; readonly acts: readonly Act[] | KubeError }

export function list(version: number, items: readonly KubeObject[], next?: string): Answer {
  return { call: 'list', page: { items, resourceVersion: rv(version), ...(next ? { continue: next } : {}) } }
}

export function listFails(code: KubeErrorCode, details?: KubeErrorDetails): Answer {
  return { call: 'list', page: fault(code, details) }
}

export function watch(...acts: readonly Act[]): Answer {
  return { call: 'watch', acts }
}

export function watchFails(code: KubeErrorCode, details?: KubeErrorDetails): Answer {
  return { call: 'watch', acts: fault(code, details) }
}

/**
 * `paged`: a server without streamed lists. `streamed`: one that takes them; what the script has as lists it answers as
 * streams, each with the frames of the watch that follows it. `as-scripted`: such a one, its streams are watches of the
 * script.
 */
export type ScriptedLists = 'paged' | 'streamed' | 'as-scripted'

/** What was asked. */
type Call = { readonly list: ListQuery } | { readonly watch: WatchQuery }

/** Answers in the order of the script, and by silence when it is over. A call of the other kind throws. */
export class ScriptedListWatch implements ListWatch<KubeObject> {
  readonly calls: Call[] = []
  /** Watches that were opened and not yet disposed; and how often any was disposed. */
  open = 0
  disposals = 0
  #next = 0
  readonly streaming: ListStreaming | undefined
  readonly #script: readonly Answer[]
  readonly #clock: ManualClock
  readonly #lists: ScriptedLists

  constructor(script: readonly Answer[], clock: ManualClock, lists: ScriptedLists = 'paged') {
    this.#script = script
    this.#clock = clock
    this.#lists = lists
    this.streaming = lists === 'paged' ? undefined : new StreamedLists().of('pods')
  }

  /** The calls in short: `stream`, `stream 7`, `list`, `list next=c`, `check`, `watch 7`. */
  get asked(): readonly string[] {
    return this.calls.map((call) => {
      if ('watch' in call) {
        const { sendInitialEvents, resourceVersion } = call.watch
        return [sendInitialEvents ? 'stream' : 'watch', resourceVersion].filter((part) => part).join(' ')
      }
      if (call.list.limit === 1) return 'check'
      return call.list.continue ? `list next=${call.list.continue}` : 'list'
    })
  }

  get left(): number {
    return this.#script.length - this.#next
  }

  async list(query: ListQuery, signal: AbortSignal): Promise<ListPage<KubeObject>> {
    this.calls.push({ list: query })
    const answer = await this.#answer('list', signal)
    if (answer.call !== 'list') throw new Error('unreachable')
    if (answer.page instanceof KubeError) throw answer.page
    return answer.page
  }

  async watch(query: WatchQuery, signal: AbortSignal): Promise<Frames<KubeObject>> {
    this.calls.push({ watch: query })
    const streamed = query.sendInitialEvents && this.#lists === 'streamed'
    const acts = streamed ? await this.#streamed(signal) : await this.#watched(signal)
    this.open++
    const chunks = this.#play(acts, signal)
    const dispose = async () => {
      this.open--
      this.disposals++
    }
    return { [Symbol.asyncIterator]: () => chunks, [Symbol.asyncDispose]: dispose }
  }

  async #watched(signal: AbortSignal): Promise<readonly Act[]> {
    const answer = await this.#answer('watch', signal)
    if (answer.call !== 'watch') throw new Error('unreachable')
    if (answer.acts instanceof KubeError) throw answer.acts
    return answer.acts
  }

  /** The pages of a list, a chunk each, and the watch after them. */
  async #streamed(signal: AbortSignal): Promise<readonly Act[]> {
    const chunks: Frame<KubeObject>[][] = []
    for (;;) {
      const answer = await this.#answer('list', signal)
      if (answer.call !== 'list') throw new Error('unreachable')
      if (answer.page instanceof KubeError && chunks.length === 0) throw answer.page
      if (answer.page instanceof KubeError) return [...chunks, answer.page]
      const { items, resourceVersion, continue: next } = answer.page
      chunks.push(items.map(added))
      if (next !== undefined) continue
      chunks.push([marker(Number(resourceVersion))])
      const after = this.#script[this.#next]
      // a watch that cannot be opened comes after one that has ended
      if (after?.call !== 'watch' || after.acts instanceof KubeError) return [...chunks, 'close']
      this.#next++
      return [...chunks, ...after.acts]
    }
  }

  async #answer(call: Answer['call'], signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    const answer = this.#script[this.#next]
    if (!answer) return await silence(signal)
    if (answer.call !== call) throw new Error(`the script has a ${answer.call} at ${this.#next}, asked was a ${call}`)
    this.#next++
    return answer
  }

  async *#play(acts: readonly Act[], signal: AbortSignal): AsyncGenerator<readonly Frame<KubeObject>[]> {
    for (const act of acts) {
      if (act === 'close') return
      if (act instanceof KubeError) throw act
      if ('afterMs' in act) await sleep(act.afterMs, this.#clock, signal)
      else if (act.length > 0) yield act
    }
    await silence(signal)
  }
}

function silence(signal: AbortSignal): Promise<never> {
  return abortable(new Promise<never>(() => {}), signal)
}

/** Counts what an observer is told: `{ 'watchEnded reset': 1 }`. */
export class CountingObserver implements StreamObserver {
  readonly counts: Record<string, number> = {}
  listed(way: ListWay): void {
    this.#count(`listed ${way}`)
  }
  listFailed(code: string): void {
    this.#count(`listFailed ${code}`)
  }
  watchFailed(code: string): void {
    this.#count(`watchFailed ${code}`)
  }
  watchStarted(): void {
    this.#count('watchStarted')
  }
  watchEnded(reason: string): void {
    this.#count(`watchEnded ${reason}`)
  }
  bookmark(): void {
    this.#count('bookmark')
  }
  recoveredByRelist(count: number): void {
    this.#count('recoveredByRelist', count)
  }
  inferredDeletes(count: number): void {
    this.#count('inferredDeletes', count)
  }
  droppedStale(): void {
    this.#count('droppedStale')
  }
  #count(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by
  }
}

type RigOptions = Partial<InformerOptions<KubeObject>> & { readonly lists?: ScriptedLists }

/** Two tests: what comes out must not depend on how the lists came in. */
export function inBothWays(
  name: string,
  prove: (rigOf: (...args: ConstructorParameters<typeof Rig>) => Rig) => Promise<void>,
): void {
  for (const lists of ['paged', 'streamed'] as const) {
    test(`${name} (lists ${lists})`, () => prove((script, options) => new Rig(script, { lists, ...options })))
  }
}

/** An informer on a script, started, with one reader. Dispose it at the end of the test. */
export class Rig implements AsyncDisposable {
  readonly clock = new ManualClock()
  readonly api: ScriptedListWatch
  readonly observer = new CountingObserver()
  readonly faults: InformerFault[] = []
  readonly informer: Informer
  readonly reader: DeltaReader
  readonly stop = new AbortController()

  constructor(script: readonly Answer[], { lists, ...options }: RigOptions = {}) {
    this.api = new ScriptedListWatch(script, this.clock, lists)
    const { clock, observer } = this
    const onError = (fault: InformerFault) => this.faults.push(fault)
    this.informer = new Informer(this.api, { scope: 'whole', clock, observer, onError, random: () => 0.5, ...options })
    this.reader = this.informer.deltas(this.stop.signal)
    this.informer.start(this.stop.signal)
  }

  /** Lets `ms` pass, taking what comes; returns it in short. */
  async deltas(ms = 0): Promise<readonly string[]> {
    return (await this.full(ms)).map(inShort)
  }

  /** The same in full. */
  async full(ms = 0): Promise<readonly Delta[]> {
    await this.clock.advance(ms)
    const all: Delta[] = []
    for (let batch = this.reader.take(); batch.length > 0; batch = this.reader.take()) {
      for (const delta of batch) all.push(delta)
      await this.clock.advance(0)
    }
    return all
  }

  /** The store: `shop/web@7`. */
  get store(): readonly string[] {
    return [...this.informer.indexer.objects()].map(objectInShort).sort()
  }

  /** Codes of the stream's failures so far. */
  get failures(): readonly string[] {
    return this.faults.map((fault) => (fault.type === 'Stream' ? fault.error.code : fault.type))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort()
    await this.informer.stopped()
  }
}

function objectInShort({ metadata }: KubeObject): string {
  return `${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}@${metadata.resourceVersion}`
}

/** `Added a@1`, `Updated a@1->a@2`, `Deleted a@2`, `Deleted a@2 inferred`, `Progress 7`, `Gap 7->9 expired`; `~` = collapsed. */
export function inShort(delta: Delta): string {
  switch (delta.type) {
    case 'Added':
      return `Added ${objectInShort(delta.object)}${delta.collapsed ? ' ~' : ''}`
    case 'Updated': {
      const previous = delta.previous ? objectInShort(delta.previous) : '?'
      return `Updated ${previous}->${objectInShort(delta.object)}${delta.collapsed ? ' ~' : ''}`
    }
    case 'Deleted': {
      const object = delta.object ? objectInShort(delta.object) : delta.identity.name
      return `Deleted ${object}${delta.finalStateKnown ? '' : ' inferred'}${delta.gone ? '' : ' left'}`
    }
    case 'Progress':
      return `Progress ${delta.resourceVersion}`
    case 'Gap':
      return `Gap ${delta.from}->${delta.to} ${delta.cause}`
    default:
      return assertNever(delta)
  }
}
