import type { ResourceRequest, Verb } from './request.ts'
import type { Failure } from './status.ts'

/** Which calls a fault strikes: all that agree with every member given. */
export interface CallMatch {
  readonly verb?: Verb | readonly Verb[]
  /** Plural, for example `pods`. */
  readonly resource?: string
  readonly namespace?: string
}

export type CallFault =
  /** Answered with this Status; `details.retryAfterSeconds` also becomes the `Retry-After` header. */
  | { readonly type: 'fail'; readonly failure: Failure }
  /** The connection is cut before an answer. */
  | { readonly type: 'reset' }
  /** The connection stays up, and no byte ever comes. */
  | { readonly type: 'black-hole' }
  /** Answered as usual, but later. */
  | { readonly type: 'delay'; readonly delayMs: number }

interface Entry {
  readonly match: CallMatch
  readonly fault: CallFault
  left: number
}

/** What goes wrong with calls, as a test scripts it. The faults of watches that are open are methods of `Watch`. */
export class Faults {
  readonly #entries = new Set<Entry>()

  /** Strikes the next `times` matching calls; without a number until the result is disposed. Earlier scripts come first. */
  inject(match: CallMatch, fault: CallFault, times = Number.POSITIVE_INFINITY): Disposable {
    const entry = { match, fault, left: times }
    this.#entries.add(entry)
    return { [Symbol.dispose]: () => this.#entries.delete(entry) }
  }

  /** Heals everything. */
  clear(): void {
    this.#entries.clear()
  }

  /** The fault that strikes this call, used up by one. */
  strike(request: ResourceRequest): CallFault | undefined {
    for (const entry of this.#entries) {
      if (!matches(request, entry.match)) continue
      if (--entry.left <= 0) this.#entries.delete(entry)
      return entry.fault
    }
    return undefined
  }
}

export function matches(request: ResourceRequest, { verb, resource, namespace }: CallMatch): boolean {
  const verbs = verb === undefined ? undefined : [verb].flat()
  return (
    (verbs === undefined || verbs.includes(request.verb)) &&
    (resource === undefined || resource === request.resource) &&
    (namespace === undefined || namespace === request.namespace)
  )
}
