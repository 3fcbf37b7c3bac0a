/** What is known of the lists of one resource. Shared by all its streams. */
export interface ListStreaming {
  /** Whether the server may be asked to stream them: as long as nothing has shown that it cannot. */
  readonly works: boolean
  /** They cannot be streamed: remembered for as long as the client lives. */
  giveUp(): void
}

/**
 * For which resources a server can stream its lists (WatchList). There is nothing to ask it: it depends on the release,
 * on feature gates, on what serves the resource and on proxies, so that it is tried, once for each resource.
 */
export class StreamedLists {
  readonly #failed = new Set<string>()

  /** `resource`: its path, without a namespace. */
  of(resource: string): ListStreaming {
    const failed = this.#failed
    return {
      get works() {
        return !failed.has(resource)
      },
      giveUp() {
        failed.add(resource)
      },
    }
  }
}
