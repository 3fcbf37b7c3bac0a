import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, Server as SecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { ReceivedEvent } from '../../testbed/receiver.ts'

/** What is done with a request. `take`: the event counts as received, whatever the sender learns of it. */
export type Answer =
  | { readonly type: 'take'; readonly afterMs?: number }
  | { readonly type: 'refuse'; readonly status: number; readonly retryAfter?: string }
  | { readonly type: 'reset-before' }
  | { readonly type: 'take-then-reset' }

/** What a TLS server presents, as PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An HTTP endpoint in this process whose faults a test decides, request by request. Structured mode only. */
export class FaultyReceiver implements AsyncDisposable {
  /** Decides about the next request. */
  answer: () => Answer = () => ({ type: 'take' })
  readonly events: ReceivedEvent[] = []
  /** Of the same events: their texts. */
  readonly bodies: string[] = []
  readonly answered = new Map<string, number>()
  readonly #server: Server | SecureServer

  private constructor(certificate: Certificate | undefined) {
    const take = (request: IncomingMessage, response: ServerResponse) => {
      this.#take(request, response).catch(() => response.destroy())
    }
    this.#server = certificate ? createSecureServer(certificate, take) : createServer(take)
  }

  /** With a certificate it speaks TLS. */
  static async start(certificate?: Certificate): Promise<FaultyReceiver> {
    const receiver = new FaultyReceiver(certificate)
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  get url(): string {
    const scheme = this.#server instanceof SecureServer ? 'https' : 'http'
    return `${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  /** What every connection from now on is shown; those that are open are closed. */
  present(certificate: Certificate): void {
    if (!(this.#server instanceof SecureServer)) throw new Error('it speaks no TLS: start it with a certificate')
    this.#server.setSecureContext(certificate)
    this.#server.closeAllConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = this.answer()
    const name = answer.type === 'refuse' ? String(answer.status) : answer.type
    this.answered.set(name, (this.answered.get(name) ?? 0) + 1)
    if (answer.type === 'reset-before') request.socket.resetAndDestroy()
    else await this.#read(answer, request, response)
  }

  async #read(
    answer: Exclude<Answer, { readonly type: 'reset-before' }>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const body = await text(request)
    const take = () => {
      this.events.push(JSON.parse(body) as ReceivedEvent)
      this.bodies.push(body)
    }
    switch (answer.type) {
      case 'take':
        if (answer.afterMs) await delay(answer.afterMs, undefined, { ref: false }) // how long this target takes, not how long a test waits
        take()
        response.writeHead(204).end()
        return
      case 'take-then-reset':
        take()
        request.socket.resetAndDestroy()
        return
      case 'refuse':
        response.writeHead(answer.status, answer.retryAfter ? { 'retry-after': answer.retryAfter } : {}).end()
    }
  }
}
