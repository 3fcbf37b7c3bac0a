/**
 * What one sink sees of one stream: the union of the routes that lead there. For an object, the first route whose `from`
 * and `where` match shapes everything that the sink gets about it; there is no fall-through, and a change reaches a sink
 * once. Start reading at `RoutedView.see`.
 */
import type { KubeObject } from '../kube/object.ts'
import { unreadReason } from '../kube/object.ts'
import { crossing, type ObjectDelta } from './crossing.ts'
import { compileExpression, type FailureReason } from './expression.ts'
import { allOn, type On, type Route, type View, wholeObject } from './view.ts'

/** Is told of each evaluation of a `where`. Called in the data path: it counts, and does not wait. */
export interface WhereObserver {
  /** Milliseconds that only go forward. */
  now(): number
  /** `failure`: the expression could not tell, so the object is no member; a reason, never a value of the object. */
  evaluated(route: string, durationMs: number, failure: FailureReason | undefined): void
}

/** Routes with their expressions compiled: once, for all views. */
export interface CompiledRoute {
  readonly route: Route
  /** Undefined: lets every object through. */
  readonly admits: ((object: KubeObject) => boolean) | undefined
}

/** Throws what `compileExpression` throws; a configuration that was validated has nothing to be thrown. */
export function compileRoutes(routes: readonly Route[], observer?: WhereObserver): readonly CompiledRoute[] {
  return routes.map((route) => ({ route, admits: route.where === undefined ? undefined : admission(route, observer) }))
}

/** A change as a sink sees it. */
export interface Sight<T extends KubeObject = KubeObject> {
  /** An `updated` that crosses the border of the view is an `added` or a `deleted` here. */
  readonly change: ObjectDelta<T>
  /** How it is told: pass it to `wants` and to the translation. */
  readonly shape: View
  /** Whether the object is a member from now on. What the sink holds follows it, whatever types of events `on` picks. */
  readonly isMember: boolean
}

/** From a stream to a sink. */
export interface Way {
  /** The source that the stream is of. */
  readonly source: string
  readonly sink: string
  /** What a route that does not say `on` sends of this stream. @default all */
  readonly usual?: readonly On[]
}

export class RoutedView {
  readonly sink: string
  /** How it is told of each route's objects, in the order of the routes. At least one. */
  readonly shapes: readonly View[]
  /**
   * How it is told of the stream itself: markers and gaps if any route has them. `added`, `updated` and `deleted` are in
   * `on` only if every route sends them and snapshots too: only then can a copy be compared with the view by digests.
   */
  readonly stream: View
  /** The same text for the same view, also after a restart: hash it to notice that a view was redefined. */
  readonly definition: string
  /** Whether an object is a member; undefined: every one is. */
  readonly admits: ((object: KubeObject) => boolean) | undefined
  readonly #rules: readonly Rule[]
  readonly #first: View
  readonly #left: View

  private constructor(rules: readonly [Rule, ...Rule[]]) {
    const [first] = rules
    this.#rules = rules
    this.shapes = rules.map(({ shape }) => shape)
    this.#first = first.shape
    this.#left = this.shapes.find(({ on }) => on.has('deleted')) ?? first.shape
    this.sink = first.shape.sink
    this.stream = { ...first.shape, on: streamOn(this.shapes) }
    this.definition = JSON.stringify(rules.map(definitionOf))
    const holdsAll = rules.at(-1)?.admits === undefined
    // of one route it is the same for all its sinks: what is kept for it is shared
    if (rules.length === 1) this.admits = first.admits
    else if (!holdsAll) this.admits = (object) => this.match(object) !== undefined
  }

  /** The view of a sink on a stream; undefined: no route leads there. No route at all = everything that is usual. */
  static of({ source, sink, usual = allOn }: Way, routes: readonly CompiledRoute[]): RoutedView | undefined {
    if (routes.length === 0) return RoutedView.whole(sink, usual)
    const leading = routes.filter(({ route: { from, to } }) => to.includes(sink) && (from?.includes(source) ?? true))
    // behind a route that lets everything through, no other has anything to say
    const last = leading.findIndex(({ admits }) => admits === undefined)
    const [first, ...others] = (last === -1 ? leading : leading.slice(0, last + 1)).map(({ route, admits }): Rule => {
      return { shape: { sink, payload: route.payload, on: new Set(route.on ?? usual) }, where: route.where, admits }
    })
    return first && new RoutedView([first, ...others])
  }

