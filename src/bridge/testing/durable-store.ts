/** For tests: a store whose disk is an array, so that a life can end between any two records, and another one begin. */
import type { Clock } from '../../lib/clock.ts'
import { decodeRecords, encodeRecords, type StateRecord } from '../../state/record.ts'
import type { Kept, StateStore } from '../../state/store.ts'
import { StreamState } from '../../state/stream-state.ts'

export class ArrayDisk {
  readonly written: Uint8Array[] = []
}

/** Of a disk that takes its time, or a process that is to die. */
export interface DurableStoreOptions {
  /** Writes become durable so much later, those of the time between as a group. */
  readonly delay: { readonly clock: Clock; readonly ms: number }
  /** It was killed by `dieAfter`. */
  readonly onDeath: () => void
}

interface Pending {
  readonly records: readonly StateRecord[]
  readonly resolve: () => void
}

export class DurableStore implements StateStore {
  readonly keeps: Kept
  readonly problem = undefined
  readonly #disk: ArrayDisk
  readonly #options: DurableStoreOptions | undefined
  #pending: Pending[] = []
  #timer: Disposable | undefined
  /** Records that are still taken. */
  #left = Number.POSITIVE_INFINITY
  #isDead = false

  /** @param options absent: what is written is durable at once */
  constructor(keeps: Kept, disk: ArrayDisk, options?: DurableStoreOptions) {
    this.keeps = keeps
    this.#disk = disk
    this.#options = options
  }

  async stateOf(stream: string): Promise<StreamState> {
    return stateOn(this.#disk, stream)
  }

  /** Never resolves once the process was killed. */
  write(records: readonly StateRecord[]): Promise<void> {
    if (this.#isDead) return new Promise(() => {})
    if (this.keeps === 'nothing') return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#pending.push({ records, resolve })
    const { delay } = this.#options ?? {}
    if (!delay || delay.ms === 0) this.#flush()
    else this.#timer ??= delay.clock.after(delay.ms, () => this.#flush())
    return promise
  }

  /** The process ends once so many more records are durable; a write that they are a part of is never over. */
  dieAfter(records: number): void {
    this.#left = records
  }

  /** Of what is being written so many records become durable, and nothing after them. */
  kill(records = 0): void {
    if (this.#isDead) return
    const torn = this.#pending.flatMap((pending) => pending.records).slice(0, records)
    if (torn.length > 0) this.#disk.written.push(encodeRecords(torn))
    this.#isDead = true
    this.#pending = []
    this.#timer?.[Symbol.dispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #flush(): void {
    this.#timer = undefined
    const group = this.#pending
    const size = group.reduce((sum, { records }) => sum + records.length, 0)
    if (size > this.#left) {
      this.kill(this.#left)
      this.#options?.onDeath()
      return
    }
    this.#left -= size
    this.#pending = []
    for (const { records, resolve } of group) {
      this.#disk.written.push(encodeRecords(records))
      resolve()
    }
  }
}

/** What the next process finds. */
export function stateOn(disk: ArrayDisk, stream: string): StreamState {
  const state = new StreamState(stream)
  for (const payload of disk.written) for (const record of decodeRecords(payload)) state.apply(record)
  return state
}
