/**
 * How many batches may be in flight: all that is configured, until the sink was out of order or said that it gets too much.
 * Then as congestion control of TCP does it (RFC 5681):
 *
 *   a pause ------------> 1, and one more for each batch that delivers: 1, 2, 4 ... in rounds
 *   throttled ----------> half of what it was, once for all that is in flight; that is the ceiling from now on,
 *                         also after a pause
 *   at the ceiling -----> one more for each round that delivers
 *   at `concurrency` ---> there is no ceiling any more
 *
 * A quota that many share, as that of PutEvents, is met by taking less, not by waiting and then sending as much as before.
 * A sink that is in order from the start never meets any of this.
 */
import type { AttemptResult } from './attempt.ts'
import { isThrottle } from './errors.ts'

/** Places that are taken, of those that there were when an attempt began. */
interface Era {
  taken: number
}

/** One attempt's place. */
export interface Place {
  readonly era: Era
  /** So often had the sink been found too slow when it began. */
  readonly slowdowns: number
}

export class Ramp {
  readonly #concurrency: number
  /** At least 1; grows by fractions. */
  #permitted: number
  #ceiling: number
  #era: Era = { taken: 0 }
  #slowdowns = 0

  constructor(concurrency: number) {
    this.#concurrency = concurrency
    this.#permitted = concurrency
    this.#ceiling = concurrency
  }

  get permitted(): number {
    return Math.floor(this.#permitted)
  }

  get hasPlace(): boolean {
    return this.#era.taken < this.permitted
  }

  take(): Place {
    this.#era.taken++
    return { era: this.#era, slowdowns: this.#slowdowns }
  }

  giveBack({ era }: Place): void {
    era.taken--
  }

  /**
   * The sink is out of order. What is in flight takes no place any more: it may hang until its time is up, and the first
   * ones after the pause must not wait for that.
   */
  restart(cause: 'throttled' | 'out of order'): void {
    if (cause === 'throttled') this.#ceiling = this.#half()
    this.#permitted = 1
    this.#era = { taken: 0 }
    this.#slowdowns++
  }

  /** What is known from an attempt that began with `place`. */
  learn(lesson: Lesson, { slowdowns }: Place): void {
    switch (lesson) {
      case 'more':
        this.#permitted += this.#permitted < this.#ceiling ? 1 : 1 / this.#permitted
        if (this.#permitted < this.#concurrency) return
        this.#permitted = this.#concurrency
        this.#ceiling = this.#concurrency
        return
      case 'fewer':
        if (slowdowns !== this.#slowdowns) return // it was sent at the pace of before
        this.#slowdowns++
        this.#ceiling = this.#half()
        this.#permitted = this.#ceiling
        return
      case 'nothing':
    }
  }

  #half(): number {
    return Math.max(1, Math.floor(this.#permitted / 2))
  }
}

/** What an answer says about how many batches the sink takes at a time. */
export type Lesson = 'more' | 'fewer' | 'nothing'

/** Of a batch of `events`. One that failed as a whole teaches nothing here: if the sink is to blame, it is paused. */
export function lessonOf(result: AttemptResult, events: number): Lesson {
  if (result.type === 'thrown' || result.errors.size === events) return 'nothing'
  for (const { code } of result.errors.values()) {
    if (isThrottle(code)) return 'fewer'
  }
  return 'more'
}
