import { KubeError } from '../kube/errors.ts'
import type { ListWatch } from '../kube/list-watch.ts'
import type { KubeObject } from '../kube/object.ts'
import type { PastOfServer } from '../reconcile/ladder.ts'

/** `limit`: objects per page. */
export function pastOf(api: ListWatch<KubeObject>, limit: number): PastOfServer {
  return {
    async newest(signal) {
      return (await api.list({ limit: 1 }, signal)).resourceVersion
    },
    async listedAt(resourceVersion, signal) {
      const objects: KubeObject[] = []
      try {
        let page = await api.list({ limit, resourceVersion, resourceVersionMatch: 'Exact' }, signal)
        for (;;) {
          for (const object of page.items) objects.push(object)
          if (!page.continue) return objects
          page = await api.list({ limit, continue: page.continue }, signal)
        }
      } catch (error) {
        if (error instanceof KubeError && error.code === 'expired') return undefined
        throw error
      }
    },
  }
}
