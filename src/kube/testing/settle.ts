import type { ManualClock } from '../../lib/manual-clock.ts'

/** For tests: what the promise settles to while time passes in steps of 100 ms and real sockets get their turns. */
export async function settle<T>(promise: Promise<T>, clock: ManualClock): Promise<T> {
  let settled = false
  const note = () => {
    settled = true
  }
  promise.then(note, note)
  for (let step = 0; !settled && step < 20_000; step++) await clock.advance(100)
  if (!settled) throw new Error('not settled after 2,000 s')
  return await promise
}
