import type { StateRecord } from './record.ts'
import { StreamState } from './stream-state.ts'

/**
 * Where the state of streams outlives the process.
 *
 * `nothing`: it does not. `positions`: watermarks and debts do. `ledger`: entries too, so that what was deleted while
 * nobody watched can be told, however long that was.
 */
export type Kept = 'nothing' | 'positions' | 'ledger'

export interface StateStore extends AsyncDisposable {
  readonly keeps: Kept
  /**
   * What is known of the stream: empty if nothing is. Resolves when the store can be used, which is tried until it is.
   * It is the caller's from then on, who applies to it what he writes; the store reads it again when it makes its files
   * smaller. Once for each stream. Rejects when the store is closed.
   */
  stateOf(stream: string): Promise<StreamState>
  /**
   * Resolves when the records are as durable as the store can make them, in this order: of those after a crash a first
   * part is there. Tried again until it succeeds; rejects when the store is closed.
   */
  write(records: readonly StateRecord[]): Promise<void>
  /** Why nothing can be written or read now; for readiness. */
  readonly problem: string | undefined
}

/** Remembers nothing: every start is the first one. */
export class MemoryStore implements StateStore {
  readonly keeps = 'nothing'
  readonly problem = undefined

  stateOf(stream: string): Promise<StreamState> {
    return Promise.resolve(new StreamState(stream))
  }

  write(): Promise<void> {
    return Promise.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
