/** For tests: what sinks may see of a cluster, as routes and once more in plain functions. */
import type { On, Payload, Route } from '../../route/view.ts'

/** Of an object: its label `tier`. */
export type Tier = 'a' | 'b' | 'c'
export type Shape = 'object' | 'metadata'

interface Rule {
  readonly where: string | undefined
  readonly admits: (tier: Tier | undefined) => boolean
  readonly shape: Shape
}

const all: Rule = { where: undefined, admits: () => true, shape: 'object' }
const only = (tier: Tier, shape: Shape): Rule => ({
  where: `object.metadata.labels.tier == '${tier}'`,
  admits: (of) => of === tier,
  shape,
})
const not = (tier: Tier, shape: Shape): Rule => ({
  where: `object.metadata.?labels.?tier.orValue('') != '${tier}'`,
  admits: (of) => of !== tier,
  shape,
})

const views = {
  all: [all],
  'all in short': [{ ...all, shape: 'metadata' }],
  'only a': [only('a', 'object')],
  'a, and b in short': [only('a', 'object'), only('b', 'metadata')],
  'not b in short, else not c': [not('b', 'metadata'), not('c', 'object')],
  'not a': [not('a', 'object')],
} as const satisfies Readonly<Record<string, readonly Rule[]>>

export type ViewName = keyof typeof views
export const viewNames = Object.keys(views) as readonly ViewName[]

export function routesOf(view: ViewName, sink: string, on: readonly On[]): readonly Route[] {
  return views[view].map(({ where, shape }: Rule, index): Route => {
    const payload: Payload = { shape, previous: false }
    return { name: `r${index}`, to: [sink], on, payload, ...(where !== undefined && { where }) }
  })
}

/** In what form the sink has an object; undefined: it is none of the sink's. */
export function shapeIn(view: ViewName, tier: Tier | undefined): Shape | undefined {
  return views[view].find(({ admits }: Rule) => admits(tier))?.shape
}
