import { Table } from './table.ts'

/**
 * What etcd is to a real API server: one revision counter for everything, and one table per resource.
 * A revision is never given out twice, unless the store was restored to an older one.
 */
export class Store {
  readonly #tables = new Map<string, Table>()
  readonly #historyLength: number
  #revision: bigint

  constructor(firstRevision: bigint, historyLength: number) {
    this.#revision = firstRevision
    this.#historyLength = historyLength
  }

  /** Of the newest write to any table. */
  get revision(): bigint {
    return this.#revision
  }

  get tables(): Iterable<readonly [name: string, table: Table]> {
    return this.#tables
  }

  nextRevision(): bigint {
    return ++this.#revision
  }

  /** The table with this name (`deployments.apps`); made on first use, so its history begins now. */
  table(name: string): Table {
    let table = this.#tables.get(name)
    if (!table) {
      table = new Table(this.#revision, this.#historyLength)
      this.#tables.set(name, table)
    }
    return table
  }

  drop(name: string): void {
    this.#tables.get(name)?.close()
    this.#tables.delete(name)
  }

  /** Forgets what happened up to `revision`: watches and lists at older ones get 410. */
  compact(revision: bigint): void {
    for (const table of this.#tables.values()) table.compact(revision)
  }

  /** Goes back to the state at `revision`, as an etcd restored from a backup: later revisions are given out again. */
  restore(revision: bigint): void {
    if (revision > this.#revision)
      throw new RangeError(`cannot restore revision ${revision}: ${this.#revision} is the newest`)
    for (const [name, table] of this.#tables) if (!table.restore(revision)) this.drop(name)
    this.#revision = revision
  }
}
