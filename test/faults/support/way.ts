import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A way to a server, as through a load balancer: every byte is passed on, until it is cut. */
export class Way implements AsyncDisposable {
  #port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Connections that wait; undefined: none has to. */
  #held: Socket[] | undefined

  private constructor(port: number) {
    this.#port = port
    this.#server = createServer((from) => {
      this.#watch(from)
      if (this.#held) this.#held.push(from)
      else this.#pass(from)
    })
  }

  /** To the port of this URL, which is on this machine. */
  static async to(url: string): Promise<Way> {
    const way = new Way(portOf(url))
    way.#server.listen(0, '127.0.0.1')
    await once(way.#server, 'listening')
    return way
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Where new connections lead from now on; those that are open stay. */
  leadTo(url: string): void {
    this.#port = portOf(url)
  }

  /** Every connection breaks; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /**
   * New connections are taken and wait, until `release`: nobody is refused while the server is restarted. A client that
   * gives up a connection on which TLS does not begin (the bridge: after 10 s) may do so, and come again after its back-off.
   */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    for (const from of this.#held ?? []) this.#pass(from)
    this.#held = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await once(this.#server.close(), 'close')
  }

  #pass(from: Socket): void {
    if (from.destroyed) return
    const to = connect(this.#port, '127.0.0.1')
    this.#watch(to)
    from.pipe(to).pipe(from)
    from.once('close', () => to.destroy())
    to.once('close', () => from.destroy())
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {}) // `close` follows
  }
}

const portOf = (url: string): number => Number(new URL(url).port)
