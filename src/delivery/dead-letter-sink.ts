/** Dead letters that another sink gets, as events: the original's source, id and data, and what became of it. */

import { sleep } from '../lib/abort.ts'
import { cleanText } from '../lib/clean-text.ts'
import type { Clock } from '../lib/clock.ts'
import type { DeadLetter, DeadLetterStore } from './dead-letters.ts'
import type { Outcome } from './entry.ts'
import type { OutboundEvent } from './sink.ts'
import type { SinkWorker } from './worker.ts'

export interface DeadLetterSinkParts {
  /** Of the sink that gets them. It may be started later than this is made, and before the first `add`. */
  readonly worker: () => Pick<SinkWorker, 'offer'>
  readonly clock: Clock
  /** Then what was not taken is not settled. */
  readonly signal: AbortSignal
}

/** A queue that threw them out is offered them again after so long. */
const AGAIN_AFTER_MS = 5_000

/** A letter counts as kept when that sink has taken it, or has put it into its own dead letters. */
export class DeadLetterSink implements DeadLetterStore {
  readonly #parts: DeadLetterSinkParts

  constructor(parts: DeadLetterSinkParts) {
    this.#parts = parts
  }

  async add(letter: DeadLetter): Promise<void> {
    const { clock, signal } = this.#parts
    const event = deadLetterEvent(letter)
    for (;;) {
      const outcome = await this.#offer(event)
      if (outcome.type === 'delivered' || outcome.type === 'dead-lettered') return
      await sleep(AGAIN_AFTER_MS, clock, signal)
    }
  }

  #offer(event: OutboundEvent): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#parts.worker().offer(event, resolve, this.#parts.signal).catch(reject)
    })
  }
}

/** It is a part of no stream and no snapshot any more: it waits for none, and none waits for it. */
export function deadLetterEvent(letter: DeadLetter): OutboundEvent {
  const { sink, code, reason, attempts, time, event } = letter
  const { attributes, key, data, dataBytes } = event
  const about = {
    deadsink: sink,
    deadcode: code,
    deadreason: cleanText(reason) || undefined,
    deadattempts: String(attempts),
    deadtime: time,
  }
  return {
    attributes: { ...attributes, ...about },
    key,
    stream: `dead letters of ${sink}`,
    kind: 'change',
    data,
    dataBytes,
    smaller: () => {
      const smaller = event.smaller?.()
      return smaller && deadLetterEvent({ ...letter, event: smaller })
    },
  }
}
