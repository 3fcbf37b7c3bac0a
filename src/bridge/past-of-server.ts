import { KubeError } from '../kube/errors.ts'
import type { ListWatch } from '../kube/list-watch.ts'
import type { KubeObject } from '../kube/object.ts'
import type { PastOfServer } from '../reconcile/ladder.ts'
import type { VerifiedServer } from '../reconcile/verifier.ts'

/** `limit`: objects per page. */
export function pastOf(api: ListWatch<KubeObject>, limit: number): PastOfServer & Pick<VerifiedServer, 'pages'> {
  const pages: VerifiedServer['pages'] = async function* (resourceVersion, signal) {
    try {
      let page = await api.list({ limit, resourceVersion, resourceVersionMatch: 'Exact' }, signal)
      for (;;) {
        yield page.items
        if (!page.continue) return 'whole'
        page = await api.list({ limit, continue: page.continue }, signal)
      }
    } catch (error) {
      if (error instanceof KubeError && error.code === 'expired') return 'expired'
      throw error
    }
  }
  return {
    pages,
    async newest(signal) {
      try {
        return (await api.list({ limit: 1 }, signal)).resourceVersion
      } catch (error) {
        if (error instanceof KubeError && error.code === 'not-found') return undefined
        throw error
      }
    },
    async listedAt(resourceVersion, signal) {
      const objects: KubeObject[] = []
      const listing = pages(resourceVersion, signal)
      for (let page = await listing.next(); ; page = await listing.next()) {
        if (page.done) return page.value === 'whole' ? objects : undefined
        for (const object of page.value) objects.push(object)
      }
    },
  }
}