  /** All objects of the stream. */
  static whole(sink: string, on: readonly On[] = allOn): RoutedView {
    const shape = { sink, payload: wholeObject, on: new Set(on) }
    return new RoutedView([{ shape, where: undefined, admits: undefined }])
  }

  /** Whether every object is a member, so that nothing has to be asked, or recorded, to know. */
  get holdsAll(): boolean {
    return this.#rules.at(-1)?.admits === undefined
  }

  /**
   * The shape of the first route that lets the object through; undefined: it is no member. Without any `where` it costs
   * nothing. An object that could not be read is a member unless an expression can exclude it by its identity.
   */
  match(object: KubeObject): View | undefined {
    for (const { shape, admits } of this.#rules) if (admits === undefined || admits(object)) return shape
    return undefined
  }

  /**
   * What a change is to this sink; undefined: nothing. `held`: whether the sink may hold the object, by what was recorded
   * before this change; unknown, it is concluded from the last observed state, and without one the sink may hold it.
   */
  see<T extends KubeObject>(change: ObjectDelta<T>, held?: boolean): Sight<T> | undefined {
    if (this.#rules.length === 1 && this.holdsAll) {
      return { change, shape: this.#first, isMember: change.type !== 'Deleted' }
    }
    const now = change.object && this.match(change.object)
    const known = this.holdsAll ? true : held
    // what it was is asked only where it decides something
    const last: Last =
      change.type === 'Updated' && now && known !== undefined ? { type: 'unknown' } : this.#last(change, now)
    const before = last.type === 'known' && last.shape !== undefined
    const was = known ?? (last.type === 'unknown' || before)
    const seen = crossing(change, { was, is: now !== undefined, before })
    if (!seen) return undefined
    if (seen.type !== 'Deleted') return { change: seen, shape: now ?? this.#first, isMember: true }
    const shape = (last.type === 'known' ? last.shape : undefined) ?? this.#left
    return { change: seen, shape, isMember: false }
  }

  /** What the object matched before the change. */
  #last(change: ObjectDelta, now: View | undefined): Last {
    switch (change.type) {
      case 'Added':
        return { type: 'known', shape: undefined }
      case 'Updated':
        return change.previous ? { type: 'known', shape: this.match(change.previous) } : { type: 'unknown' }
      case 'Deleted':
        return change.object ? { type: 'known', shape: now } : { type: 'unknown' }
    }
  }
}

interface Rule {
  readonly shape: View
  readonly where: string | undefined
  readonly admits: CompiledRoute['admits']
}

type Last = { readonly type: 'known'; readonly shape: View | undefined } | { readonly type: 'unknown' }

/** The routes' names are not part of it: one that is renamed leads to the same objects, told in the same way. */
function definitionOf({ shape: { payload, on }, where }: Rule) {
  const { shape, previous } = payload
  return {
    ...(where !== undefined && { where: where.trim() }),
    on: allOn.filter((type) => on.has(type)),
    shape,
    previous,
  }
}

function streamOn(shapes: readonly View[]): ReadonlySet<On> {
  return new Set(
    allOn.filter((type) =>
      type === 'snapshot' || type === 'gap'
        ? shapes.some(({ on }) => on.has(type))
        : shapes.every(({ on }) => on.has(type) && on.has('snapshot')),
    ),
  )
}

/** Objects do not change, each version is one of its own: about each it is evaluated once, whoever asks. */
function admission({ name, where = '' }: Route, observer: WhereObserver | undefined): (object: KubeObject) => boolean {
  const expression = compileExpression(where)
  const answer = (object: KubeObject): boolean => {
    const begun = observer?.now() ?? 0
    const verdict = expression.test(object)
    const failure = typeof verdict === 'boolean' ? undefined : verdict.reason
    observer?.evaluated(name, observer.now() - begun, failure)
    return typeof verdict === 'boolean' ? verdict : unreadReason(object) !== undefined
  }
  const known = new WeakMap<KubeObject, boolean>()
  return (object) => {
    let admits = known.get(object)
    if (admits === undefined) {
      admits = answer(object)
      known.set(object, admits)
    }
    return admits
  }
}
