import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KubeErrorCode } from '../kube/errors.ts'
import type { Frame, Frames, ListPage, ListQuery, ListWatch, WatchQuery } from '../kube/list-watch.ts'
import {
  compareResourceVersions,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ResourceVersion,
  type Uid,
} from '../kube/object.ts'
import { type ListStreaming, StreamedLists } from '../kube/streamed-lists.ts'
import { abortable } from '../lib/abort.ts'
import { assertNever } from '../lib/assert-never.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { Condition } from './condition.ts'
import type { Delta } from './delta.ts'
import { Informer } from './informer.ts'
import { added, bookmark, deleted, error, fault, marker, modified, type ObjectFrame, pod } from './test-kit.ts'

type Fault =
  | { readonly type: 'fails'; readonly code: KubeErrorCode }
  | { readonly type: 'error-frame'; readonly code: KubeErrorCode }
  | { readonly type: 'closes' }
  /** Frames that the watch has sent are sent again. */
  | { readonly type: 'repeats'; readonly frames: number }

type Command =
  | { readonly type: 'write'; readonly name: string; readonly what: 'put' | 'delete' | 'recreate' }
  | { readonly type: 'forget' }
  | { readonly type: 'bookmark' }
  | { readonly type: 'fault'; readonly fault: Fault }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'take' }

interface Write {
  readonly version: number
  readonly frame: ObjectFrame
}

/** An API server with a true history, which it may fail to tell. Nothing can be watched from before `#oldest`. */
class FlakyServer implements ListWatch<KubeObject> {
  readonly history: Write[] = []
  readonly objects = new Map<string, KubeObject>()
  readonly #faults: Fault[] = []
  readonly #changed = new Condition()
  readonly #snapshots = new Map<string, { readonly items: readonly KubeObject[]; readonly version: number }>()
  #version = 10
  #oldest = 10
  #births = 0
  #bookmarks = 0
  readonly streaming: ListStreaming | undefined

  constructor(lists: 'paged' | 'streamed') {
    this.streaming = lists === 'paged' ? undefined : new StreamedLists().of('pods')
  }

