import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { ReceivedEvent } from '../../testbed/receiver.ts'
import type { FaultRates } from './oracle-plan.ts'
import { seeded } from './random-operations.ts'

/** An event that was taken, whatever its sender learnt of it. */
export interface Arrival {
  readonly event: ReceivedEvent
  /** Which process of the bridge sent it, from 1. */
  readonly run: number
}

/** How often an event is answered badly at most: then it is taken. */
const BAD_ATTEMPTS = 3
const SLOW_MS = 30

/**
 * The endpoint of one sink. How it answers an attempt depends on the seed, the event and how often that came, not on
 * what came before it.
 */
export class OracleReceiver implements AsyncDisposable {
  readonly log: Arrival[] = []
  /** Throughout an outage. */
  down: 'unavailable' | 'reset' | undefined
  /** Called with the number of requests of a run, as each arrives. */
  onRequest: (run: number, requests: number) => void = () => {}
  readonly #seed: number
  #rates: FaultRates
  readonly #attempts = new Map<string, number>()
  readonly #requests = new Map<number, number>()
  readonly #server: Server

  private constructor(seed: number, rates: FaultRates) {
    this.#seed = seed
    this.#rates = rates
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy()) // the sender is gone
    })
  }

  static async start(seed: number, rates: FaultRates): Promise<OracleReceiver> {
    const receiver = new OracleReceiver(seed, rates)
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  /** Where a run sends its events. */
  url(run: number): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${run}`
  }

  /** From now on everything is taken. */
  heal(): void {
    this.down = undefined
    this.#rates = { unavailable: 0, throttled: 0, reset: 0, ackLost: 0, slow: 0 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const event = JSON.parse(await text(request)) as ReceivedEvent
    const run = Number(request.url?.slice(1))
    const fault = this.down ?? this.#fault(event.id)
    if (fault === 'reset') request.socket.resetAndDestroy()
    else if (fault === 'unavailable') response.writeHead(503).end()
    else if (fault === 'throttled') response.writeHead(429).end()
    else this.log.push({ event, run })
    const requests = (this.#requests.get(run) ?? 0) + 1
    this.#requests.set(run, requests)
    this.onRequest(run, requests)
    if (fault === 'slow') await delay(SLOW_MS, undefined, { ref: false }) // how long it takes to answer, not how long a test waits
    if (fault === 'ackLost') request.socket.resetAndDestroy()
    else if (!response.writableEnded) response.writeHead(204).end()
  }

  #fault(id: string): keyof FaultRates | undefined {
    const attempt = (this.#attempts.get(id) ?? 0) + 1
    this.#attempts.set(id, attempt)
    if (attempt > BAD_ATTEMPTS) return undefined
    let left = seeded(hashOf(`${this.#seed} ${id} ${attempt}`))()
    for (const [fault, rate] of Object.entries(this.#rates) as [keyof FaultRates, number][]) {
      if (left < rate) return fault
      left -= rate
    }
    return undefined
  }
}

/** FNV-1a. */
function hashOf(words: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < words.length; index++) hash = Math.imul(hash ^ words.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
