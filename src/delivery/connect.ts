import { sleep, withTimeout } from '../lib/abort.ts'
import type { Random } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { DeliveryError } from './errors.ts'
import { withGrace } from './grace.ts'
import type { WorkerOptions } from './options.ts'
import { pauseDelay } from './retry.ts'
import type { Sink } from './sink.ts'

export interface ConnectParts {
  readonly clock: Clock
  readonly random: Random
  readonly onFailure: (error: DeliveryError) => void
}

/** Connects, again and again with back-off, until it succeeds. Returns false if the signal aborted before. */
export async function connect(
  sink: Sink,
  options: WorkerOptions,
  { clock, random, onFailure }: ConnectParts,
  signal: AbortSignal,
): Promise<boolean> {
  for (let failures = 1; !signal.aborted; failures++) {
    const error = await tryToConnect(sink, options, clock, signal)
    if (signal.aborted) return false
    if (!error) return true
    onFailure(error)
    const delayMs = pauseDelay(error, failures, options.retry, random)
    await sleep(delayMs, clock, signal).catch(() => undefined) // aborted: the loop ends
  }
  return false
}

/** Settles only after the sink has, or soon after the signal. */
async function tryToConnect(
  sink: Sink,
  { name, timeoutMs }: WorkerOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<DeliveryError | undefined> {
  try {
    const refusal = () => new DeliveryError('unavailable', `sink ${name} did not end connect when it was told to`)
    await withTimeout(timeoutMs, clock, signal, (timed) => withGrace(sink.connect(timed), { clock, refusal }, signal))
    return undefined
  } catch (error) {
    if (error instanceof DeliveryError) return error
    const what = error instanceof Error ? error.name : typeof error
    return new DeliveryError('unavailable', `sink ${name} could not connect: ${what}`, { cause: error })
  }
}
