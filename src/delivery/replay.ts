/** Dead letters on their way once more, through the same worker as everything else. */
import { addAbortListener } from 'node:events'
import type { KeptDeadLetter, KeptDeadLetters } from './dead-letters.ts'
import type { Outcome } from './entry.ts'
import type { OutboundEvent } from './sink.ts'
import type { SinkWorker } from './worker.ts'

export type ReplayedLetter = Pick<KeptDeadLetter, 'id' | 'sink' | 'event'>

/** What became of one. Only what is `delivered` is not in the store any more. */
export type Replayed =
  | { readonly type: 'delivered'; readonly letter: ReplayedLetter }
  /** It is in the store again, under another id. */
  | { readonly type: 'given-up'; readonly letter: ReplayedLetter; readonly reason: string }
  /** It was not sent: it would do harm, or there is nobody to send it to. */
  | { readonly type: 'refused'; readonly letter: ReplayedLetter; readonly reason: string }
  /** It stays in the store, and may be delivered or not: the worker was closed, or it is under way already. */
  | { readonly type: 'unsettled'; readonly id: string; readonly letter?: ReplayedLetter; readonly reason: string }
  | { readonly type: 'missing'; readonly id: string }

export interface ReplayParts {
  readonly store: KeptDeadLetters
  readonly worker: (sink: string) => SinkWorker | undefined
  /** Why the event must not be sent to the sink now, whatever it is. Asked just before it is offered. */
  readonly objection: (sink: string, event: OutboundEvent) => string | undefined
}

/** So many are offered and not settled at a time: live events must find room. */
const MOST_UNDER_WAY = 100
/** No stream of the configuration has a name with a space: fences of none hold it, and it holds none. */
const STREAM = 'dead letters'

export class Replay {
  readonly #parts: ReplayParts
  readonly #underWay = new Set<string>()

  constructor(parts: ReplayParts) {
    this.#parts = parts
  }

  /**
   * A result for each, as it comes; those with one key are sent in this order. Ends early when `signal` aborts: what was
   * sent by then goes on, and leaves the store when it is delivered.
   */
  async *run(ids: Iterable<string>, signal: AbortSignal): AsyncGenerator<Replayed> {
    const results: Replayed[] = []
    let pending = 0
    let wake = Promise.withResolvers<void>()
    using _aborted = addAbortListener(signal, () => wake.resolve())
    const settled = (result: Replayed) => {
      pending--
      results.push(result)
      wake.resolve()
    }
    for (const id of ids) {
      if (signal.aborted) return
      pending++
      await this.#send(id, settled, signal)
      while (results.length > 0 || pending >= MOST_UNDER_WAY) {
        yield* results.splice(0)
        if (pending < MOST_UNDER_WAY) break
        await wake.promise
        if (signal.aborted) return
        wake = Promise.withResolvers()
      }
    }
    while (pending > 0 || results.length > 0) {
      if (signal.aborted) return
      if (results.length === 0) await wake.promise
      if (!signal.aborted) wake = Promise.withResolvers()
      yield* results.splice(0)
    }
  }

  /** Resolves when it is offered, so that the next one comes after it. Calls `settled` once. */
  async #send(id: string, settled: (result: Replayed) => void, signal: AbortSignal): Promise<void> {
    if (this.#underWay.has(id)) {
      settled({ type: 'unsettled', id, reason: 'it is being replayed already' })
      return
    }
    this.#underWay.add(id)
    const end = (result: Replayed) => {
      this.#underWay.delete(id)
      settled(result)
    }
    const letter = await this.#parts.store.get(id)
    if (!letter) {
      end({ type: 'missing', id })
      return
    }
    const worker = this.#parts.worker(letter.sink)
    const reason = worker ? this.#objection(letter) : 'the configuration has no sink of this name any more'
    if (!worker || reason !== undefined) {
      end({ type: 'refused', letter, reason: reason ?? '' })
      return
    }
    try {
      await worker.offer(replayed(letter.event), (outcome) => void this.#settle(letter, outcome, end), signal)
    } catch (error) {
      end({ type: 'unsettled', id, letter, reason: error instanceof Error ? error.message : String(error) })
    }
  }

  #objection({ sink, event }: KeptDeadLetter): string | undefined {
    switch (event.kind) {
      case 'begin':
      case 'end':
      case 'aborted':
        return 'it is about a snapshot that is over: the next one says how things stand'
      case 'gap':
        if (event.supersedes) return 'it would make void what was delivered since'
        return undefined
      case 'change':
      case 'item':
        return this.#parts.objection(sink, event)
    }
  }

  /** Never rejects. */
  async #settle(letter: KeptDeadLetter, outcome: Outcome, end: (result: Replayed) => void): Promise<void> {
    const { id } = letter
    try {
      if (outcome.type === 'delivered') {
        await this.#parts.store.remove([id])
        end({ type: 'delivered', letter })
      } else if (outcome.type === 'dead-lettered') {
        await this.#parts.store.remove([id])
        end({ type: 'given-up', letter, reason: `${outcome.code}: ${outcome.reason}` })
      } else {
        end({ type: 'unsettled', id, letter, reason: 'the queue of its sink was emptied' })
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      end({ type: 'unsettled', id, letter, reason: `it is ${outcome.type}, but still in the store: ${reason}` })
    }
  }
}

/** As it was offered once, but as a part of no stream and no snapshot. */
function replayed(event: OutboundEvent): OutboundEvent {
  const { attributes, key, data, dataBytes } = event
  const smaller = () => {
    const form = event.smaller?.()
    return form && replayed(form)
  }
  return { attributes, key, stream: STREAM, kind: 'change', data, dataBytes, smaller }
}
