/**
 * Whatever the routes and the history: who puts what a view lets through, and removes what it says has left, has the part
 * of the cluster that fits, after every step. What fits is said a second time here, in plain functions.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { KubeObject, ResourceVersion, Timestamp, Uid } from '../kube/object.ts'
import type { ObjectDelta } from './crossing.ts'
import { type CompiledRoute, compileRoutes, RoutedView } from './routed-view.ts'
import { allOn, type Payload, type Route, wants } from './view.ts'

interface Facts {
  readonly tier: 'web' | 'api' | undefined
  readonly replicas: number
  readonly phases: readonly string[]
}

const conditions: readonly (readonly [where: string | undefined, fits: (facts: Facts) => boolean])[] = [
  [undefined, () => true],
  ["object.metadata.labels.tier == 'web'", ({ tier }) => tier === 'web'], // fails without the label
  ["object.metadata.?labels.?tier.orValue('none') != 'web'", ({ tier }) => tier !== 'web'],
  ["has(object.metadata.labels.tier) && object.metadata.labels.tier != 'api'", ({ tier }) => tier === 'web'],
  ['object.spec.replicas % 2 == 0 || object.spec.replicas > 3', ({ replicas: n }) => n % 2 === 0 || n > 3],
  ["object.status.phases.exists(p, p == 'Ready')", ({ phases }) => phases.includes('Ready')],
  ["object.status.phases.all(p, p != 'Failed')", ({ phases }) => !phases.includes('Failed')],
  ["object.status.phases[1] == 'Ready'", ({ phases }) => phases[1] === 'Ready'], // fails on short lists
  ['size(object.status.phases) > 1 && object.spec.replicas < 3', (f) => f.phases.length > 1 && f.replicas < 3],
  ['object.spec.replicas', () => false], // no condition: always fails
]

const facts: fc.Arbitrary<Facts> = fc.record({
  tier: fc.constantFrom('web' as const, 'api' as const, undefined),
  replicas: fc.nat({ max: 5 }),
  phases: fc.array(fc.constantFrom('Ready', 'Failed', 'Pending'), { maxLength: 3 }),
})

const shapes: readonly Payload[] = (['object', 'metadata', 'reference', 'bare'] as const).map((shape) => ({
  shape,
  previous: false,
}))

interface Rule {
  readonly condition: number
  readonly from: readonly string[] | undefined
  readonly to: readonly string[]
  readonly payload: number
}

const sinks = ['a', 'b'] as const
const rules: fc.Arbitrary<readonly Rule[]> = fc.array(
  fc.record({
    condition: fc.nat({ max: conditions.length - 1 }),
    from: fc.constantFrom(undefined, ['pods'], ['nodes'], ['nodes', 'pods']),
    to: fc.subarray([...sinks], { minLength: 1 }),
    payload: fc.nat({ max: shapes.length - 1 }),
  }),
  { minLength: 1, maxLength: 4 },
)

type Step =
  | { readonly type: 'write'; readonly name: string; readonly facts: Facts; readonly forgotten: boolean }
  /** Objects may change in the moment of their end: `facts` is what they are then. */
  | { readonly type: 'delete'; readonly name: string; readonly facts: Facts | undefined; readonly forgotten: boolean }
  | { readonly type: 'redefine'; readonly rules: readonly Rule[] }

const name = fc.constantFrom('x', 'y', 'z')
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant('write' as const), name, facts, forgotten: fc.boolean() }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('delete' as const),
        name,
        facts: fc.option(facts, { nil: undefined }),
        forgotten: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('redefine' as const), rules }) },
  ),
  { maxLength: 30 },
)

const compiled = (all: readonly Rule[]): readonly CompiledRoute[] =>
  compileRoutes(
    all.map(({ condition, from, to, payload }, index): Route => {
      const where = conditions[condition]?.[0]
      return {
        name: `r${index}`,
        ...(from && { from }),
        to,
        on: allOn,
        ...(where !== undefined && { where }),
        payload: shapes[payload] ?? fail(),
      }
    }),
  )

/** The payload that an object is to come with, by the plain functions. */
function expected(all: readonly Rule[], sink: string, of: Facts): Payload | undefined {
  const rule = all.find(
    ({ condition, from, to }) =>
      to.includes(sink) && (from?.includes('pods') ?? true) && (conditions[condition]?.[1](of) ?? false),
  )
  return rule && shapes[rule.payload]
}

/** A cluster of one resource, and what it says of each step. */
class Cluster {
  readonly objects = new Map<string, { readonly object: KubeObject; readonly facts: Facts }>()
  #version = 0
  #uids = 0

