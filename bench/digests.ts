/**
 * What the digests of a snapshot's `end` cost, which are kept up with every change, beside what is done with the change
 * anyway. In this process: there is nothing to send.
 */
import { performance } from 'node:perf_hooks'
import { structured } from '../src/events/index.ts'
import type { Delta } from '../src/informer/delta.ts'
import type { KubeObject, Resource, Timestamp } from '../src/kube/object.ts'
import { Members } from '../src/reconcile/members.ts'
import { createRedaction } from '../src/redact/redact.ts'
import { allOn, wholeObject } from '../src/route/view.ts'
import { createTranslator } from '../src/translate/translate.ts'
import { Pods } from './support/pods.ts'
import type { Report } from './support/report.ts'
import { median } from './support/statistics.ts'

export const description =
  'The digests of which objects there are, for each event, against the rest of the work for it.'

export interface Size {
  readonly objects: number
  readonly rounds: number
  readonly seed: number
}

const size: Size = { objects: 1_000, rounds: 50, seed: 1 }

export interface Row {
  readonly event: 'added' | 'updated' | 'deleted'
  /** Medians of the rounds, of one event. */
  readonly digestMicros: number
  /** Making the event, and its bytes for a webhook. */
  readonly translateMicros: number
  /** The same with parsing and redacting the frame before it. */
  readonly wholeMicros: number
}

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const view = { sink: 'bench', on: new Set(allOn), payload: wholeObject }
const facts = { deadLettered: () => 0 }

type ObjectDelta = Extract<Delta, { readonly type: 'Added' | 'Updated' | 'Deleted' }>

/** Throws if the digests do not tell what is there. */
export function measure({ objects, rounds, seed }: Size): readonly Row[] {
  const source = new Pods({ objects, seed })
  const redact = createRedaction({ paths: [], env: [] })
  const translate = createTranslator({ cluster: 'bench', stream: 'all/pods', resource: pods, scope: {} })
  const read = (frames: readonly string[]) =>
    frames.map((text) => redact((JSON.parse(text) as { readonly object: KubeObject }).object))
  const sendable = (deltas: readonly ObjectDelta[]) => {
    for (const delta of deltas) {
      const { attributes, data } = translate(delta)(view, facts)
      if (structured(attributes, data) === '') throw new Error('an event has no bytes')
    }
  }
  const perEvent = (work: () => void) => {
    const begun = performance.now()
    work()
    return ((performance.now() - begun) * 1000) / objects
  }
  const kinds = ['added', 'updated', 'deleted'] as const
  const taken = kinds.map((event) => ({
    event,
    digest: [] as number[],
    translating: [] as number[],
    whole: [] as number[],
  }))
  const empty = new Members().digests()
  // the first round, which is not counted, is for the compiler
  for (let round = 0; round <= rounds; round++) {
    const framesOf = (first: number) => Array.from({ length: objects }, (_, index) => source.update(first + index).text)
    const frames = [framesOf(2 * round * objects), framesOf((2 * round + 1) * objects)] as const
    const [before, after] = [read(frames[0]), read(frames[1])]
    const deltas = {
      added: before.map(added),
      updated: after.map((object, index) => updated(object, before[index])),
      deleted: after.map(deleted),
    }
    const members = new Members()
    for (const { event, digest, translating, whole } of taken) {
      const parseMicros = perEvent(() => read(event === 'added' ? frames[0] : frames[1]))
      const translateMicros = perEvent(() => sendable(deltas[event]))
      const digestMicros = perEvent(() => deltas[event].forEach((delta) => void members.follow(delta)))
      if (members.size !== (event === 'deleted' ? 0 : objects)) throw new Error(`there are ${members.size} members`)
      if (round === 0) continue
      digest.push(digestMicros)
      translating.push(translateMicros)
      whole.push(parseMicros + translateMicros + digestMicros)
    }
    if (members.digests().state !== empty.state) throw new Error('the digest of nothing is another one')
  }
  return taken.map(({ event, digest, translating, whole }) => ({
    event,
    digestMicros: median(digest),
    translateMicros: median(translating),
    wholeMicros: median(whole),
  }))
}

export async function run(): Promise<Report> {
  const rows = measure(size)
  const percent = (part: number, of: number) => `${((100 * part) / of).toFixed(1)} %`
  return {
    result: { size, rows },
    columns: ['', 'digests', 'translate, encode', 'parse to encode', 'digests of that'],
    rows: rows.map(({ event, digestMicros, translateMicros, wholeMicros }) => [
      event,
      ...[digestMicros, translateMicros, wholeMicros].map((micros) => `${micros.toFixed(1)} us`),
      percent(digestMicros, wholeMicros),
    ]),
  }
}

function seenAt({ metadata: { resourceVersion } }: KubeObject) {
  const observedAt = '2026-01-01T00:00:00Z' as Timestamp
  return { resourceVersion, observed: 'watch', observedAt, collapsed: false } as const
}

function added(object: KubeObject): ObjectDelta {
  return { type: 'Added', object, ...seenAt(object) }
}

function updated(object: KubeObject, previous: KubeObject | undefined): ObjectDelta {
  return { type: 'Updated', object, previous, ...seenAt(object) }
}

function deleted(object: KubeObject): ObjectDelta {
  const identity = object.metadata
  return { type: 'Deleted', identity, object, finalStateKnown: true, gone: true, ...seenAt(object) }
}
