/** What readiness says of a sink, from what its worker tells. */
import type { Reached } from '../admin/readiness.ts'
import type { DeliveryObserver } from '../delivery/observer.ts'

export interface SinkHealth {
  readonly reached: Reached
  /** Why it is not in order now. */
  readonly degraded: string | undefined
}

type Mutable = { -readonly [K in keyof SinkHealth]: SinkHealth[K] }

export function newHealth(): Mutable {
  return { reached: 'not connected yet', degraded: undefined }
}

/**
 * The observer, with `health` kept up to date. A sink that refuses all that it is sent is not in order, whichever way it
 * does that: it is not `connected` until it has taken something, and while it takes nothing its last dead letter is shown.
 */
export function watchHealth(observer: DeliveryObserver, health: Mutable): DeliveryObserver {
  let trouble: string | undefined
  let givenUp: string | undefined
  let hasTaken = false
  const show = () => {
    health.degraded = trouble ?? givenUp
  }
  return {
    ...observer,
    sent: (result) => {
      observer.sent(result)
      if (result === 'delivered') {
        hasTaken = true
        givenUp = undefined
        if (health.reached !== 'connected') health.reached = 'connected'
        show()
      } else if (!hasTaken) {
        health.reached = 'connected, but has taken nothing yet'
      }
    },
    deadLetter: (letter) => {
      observer.deadLetter(letter)
      givenUp = `the last event was given up: ${letter.reason}`
      show()
    },
    state: (state) => {
      observer.state(state)
      if (state.type === 'open' && health.reached === 'not connected yet') health.reached = 'connected'
      trouble = 'reason' in state ? state.reason : undefined
      show()
    },
  }
}
