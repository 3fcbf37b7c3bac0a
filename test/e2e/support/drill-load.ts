import { sleep } from '../../../src/lib/abort.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import type { DrillCluster } from './drill-cluster.ts'
import { seeded } from './random-operations.ts'

export interface LoadOptions {
  readonly objects: number
  readonly seed: number
  /** Writes per second; as many as go if absent. */
  readonly perSecond?: number
}

const WRITERS = 16
/** Of so many writes one deletes an object and makes it again. */
const RECREATE_EVERY = 500
const { signal: never } = new AbortController()

/** Writes to small ConfigMaps at an even rate, and knows when each version was written. */
export class DrillLoad {
  readonly #cluster: DrillCluster
  readonly #options: LoadOptions
  readonly #random: () => number
  /** resourceVersion -> ms since 1970, before the call. */
  readonly #written = new Map<string, number>()

  constructor(cluster: DrillCluster, options: LoadOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#random = seeded(options.seed)
  }

  /** When the write of this version began; undefined of one that this load did not write. */
  writtenAt(resourceVersion: string): number | undefined {
    return this.#written.get(resourceVersion)
  }

  /** Makes all objects, as fast as it goes. */
  async create(): Promise<void> {
    const { objects } = this.#options
    await this.#each(objects, (n) => this.#create(n))
  }

  /** So many writes, at the rate of the options or below it. */
  async write(count: number): Promise<void> {
    const { perSecond } = this.#options
    const started = performance.now()
    await this.#each(count, async (n, writer) => {
      const early = perSecond === undefined ? 0 : started + (n * 1000) / perSecond - performance.now()
      if (early > 1) await sleep(early, systemClock, never) // what is measured is a rate
      await this.#change(writer)
    })
  }

  async #each(count: number, work: (n: number, writer: number) => Promise<void>): Promise<void> {
    let next = 0
    const run = async (writer: number) => {
      while (next < count) await work(next++, writer)
    }
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => run(writer)))
  }

  /** Of an object that no other writer touches. */
  async #change(writer: number): Promise<void> {
    const own = Math.floor((this.#options.objects - 1 - writer) / WRITERS) + 1
    const n = writer + WRITERS * Math.floor(this.#random() * own)
    if (this.#random() * RECREATE_EVERY < 1) {
      await this.#cluster.delete(nameOf(n))
      await this.#create(n)
    } else {
      await this.#note(() => this.#cluster.update(nameOf(n), this.#value()))
    }
  }

  async #create(n: number): Promise<void> {
    await this.#note(() => this.#cluster.create(nameOf(n), this.#value()))
  }

  async #note(write: () => Promise<string>): Promise<void> {
    const at = Date.now()
    this.#written.set(await write(), at)
  }

  #value(): string {
    return `${Math.floor(this.#random() * 1e9)}`.padEnd(200, 'x')
  }
}

function nameOf(n: number): string {
  return `drill-${n}`
}
