/** For tests: a receiver that can fail in every way that one can. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type Cut, decodeStructured, type Received, type SinkTarget, untilWoken } from 'deltawire/sink-contract'

export class LineTarget implements SinkTarget {
  /** The tokens that were sent. */
  readonly tokens: string[] = []
  /** What connections are told that send a token. */
  welcome = 'ok'
  #received: Received[] = []
  #attempts = 0
  #rules: ({ readonly answer: string } | { readonly cut: Cut })[] = []
  #held: (() => void)[] | undefined
  #server: Server | undefined
  #port = 0
  readonly #sockets = new Set<Socket>()
  readonly #waiters = new Set<() => void>()

  static async start(): Promise<LineTarget> {
    const target = new LineTarget()
    await target.restart()
    return target
  }

  get config() {
    return { address: `127.0.0.1:${this.#port}`, token: { env: 'LINE_TOKEN' } }
  }

  received() {
    return this.#received
  }

  forget() {
    this.#received = []
  }

  attempts() {
    return this.#attempts
  }

  connections() {
    return this.#sockets.size
  }

  until(condition: () => boolean) {
    return untilWoken(this.#waiters, condition)
  }

  stall() {
    this.#held = []
  }

  flow() {
    const held = this.#held ?? []
    this.#held = undefined
    for (const go of held) go()
  }

  cut(where: Cut) {
    this.#rules.push({ cut: where })
  }

  fail(answer: string) {
    this.#rules.push({ answer })
  }

  async stop() {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (server) await once(server.close(), 'close')
  }

  async restart() {
    await this.stop()
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }

  #serve(socket: Socket) {
    this.#sockets.add(socket)
    socket.on('error', () => {}) // a sink that is gone is no matter
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#wake()
    })
    createInterface({ input: socket }).on('line', (line) => {
      if (line.startsWith('token ')) {
        this.tokens.push(line.slice(6))
        socket.write(`${this.welcome}\n`)
      } else if (!socket.destroyed) this.#take(line, socket)
      this.#wake()
    })
  }

  #take(line: string, socket: Socket) {
    this.#attempts++
    const rule = this.#rules.shift() ?? { answer: 'ok' }
    if ('cut' in rule && rule.cut !== 'mid-answer') {
      socket.resetAndDestroy()
      return
    }
    const go = () => {
      if (socket.destroyed) return
      if ('cut' in rule || rule.answer === 'ok') this.#received.push(decodeStructured(line))
      if ('cut' in rule) socket.write('o', () => socket.resetAndDestroy())
      else socket.write(`${rule.answer}\n`)
      this.#wake()
    }
    if (this.#held) this.#held.push(go)
    else go()
  }

  #wake() {
    for (const waiter of this.#waiters) waiter()
  }
}
