/** A list, page by page. Every page is one step of the reflector. */
import { KubeError } from '../kube/errors.ts'
import type { ListPage } from '../kube/list-watch.ts'
import { compareResourceVersions, type KubeObject } from '../kube/object.ts'
import type { ReflectorOptions } from './reflector-options.ts'
import type { Landmark, ListBegun, State, Step } from './state.ts'
import type { Item } from './watch-event.ts'

export function firstPage<T extends KubeObject>(
  { cause, last }: ListBegun,
  page: ListPage<T>,
  options: ReflectorOptions,
): Step<T> {
  const { resourceVersion } = page
  const wentBack = last !== undefined && compareResourceVersions(resourceVersion, last) < 0
  const list = { cause: wentBack ? 'restored' : cause, last, resourceVersion, objects: 0, pages: 0 } as const
  return nextPage(list, page, [{ type: 'Init' }], options)
}

type PagesSoFar = Omit<State<KubeObject> & { type: 'Paging' }, 'type' | 'next' | 'landmark'> & {
  readonly next?: string
  readonly landmark?: Landmark
}

/** A list has one version, the first page's: later pages come from the same snapshot. */
export function nextPage<T extends KubeObject>(
  list: PagesSoFar,
  page: ListPage<T>,
  items: Item<T>[],
  { observer }: ReflectorOptions,
): Step<T> {
  const { cause, last, resourceVersion } = list
  for (const object of page.items) items.push({ type: 'InitApply', object })
  const objects = list.objects + page.items.length
  if (page.continue) {
    const progress = {
      next: page.continue,
      objects,
      pages: list.pages + 1,
      landmark: leadOn(list, page, page.continue),
    }
    return [items, { type: 'Paging', cause, last, resourceVersion, ...progress }]
  }
  items.push({ type: 'InitDone', cause, resourceVersion })
  observer.listed('paged', objects, resourceVersion)
  return [items, { type: 'Listed', resourceVersion, unusableAfter: undefined, seen: undefined }]
}

/**
 * The landmark after a page that promises more. Throws `unusable` for a list that gets nowhere, as behind a proxy that
 * drops `continue`: it would be asked for without end and without a pause. The landmark moves on at every doubling of
 * the pages, so that a circle of any length is noticed (Brent's algorithm). An empty page is no proof: a server may
 * filter a page after it has cut it.
 */
function leadOn(
  { next: previous, objects, pages, landmark }: PagesSoFar,
  { items }: ListPage<KubeObject>,
  next: string,
): Landmark {
  const first = items[0]?.metadata.uid
  const last = items.at(-1)?.metadata.uid
  const samePage = first !== undefined && first === landmark?.first && last === landmark.last
  if (samePage || next === previous || next === landmark?.next) {
    const advice = 'look at what stands before the API server: it may drop the parameter continue'
    throw new KubeError('unusable', `after ${objects} objects the pages of a list come again; ${advice}`)
  }
  const doubled = Number.isInteger(Math.log2(pages + 1))
  return doubled || landmark === undefined ? { next, first, last } : landmark
}
