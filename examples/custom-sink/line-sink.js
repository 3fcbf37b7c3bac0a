import { once } from 'node:events'
import { createConnection } from 'node:net'
import { DeliveryError, defineSink, InFlight, secretReference, structured, structuredSize } from 'deltawire/sink'

/** Each event is a line of JSON over TCP. It is delivered once the receiver has answered that line with `ok`. */
export const sink = defineSink({
  type: 'line',
  schema: {
    type: 'object',
    required: ['address'],
    properties: {
      address: { type: 'string', format: 'host-port', description: 'Where the receiver listens.' },
      token: { ...secretReference, description: 'Sent first on each connection, as a line `token TOKEN`.' },
    },
  },
  limits: () => ({
    maxEventBytes: 1_000_000,
    maxBatchEvents: 100,
    maxBatchBytes: 4_000_000,
    sizeOf: ({ attributes, data, dataBytes }) => structuredSize(attributes, data && dataBytes) + 1,
    sameKeyInBatch: false, // the receiver could refuse a line and take the next one of the same object
    concurrency: 4,
  }),
  create: (config, context) => new LineSink(config, context),
})

/** What a receiver can answer besides `ok`. `busy 7`: not in the next 7 seconds. */
const codes = { retry: 'failed', reject: 'rejected', large: 'too-large', busy: 'throttled' }

class LineSink {
  #idle = new Set() // connections that no attempt uses
  #inFlight = new InFlight()

  constructor({ address, token }, { secret }) {
    this.address = address
    this.token = token && (() => secret(token)) // asked for each time: it may have been replaced
  }

  async connect(signal) {
    this.#idle.add(await this.#open(signal))
  }

  deliver(batch, { signal }) {
    return this.#inFlight.track(this.#attempt(batch, signal))
  }

  async [Symbol.asyncDispose]() {
    await this.#inFlight.settled()
    for (const socket of this.#idle) socket.destroy()
  }

  async #attempt(batch, signal) {
    if (batch.length === 0) return []
    const [socket = await this.#open(signal)] = this.#idle
    this.#idle.delete(socket)
    const lines = batch.map(({ attributes, data }) => structured(attributes, data))
    const answers = await this.#ask(socket, lines, signal)
    this.#idle.add(socket)
    return answers.flatMap((answer, index) => (answer === 'ok' ? [] : [{ index, error: this.#errorOf(answer) }]))
  }

  async #open(signal) {
    const [host, port] = this.address.split(':')
    const socket = createConnection({ host, port, noDelay: true }).setEncoding('utf8')
    socket.on('error', () => {}) // whoever waits is told; without a listener it would end the process
    socket.on('close', () => this.#idle.delete(socket))
    await this.#use(socket, signal, () => once(socket, 'connect'))
    if (!this.token) return socket
    const [answer] = await this.#ask(socket, [`token ${await this.token()}`], signal)
    if (answer === 'ok') return socket
    socket.destroy()
    throw new DeliveryError('unauthorized', `${this.address} refuses the token`)
  }

  /** Resolves with as many answers as there are lines. */
  #ask(socket, lines, signal) {
    return this.#use(socket, signal, async () => {
      socket.write(`${lines.join('\n')}\n`)
      let text = ''
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        text += chunk
        const answers = text.split('\n')
        if (answers.length > lines.length) return answers.slice(0, lines.length)
        if (text.length > 100 * lines.length) break
      }
      throw new Error('the connection ended, or the answers have no end')
    })
  }

  /** A connection that failed, or whose attempt was aborted, is closed: nothing of it may arrive any more. */
  async #use(socket, signal, work) {
    const stop = () => socket.destroy(signal.reason)
    signal.addEventListener('abort', stop)
    try {
      signal.throwIfAborted()
      return await work()
    } catch (cause) {
      socket.destroy()
      signal.throwIfAborted()
      throw new DeliveryError('unavailable', `no answer from ${this.address}`, { cause })
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** Says the word that is known, and never what else the receiver said: it could be the event. */
  #errorOf(answer) {
    const [word, seconds] = answer.split(' ')
    const code = codes[word]
    if (!code) return new DeliveryError('failed', `${this.address} answers neither ok nor a word that is known`)
    const retryAfterMs = seconds && Number(seconds) * 1000
    return new DeliveryError(code, `${this.address} answers ${word}`, { retryAfterMs })
  }
}
