/** For tests: a store whose disk is an array, so that a life can end at any point and another one begin. */
import { decodeRecords, encodeRecords, type StateRecord } from '../../state/record.ts'
import type { Kept, StateStore } from '../../state/store.ts'
import { StreamState } from '../../state/stream-state.ts'

export class ArrayDisk {
  readonly written: Uint8Array[] = []
}

export class DurableStore implements StateStore {
  readonly keeps: Kept
  readonly problem = undefined
  readonly #disk: ArrayDisk
  #isDead = false

  constructor(keeps: Kept, disk: ArrayDisk) {
    this.keeps = keeps
    this.#disk = disk
  }

  async stateOf(stream: string): Promise<StreamState> {
    const state = new StreamState(stream)
    if (this.keeps === 'nothing') return state
    for (const payload of this.#disk.written) for (const record of decodeRecords(payload)) state.apply(record)
    return state
  }

  /** Durable at once; but never once the process was killed. */
  write(records: readonly StateRecord[]): Promise<void> {
    if (this.#isDead) return new Promise(() => {})
    if (this.keeps !== 'nothing') this.#disk.written.push(encodeRecords(records))
    return Promise.resolve()
  }

  kill(): void {
    this.#isDead = true
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
