/** What is valid and will most likely disappoint. It refuses nothing. */
import { access } from 'node:fs/promises'
import type { JsonSchema } from '../lib/json-schema.ts'
import { parseDuration } from '../lib/units.ts'
import type { SinkConfig } from './bridge-config.ts'
import type { ValuePath } from './problem.ts'
import type { Entry, Lists } from './references.ts'
import { apiGroupOf, parseResourceName } from './resource-name.ts'
import { routeWarnings } from './route-warnings.ts'
import type { SchemaProblem } from './schema-problem.ts'
import { refusal } from './sink-check.ts'

/** Of lists without problems: parts that nothing leads to, and what sinks and their credentials lack. */
export async function warningsOf(
  lists: Lists & { readonly sinks: readonly Entry<SinkConfig>[] },
): Promise<readonly SchemaProblem[]> {
  const bySink = lists.sinks.map(async ({ index, value: { own, definition } }) => {
    const told = definition.warnings?.(own) ?? []
    return [
      ...told.map((text) => refusal(text, own, ['sinks', index])),
      ...(await missingFiles(definition.schema, own, ['sinks', index])),
    ]
  })
  return [
    ...withoutGroup(lists),
    ...neverVerified(lists),
    ...unused(lists),
    ...routeWarnings(lists),
    ...fullQueues(lists),
    ...(await Promise.all(bySink)).flat(),
  ]
}

/** What a full queue does to others, or to what it dropped. */
function fullQueues({ sources, routes, sinks }: Lists & { readonly sinks: readonly Entry<SinkConfig>[] }) {
  const names = sinks.map(({ value }) => value.options.name)
  const leadsFrom = (source: string) =>
    routes.length === 0
      ? names
      : routes.filter(({ value: { from } }) => from?.includes(source) ?? true).flatMap(({ value: { to } }) => to)
  const besides = (sink: string) =>
    names.filter((other) => {
      const share = ({ value }: (typeof sources)[number]) =>
        leadsFrom(value.name).includes(sink) && leadsFrom(value.name).includes(other)
      return other !== sink && sources.some(share)
    })
  return sinks.flatMap(({ index, value: { options } }) => {
    const { name, queue } = options
    if (queue.whenFull === 'block') {
      const others = besides(name)
      if (others.length === 0) return []
      const text = `when its queue is full, streams stop also for ${others.join(', ')}; coalesce holds up nobody`
      return [warning(['sinks', index, 'queue', 'whenFull'], text)]
    }
    if (queue.whenFull === 'spool') return []
    return routes.flatMap(({ index: route, value: { to, on } }) => {
      if (!to.includes(name) || (on?.includes('snapshot') ?? true)) return []
      const text = `what is dropped when the queue of sink ${name} is full cannot be made up for without snapshot; with queue.whenFull: block or spool nothing is dropped`
      return [warning(['routes', route, 'on'], text)]
    })
  })
}

/** The server finds its group; but rights are given by group, before any server is asked. */
function withoutGroup({ sources }: Lists): readonly SchemaProblem[] {
  return sources.flatMap(({ index, value: { resources } }) =>
    resources.flatMap((text, position) =>
      apiGroupOf(parseResourceName(text)) === undefined
        ? [
            warning(
              ['sources', index, 'resources', position],
              `${text} may be of any API group, and the chart and \`deltawire rbac\` need to know which: write it as \`kubectl api-resources -o name\` prints it, as in deployments.apps`,
            ),
          ]
        : [],
    ),
  )
}

function neverVerified({ sources }: Lists): readonly SchemaProblem[] {
  return sources.flatMap(({ index, value: { resync } }) => {
    const { every, snapshot, verify } = resync
    if (!verify || (snapshot !== 'off' && parseDuration(every) > 0)) return []
    const why = snapshot === 'off' ? 'snapshot: off' : `every: ${every}`
    const text = `nothing is verified: that comes before each scheduled snapshot, and with ${why} there are none`
    return [warning(['sources', index, 'resync', 'verify'], text)]
  })
}

function unused({ sources, routes, sinks }: Lists & { readonly sinks: readonly Entry<SinkConfig>[] }) {
  if (routes.length === 0) return []
  const isFrom = (name: string) => routes.some(({ value: { from } }) => from?.includes(name) ?? true)
  const isTo = (name: string) =>
    routes.some(({ value: { to } }) => to.includes(name)) ||
    sinks.some(({ value: { options } }) => options.deadLetter === name)
  return [
    ...sources
      .filter(({ value }) => !isFrom(value.name))
      .map(({ index, value }) => warning(['sources', index], `no route leads from source ${value.name}`)),
    ...sinks
      .filter(({ value }) => !isTo(value.options.name))
      .map(({ index, value }) => warning(['sinks', index], `no route leads to sink ${value.options.name}`)),
  ]
}

/** For each `{ file: PATH }` in `value` that cannot be read here and now. Where it will run, it may be there. */
export async function missingFiles(
  schema: JsonSchema,
  value: unknown,
  path: ValuePath,
): Promise<readonly SchemaProblem[]> {
  const found = await Promise.all(
    [...filesIn(schema, value, path)].map(async ([place, file]) => {
      try {
        await access(file)
        return []
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
        return [warning(place, code === 'ENOENT' ? 'there is no such file here' : `cannot be read here: ${code}`)]
      }
    }),
  )
  return found.flat()
}

/** Follows the schema: a mapping of free names may have a member `file` that is none. */
function* filesIn(schema: JsonSchema, value: unknown, path: ValuePath): Generator<readonly [ValuePath, string]> {
  if (typeof value !== 'object' || value === null) return
  const members = value as Readonly<Record<string, unknown>>
  const { properties = {}, additionalProperties: others, oneOf = [] } = schema
  for (const branch of oneOf) {
    const { file } = members
    if (branch.required?.join() !== 'file') yield* filesIn(branch, value, path)
    else if (typeof file === 'string') yield [[...path, 'file'], file]
  }
  for (const [name, member] of Object.entries(members)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : others
    if (typeof known === 'object') yield* filesIn(known, member, [...path, name])
  }
}

function warning(path: ValuePath, message: string): SchemaProblem {
  return { path, about: 'value', message }
}