  write(name: string, what: 'put' | 'delete' | 'recreate'): void {
    const previous = this.objects.get(name)
    if (what !== 'put' && previous) {
      const gone = pod(name, ++this.#version, { uid: previous.metadata.uid })
      this.objects.delete(name)
      this.#record(deleted(gone))
    }
    if (what === 'delete') return
    const uid = what === 'put' && previous ? previous.metadata.uid : `${name}-${++this.#births}`
    const object = pod(name, ++this.#version, { uid })
    this.objects.set(name, object)
    this.#record(what === 'put' && previous ? modified(object) : added(object))
  }

  forget(): void {
    this.#oldest = this.#version
    this.#snapshots.clear()
    this.#changed.notify()
  }

  bookmark(): void {
    this.#bookmarks++
    this.#changed.notify()
  }

  failNext(fault: Fault): void {
    this.#faults.push(fault)
    this.#changed.notify()
  }

  heal(): void {
    this.#faults.length = 0
  }

  async list({ limit, continue: next }: ListQuery, signal: AbortSignal): Promise<ListPage<KubeObject>> {
    signal.throwIfAborted()
    const failure = this.#faults.shift()
    if (failure?.type === 'fails') throw fault(failure.code)
    const [id = '', offset = '0'] = next?.split(':') ?? []
    const snapshot = next ? this.#snapshots.get(id) : { items: [...this.objects.values()], version: this.#version }
    if (!snapshot) throw fault('expired')
    const token = next ? id : String(this.#snapshots.size)
    this.#snapshots.set(token, snapshot)
    const end = Number(offset) + limit
    const more = end < snapshot.items.length ? { continue: `${token}:${end}` } : {}
    const resourceVersion = String(snapshot.version) as ResourceVersion
    return { items: snapshot.items.slice(Number(offset), end), resourceVersion, ...more }
  }

  async watch({ resourceVersion, sendInitialEvents }: WatchQuery, signal: AbortSignal): Promise<Frames<KubeObject>> {
    signal.throwIfAborted()
    const failure = this.#faults.shift()
    if (failure?.type === 'fails') throw fault(failure.code)
    if (sendInitialEvents) {
      if (Number(resourceVersion ?? 0) > this.#version) throw fault('too-large-resource-version')
    } else if (Number(resourceVersion) < this.#oldest) throw fault('expired')
    const chunks = sendInitialEvents ? this.#stream(signal) : this.#frames(Number(resourceVersion), signal)
    return { [Symbol.asyncIterator]: () => chunks, [Symbol.asyncDispose]: async () => {} }
  }

  /** The state at some moment, in pieces; what changes meanwhile comes before the marker, as on the real server. */
  async *#stream(signal: AbortSignal): AsyncGenerator<readonly Frame<KubeObject>[]> {
    const from = this.#version
    const objects = [...this.objects.values()]
    for (let at = 0; at < objects.length; at += 2) {
      yield objects.slice(at, at + 2).map(added)
      const failure = this.#faults.shift()
      if (failure?.type === 'fails') throw fault(failure.code)
      if (failure?.type === 'error-frame') return yield [error(failure.code)]
      if (failure?.type === 'closes') return
    }
    const meanwhile = this.history.filter(({ version }) => version > from)
    const end = this.#version
    yield [...meanwhile.map(({ frame }) => frame), marker(end)]
    yield* this.#frames(end, signal)
  }

  async *#frames(from: number, signal: AbortSignal): AsyncGenerator<readonly Frame<KubeObject>[]> {
    let at = from
    let bookmarks = this.#bookmarks
    const rest = () => this.history.filter(({ version }) => version > at).slice(0, 3)
    const hasMore = () => this.#faults.length > 0 || rest().length > 0 || bookmarks < this.#bookmarks
    for (;;) {
      await abortable(this.#changed.wait(hasMore, signal), signal)
      const failure = this.#faults.shift()
      switch (failure?.type) {
        case 'fails':
          throw fault(failure.code)
        case 'error-frame':
          yield [error(failure.code)]
          return
        case 'closes':
          return
        case 'repeats': {
          const sent = this.history.filter(({ version }) => version <= at && version > from)
          if (sent.length > 0) yield sent.slice(-failure.frames).map(({ frame }) => frame)
          break
        }
        case undefined:
          break
        default:
          assertNever(failure)
      }
      const next = rest()
      at = next.at(-1)?.version ?? at
      if (next.length > 0) yield next.map(({ frame }) => frame)
      else if (bookmarks < this.#bookmarks) yield [bookmark(at)]
      bookmarks = this.#bookmarks
    }
  }

  #record(frame: Write['frame']): void {
    this.history.push({ version: this.#version, frame })
    this.#changed.notify()
  }
}

/** A consumer that keeps a copy, and objects to what no consumer should have to bear. */
class Copy {
  readonly objects = new Map<ObjectKey, KubeObject>()
  readonly #last = new Map<Uid, ResourceVersion>()
  readonly #gone = new Set<Uid>()
  #position: ResourceVersion | undefined
  readonly #versions: () => ReadonlyMap<Uid, readonly string[]>

  /** `versions`: of each uid, all that the server ever had, in order. */
  constructor(versions: () => ReadonlyMap<Uid, readonly string[]>) {
    this.#versions = versions
  }

  apply(delta: Delta): void {
    if (delta.type === 'Progress' || delta.type === 'Gap') {
      this.#advance(delta.type === 'Gap' ? delta.to : delta.resourceVersion)
      return
    }
    const { metadata } = delta.type === 'Deleted' ? { metadata: delta.identity } : delta.object
    const key = keyOf(metadata)
    const held = this.objects.get(key)
    if (delta.type === 'Deleted') {
      this.#gone.add(metadata.uid)
      // a repeated delete is told again as what it was, at its own version
      if (held?.metadata.uid !== metadata.uid) return
      this.objects.delete(key)
      this.#advance(delta.resourceVersion)
      return
    }
    this.#advance(delta.resourceVersion)
    const { resourceVersion, uid } = delta.object.metadata
    const last = this.#last.get(uid)
    assert.ok(!this.#gone.has(uid), `${uid} came back from the dead`)
    assert.ok(!last || compareResourceVersions(last, resourceVersion) < 0, `${uid} went back to ${resourceVersion}`)
    if (delta.type === 'Added') assert.equal(held, undefined, `${uid} was added before the former ${key} was deleted`)
    else assert.equal(held, delta.previous, `the previous of ${uid} is not what was told`)
    if (!delta.collapsed) this.#assertNothingSkipped(uid, last, resourceVersion, delta.observed)
    this.#last.set(uid, resourceVersion)
    this.objects.set(key, delta.object)
  }

  #advance(position: ResourceVersion): void {
    const before = this.#position
    assert.ok(
      !before || compareResourceVersions(before, position) <= 0,
      `the position went from ${before} to ${position}`,
    )
    this.#position = position
  }

  #assertNothingSkipped(uid: Uid, last: string | undefined, version: string, observed: 'watch' | 'relist'): void {
    if (observed === 'relist') return
    const versions = this.#versions().get(uid) ?? []
    assert.equal(versions.indexOf(version), last ? versions.indexOf(last) + 1 : 0, `${uid} skipped versions silently`)
  }
}

const codes: readonly KubeErrorCode[] = [
  'refused',
  'reset',
  'idle',
  'throttled',
  'unavailable',
  'server',
  'expired',
  'too-large-resource-version',
  'forbidden',
  'unusable',
]

const faults: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ type: fc.constant('fails' as const), code: fc.constantFrom(...codes) }),
  fc.record({ type: fc.constant('error-frame' as const), code: fc.constantFrom(...codes) }),
  fc.record({ type: fc.constant('closes' as const) }),
  fc.record({ type: fc.constant('repeats' as const), frames: fc.integer({ min: 1, max: 6 }) }),
)

const commands: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      what: fc.constantFrom('put' as const, 'put' as const, 'delete' as const, 'recreate' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('take' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('fault' as const), fault: faults }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.constantFrom(0, 0, 900, 5000) }) },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'forget' as const }, { type: 'bookmark' as const }) },
)

