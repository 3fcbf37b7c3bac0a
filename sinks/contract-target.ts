/** What a sink's tests provide so that it can be put through the suite of contract.ts. */
import type { DeliveryErrorCode, SinkDefinition } from '../src/delivery/sink.ts'
import type { JsonSchema } from '../src/lib/json-schema.ts'

/** An event as the target took it, decoded by something else than the project's encoder. */
export interface Received {
  readonly attributes: Readonly<Record<string, unknown>>
  /** The very bytes of the data, as text. */
  readonly data: string | undefined
}

export type Cut = 'before' | 'mid-request' | 'mid-answer'

/** Where a sink delivers to, under the control of a test. */
export interface SinkTarget extends AsyncDisposable {
  /** The sink's own keys that lead here. */
  readonly config: Readonly<Record<string, unknown>>
  readonly stdout?: NodeJS.WritableStream
  /** Everything taken so far, in order, repetitions included. */
  received(): readonly Received[]
  /** Empties what was received. */
  forget(): void
  /** Resolves when `condition` holds; it is asked whenever the target was called. */
  until(condition: () => boolean): Promise<void>
  /** Requests that have begun. */
  attempts(): number
  /** From now on nothing is answered, until `flow`. */
  stall(): void
  flow(): void
  /** The next attempt breaks off. `mid-answer`: after the target took it. */
  cut(where: Cut): void
  /** The next attempt fails for a reason of the protocol. */
  fail?(answer: string): void
  /** The target is away, then back at the same place. */
  stop?(): Promise<void>
  restart?(): Promise<void>
  /** Connections that the sink holds open. */
  connections?(): number
}

export interface SinkHarness<S extends JsonSchema> {
  readonly definition: SinkDefinition<S>
  start(): Promise<SinkTarget>
  /** What `fail` takes, and the code that it must give. */
  readonly answers?: readonly (readonly [answer: string, code: DeliveryErrorCode, retryAfterMs?: number])[]
  /** Whether an attempt that was aborted can no longer arrive. */
  readonly recallable: boolean
  /** Events for the row on memory. @default 100_000 */
  readonly manyEvents?: number
}

/** Resolves when the condition holds; it is asked whenever one of `waiters` is called. */
export function untilWoken(waiters: Set<() => void>, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!condition()) return
      waiters.delete(check)
      resolve()
    }
    waiters.add(check)
    check()
  })
}