  write(key: string, of: Facts, forgotten: boolean): ObjectDelta {
    const last = this.objects.get(key)
    const uid = last?.object.metadata.uid ?? (`u${++this.#uids}` as Uid)
    const object = this.#object(key, uid, of)
    this.objects.set(key, { object, facts: of })
    if (!last) return { type: 'Added', object, ...this.#seen() }
    return { type: 'Updated', object, previous: forgotten ? undefined : last.object, ...this.#seen() }
  }

  delete(key: string, of: Facts | undefined, forgotten: boolean): ObjectDelta | undefined {
    const last = this.objects.get(key)
    if (!last) return undefined
    this.objects.delete(key)
    const { uid } = last.object.metadata
    const object = of ? this.#object(key, uid, of) : last.object
    const known = forgotten ? undefined : object
    return {
      type: 'Deleted',
      identity: { name: key, uid },
      object: known,
      finalStateKnown: true,
      gone: true,
      ...this.#seen(),
    }
  }

  relisted(object: KubeObject): ObjectDelta {
    return { type: 'Added', object, ...this.#seen() }
  }

  #object(key: string, uid: Uid, { tier, replicas, phases }: Facts): KubeObject {
    const resourceVersion = `${++this.#version}` as ResourceVersion
    const labels = tier && { tier }
    const metadata = { name: key, uid, resourceVersion, ...(labels && { labels }) }
    return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { replicas }, status: { phases } }
  }

  #seen() {
    const resourceVersion = `${this.#version}` as ResourceVersion
    const observedAt = '2026-01-01T00:00:00Z' as Timestamp
    return { resourceVersion, observed: 'watch', observedAt, collapsed: false } as const
  }
}

/** Puts and removes, and knows nothing else. */
class Consumer {
  readonly copy = new Map<string, { readonly object: KubeObject; readonly payload: Payload }>()
  readonly held = new Set<string>()

  see(view: RoutedView | undefined, change: ObjectDelta, memory: 'recorded' | 'none'): void {
    const { uid } = change.type === 'Deleted' ? change.identity : change.object.metadata
    const sight = view?.see(change, memory === 'recorded' ? this.held.has(uid) : undefined)
    if (!view || !sight) return
    if (sight.isMember) this.held.add(uid)
    else this.held.delete(uid)
    assert.ok(wants(sight.shape, sight.change))
    if (sight.change.type === 'Deleted') {
      // what is not let through is not shown by its leaving
      if (sight.change.object) assert.ok(view.match(sight.change.object))
      this.copy.delete(uid)
    } else {
      assert.equal(sight.change.type === 'Added', !this.copy.has(uid))
      this.copy.set(uid, { object: sight.change.object, payload: sight.shape.payload })
    }
  }
}

function run(first: readonly Rule[], history: readonly Step[], memory: 'recorded' | 'none'): void {
  const cluster = new Cluster()
  const consumers = sinks.map((sink) => ({ sink, consumer: new Consumer() }))
  let all = first
  let routes = compiled(all)
  const tell = (change: ObjectDelta) => {
    for (const { sink, consumer } of consumers)
      consumer.see(RoutedView.of({ source: 'pods', sink }, routes), change, memory)
  }
  for (const step of history) {
    const forgotten = memory === 'recorded' && step.type !== 'redefine' && step.forgotten
    if (step.type === 'write') tell(cluster.write(step.name, step.facts, forgotten))
    else if (step.type === 'delete') {
      // without a record, what it was is concluded from its last state: it must be the last one
      const change = cluster.delete(step.name, memory === 'recorded' ? step.facts : undefined, forgotten)
      if (change) tell(change)
    } else if (memory === 'recorded') {
      all = step.rules
      routes = compiled(all)
      redefine(cluster, consumers, routes)
    }
    for (const { sink, consumer } of consumers) {
      const there = [...cluster.objects.values()].flatMap(({ object, facts: of }) => {
        const payload = expected(all, sink, of)
        return payload ? [[object.metadata.uid, { object, payload }] as const] : []
      })
      assert.deepEqual(consumer.copy, new Map(there))
    }
  }
}

/** The catch-up after a redefinition, in short: what a sink holds and should not is deleted, then it is told of all. */
function redefine(
  cluster: Cluster,
  consumers: readonly { readonly sink: string; readonly consumer: Consumer }[],
  routes: readonly CompiledRoute[],
): void {
  for (const { sink, consumer } of consumers) {
    const view = RoutedView.of({ source: 'pods', sink }, routes)
    for (const { object } of cluster.objects.values()) {
      if (view) {
        consumer.copy.delete(view.match(object) ? object.metadata.uid : '') // an item is no `added`, but is put alike
        consumer.see(view, cluster.relisted(object), 'recorded')
      } else {
        consumer.copy.delete(object.metadata.uid)
        consumer.held.delete(object.metadata.uid)
      }
    }
  }
}

function fail(): never {
  throw new Error('there is no such payload')
}

test('S5 the events of a sink are those of a cluster in which there is only what fits: with what was recorded', () => {
  fc.assert(fc.property(rules, steps, (first, history) => run(first, history, 'recorded')))
})

test('S5 the events of a sink are those of a cluster in which there is only what fits: by the previous state', () => {
  fc.assert(fc.property(rules, steps, (first, history) => run(first, history, 'none')))
})