async function run(lists: 'paged' | 'streamed', script: readonly Command[]): Promise<void> {
  const clock = new ManualClock()
  const server = new FlakyServer(lists)
  const stop = new AbortController()
  const options = { scope: 'whole', clock, random: () => 0.5, queueEntries: 4, reflector: { pageSize: 2 } } as const
  const informer = new Informer<KubeObject>(server, options)
  const reader = informer.deltas(stop.signal)
  const copy = new Copy(() => {
    const versions = new Map<Uid, string[]>()
    for (const { frame } of server.history) {
      const { uid, resourceVersion } = frame.object.metadata
      versions.set(uid, [...(versions.get(uid) ?? []), resourceVersion])
    }
    return versions
  })
  const take = () => {
    const deltas = reader.take()
    for (const delta of deltas) copy.apply(delta)
    return deltas.length
  }
  informer.start(stop.signal)
  for (const command of script) {
    switch (command.type) {
      case 'write':
        server.write(command.name, command.what)
        break
      case 'forget':
        server.forget()
        break
      case 'bookmark':
        server.bookmark()
        break
      case 'fault':
        server.failNext(command.fault)
        break
      case 'pass':
        await clock.advance(command.ms)
        break
      case 'take':
        take()
        break
      default:
        assertNever(command)
    }
  }
  server.heal()
  for (let idle = 0; idle < 3; ) {
    await clock.advance(60_000)
    if (take() === 0) idle++
    else idle = 0
  }
  stop.abort()
  await informer.stopped()
  const expected = [...server.objects.values()].map(({ metadata }) => metadata)
  const told = [...copy.objects.values()].map(({ metadata }) => metadata)
  const stored = [...informer.indexer.objects()].map(({ metadata }) => metadata)
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
  assert.deepEqual(told.sort(byName), expected.sort(byName))
  assert.deepEqual(stored.sort(byName), expected)
}

for (const lists of ['paged', 'streamed'] as const) {
  test(`C50 F12 P2 P5 any history, told through any faults, converges: in order per uid, old uid before new, nothing skipped silently (lists ${lists})`, async (t) => {
    const seed = Date.now() % 2 ** 31
    t.diagnostic(`seed ${seed}`)
    const property = fc.asyncProperty(fc.array(commands, { minLength: 5, maxLength: 60 }), (script) =>
      run(lists, script),
    )
    await fc.assert(property, { seed, numRuns: 150 })
  })
}
