/** What routes leave out by how they stand to each other. Of valid lists; it refuses nothing. */
import type { Entry, Lists } from './references.ts'
import type { RouteConfig } from './route.ts'
import type { SchemaProblem } from './schema-problem.ts'

export function routeWarnings({ sources, routes, names }: Lists): readonly SchemaProblem[] {
  const ways = sources.flatMap(({ value: { name: source } }) =>
    names.sinks.map((sink) => ({ source, sink, routes: routes.filter((route) => leads(route, source, sink)) })),
  )
  return [...unreached(routes, ways), ...halfSnapshots(ways)]
}

/** From one source to one sink: in order, those whose turn may come and those behind one that lets everything through. */
interface Way {
  readonly source: string
  readonly sink: string
  readonly routes: readonly Entry<RouteConfig>[]
}

function leads({ value: { from, to } }: Entry<RouteConfig>, source: string, sink: string): boolean {
  return to.includes(sink) && (from?.includes(source) ?? true)
}

function live({ routes }: Way): readonly Entry<RouteConfig>[] {
  const last = routes.findIndex(({ value: { where } }) => where === undefined)
  return last === -1 ? routes : routes.slice(0, last + 1)
}

function unreached(routes: readonly Entry<RouteConfig>[], ways: readonly Way[]): readonly SchemaProblem[] {
  return routes.flatMap((route) => {
    const its = ways.filter((way) => way.routes.includes(route))
    if (its.length === 0 || its.some((way) => live(way).includes(route))) return []
    const before = [...new Set(its.map((way) => live(way).at(-1)?.value.name))].join(', ')
    const message = `nothing takes this route: before it, ${before} lets everything through`
    return [{ path: ['routes', route.index], about: 'value' as const, message }]
  })
}

/** After a snapshot, a consumer takes what was not in it for gone. */
function halfSnapshots(ways: readonly Way[]): readonly SchemaProblem[] {
  const told = new Set<number>()
  return ways.flatMap((way) => {
    const withSnapshot = live(way).find(({ value: { on } }) => on?.includes('snapshot') ?? true)
    if (!withSnapshot) return []
    return live(way).flatMap(({ index, value: { on } }) => {
      if ((on?.includes('snapshot') ?? true) || told.has(index)) return []
      told.add(index)
      const message =
        `by route ${withSnapshot.value.name} sink ${way.sink} gets snapshots of source ${way.source} without what takes ` +
        'this route, so that its consumer takes that for gone: give both snapshot, or neither'
      return [{ path: ['routes', index, 'on'], about: 'value' as const, message }]
    })
  })
}
