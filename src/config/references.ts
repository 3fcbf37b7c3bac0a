/** What a schema cannot say: names that refer to each other, and combinations that break a promise. Pure. */
import { parseDuration } from '../lib/units.ts'
import type { SinkConfig } from './bridge-config.ts'
import type { ValuePath } from './problem.ts'
import { isSecrets, mayBeSame, parseResourceName } from './resource-name.ts'
import type { RouteConfig } from './route.ts'
import { type SchemaProblem, unknownName } from './schema-problem.ts'
import type { SourceConfig } from './source.ts'

/** Entries that are valid by themselves, each with its place in the file, and the names that all entries have. */
export interface Lists {
  readonly sources: readonly Entry<SourceConfig>[]
  readonly routes: readonly Entry<RouteConfig>[]
  readonly names: { readonly [List in 'sources' | 'routes' | 'sinks']: readonly string[] }
}

export interface Entry<T> {
  readonly index: number
  readonly value: T
}

export function checkReferences(lists: Lists): readonly SchemaProblem[] {
  const { sources, routes, names } = lists
  return [
    ...twice(names.sources, 'source', (index) => ['sources', index, 'name']),
    ...twice(names.routes, 'route', (index) => ['routes', index, 'name']),
    ...twice(names.sinks, 'sink', (index) => ['sinks', index, 'name']),
    ...sources.flatMap(checkSource),
    ...routes.flatMap((route) => [
      ...unknown(route.value.from ?? [], names.sources, 'source', ['routes', route.index, 'from']),
      ...unknown(route.value.to, names.sinks, 'sink', ['routes', route.index, 'to']),
      ...checkRoute(route),
    ]),
    ...overlaps(lists),
  ]
}

/** The sinks that others name for their dead letters: they are there, and none gets back what it gave away. */
export function checkDeadLetters(
  sinks: readonly Entry<SinkConfig>[],
  names: readonly string[],
): readonly SchemaProblem[] {
  const next = new Map(sinks.map(({ value: { options } }) => [options.name, options.deadLetter]))
  return sinks.flatMap(({ index, value: { options } }) => {
    const { name, deadLetter } = options
    if (deadLetter === undefined) return []
    const path = ['sinks', index, 'deadLetter']
    if (!names.includes(deadLetter)) {
      const message = `there is no sink ${JSON.stringify(deadLetter.slice(0, 100))}`
      return [{ path, about: 'value' as const, ...unknownName(message, deadLetter, names) }]
    }
    const way = [name]
    for (let at: string | undefined = deadLetter; at !== undefined && !way.slice(1).includes(at); at = next.get(at)) {
      way.push(at)
    }
    if (way.at(-1) !== name) return []
    return [wrong(path, `dead letters would go round: ${way.join(' -> ')}`, 'another sink, or none')]
  })
}

function checkSource({ index, value }: Entry<SourceConfig>): readonly SchemaProblem[] {
  const { resources, namespaces = [], allowSecrets, resync } = value
  const everyMs = parseDuration(resync.every)
  const at = (...steps: ValuePath): ValuePath => ['sources', index, ...steps]
  const names = resources.map(parseResourceName)
  return [
    ...resourcesTwice(resources, (position) => at('resources', position)),
    ...twice(namespaces, 'namespace', (position) => at('namespaces', position)),
    ...names.flatMap((name, position) =>
      isSecrets(name) && !allowSecrets
        ? [wrong(at('resources', position), 'Secrets are not watched unless the source says allowSecrets: true')]
        : [],
    ),
    ...(everyMs > 0 && everyMs < 1_000
      ? [wrong(at('resync', 'every'), 'a snapshot takes longer than that', '0s for none, or at least 1s')]
      : []),
  ]
}

function checkRoute({ index, value }: Entry<RouteConfig>): readonly SchemaProblem[] {
  const { on = [], payload, from = [], to } = value
  const at = (...steps: ValuePath): ValuePath => ['routes', index, ...steps]
  const bare = payload.shape === 'bare' && payload.previous
  return [
    ...twice(on, 'type', (position) => at('on', position)),
    ...twice(from, 'source', (position) => at('from', position)),
    ...twice(to, 'sink', (position) => at('to', position)),
    ...(bare
      ? [
          wrong(
            at('payload', 'previous'),
            'a bare object has no room for its previous state',
            'false, or another shape',
          ),
        ]
      : []),
  ]
}

/** The same object would reach a sink by two streams: no order between them, and two snapshots that disagree. */
function overlaps({ sources, routes, names }: Lists): readonly SchemaProblem[] {
  const leadsTo = ({ name }: SourceConfig, sink: string) =>
    routes.length === 0 || routes.some(({ value: { from, to } }) => to.includes(sink) && (from?.includes(name) ?? true))
  const problems: SchemaProblem[] = []
  for (const [position, { index, value: source }] of sources.entries()) {
    const theirs = source.resources.map(parseResourceName)
    for (const { value: earlier } of sources.slice(0, position)) {
      const resource = earlier.resources.find((text) => theirs.some((name) => mayBeSame(name, parseResourceName(text))))
      if (resource === undefined || disjoint(source, earlier)) continue
      const sink = names.sinks.find((name) => leadsTo(source, name) && leadsTo(earlier, name))
      if (sink === undefined) continue
      const message = `${resource} reaches sink ${sink} from source ${earlier.name} too, and their namespaces overlap`
      const expected = 'one source of a resource per sink, or namespaces that differ'
      problems.push(wrong(['sources', index, 'resources'], message, expected))
    }
  }
  return problems
}

/** No namespaces: all of them. */
function disjoint(a: SourceConfig, b: SourceConfig): boolean {
  return (
    a.namespaces !== undefined &&
    b.namespaces !== undefined &&
    !a.namespaces.some((name) => b.namespaces?.includes(name))
  )
}

function resourcesTwice(texts: readonly string[], at: (index: number) => ValuePath): readonly SchemaProblem[] {
  const names = texts.map(parseResourceName)
  return names.flatMap((name, index) => {
    const earlier = names.findIndex((other) => mayBeSame(other, name))
    if (earlier === index) return []
    const spelling = texts[earlier] === texts[index] ? '' : `, also as ${texts[earlier]}`
    return [wrong(at(index), `resource ${texts[index]} is there twice${spelling}`, 'each once')]
  })
}

function twice(names: readonly string[], what: string, at: (index: number) => ValuePath): readonly SchemaProblem[] {
  const last = at(0).at(-1)
  const expected = last === 'name' ? 'a name of its own for each' : 'each once'
  const first = new Map<string, number>()
  return names.flatMap((name, index) => {
    const earlier = first.get(name)
    if (earlier === undefined) first.set(name, index)
    return earlier === undefined ? [] : [wrong(at(index), `${what} ${name} is there twice`, expected)]
  })
}

function unknown(
  names: readonly string[],
  known: readonly string[],
  what: string,
  path: ValuePath,
): readonly SchemaProblem[] {
  return names.flatMap((name, index) => {
    if (known.includes(name)) return []
    const message = `there is no ${what} ${JSON.stringify(name.slice(0, 100))}`
    return [{ path: [...path, index], about: 'value', ...unknownName(message, name, known) }]
  })
}

function wrong(path: ValuePath, message: string, expected?: string): SchemaProblem {
  return { path, about: 'value', message, expected }
}
