import { Writable } from 'node:stream'
import { testSink } from '../contract.ts'
import { type Cut, type Received, type SinkTarget, untilWoken } from '../contract-target.ts'
import { decodeStructured } from '../decode.ts'
import { sink } from './index.ts'

/** A pipe: it takes what is written when its reader reads, and breaks when the reader goes. */
class Pipe extends Writable {
  readonly lines: Received[] = []
  readonly #held: (() => void)[] = []
  readonly #waiters = new Set<() => void>()
  #stalled = false
  #cut: Cut | undefined
  #rest = ''
  writes = 0

  stall(): void {
    this.#stalled = true
  }

  flow(): void {
    this.#stalled = false
    for (const take of this.#held.splice(0)) take()
  }

  breakOff(where: Cut): void {
    this.#cut = where
  }

  until(condition: () => boolean): Promise<void> {
    return untilWoken(this.#waiters, condition)
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.writes++
    const take = () => {
      const text = chunk.toString('utf8')
      if (this.#cut !== 'before') this.#read(this.#cut === 'mid-request' ? text.slice(0, text.length / 2) : text)
      done(this.#cut && Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      for (const waiter of this.#waiters) waiter()
    }
    if (this.#stalled) this.#held.push(take)
    else take()
    for (const waiter of this.#waiters) waiter()
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.lines.push(decodeStructured(line))
  }
}

testSink('stdout', {
  definition: sink,
  recallable: false,
  async start(): Promise<SinkTarget> {
    const pipe = new Pipe()
    return {
      config: { format: 'ndjson' },
      stdout: pipe,
      received: () => pipe.lines,
      attempts: () => pipe.writes,
      forget: () => pipe.lines.splice(0),
      until: (condition) => pipe.until(condition),
      stall: () => pipe.stall(),
      flow: () => pipe.flow(),
      cut: (where) => pipe.breakOff(where),
      async [Symbol.asyncDispose]() {
        pipe.flow()
      },
    }
  },
})
