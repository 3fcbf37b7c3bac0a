import type { Logger } from 'pino'
import { DeliveryError, type SinkContext } from '../../src/delivery/sink.ts'
import type { Infer } from '../../src/lib/json-schema.ts'
import { type Credentials, Driver } from './driver.ts'
import type { schema } from './schema.ts'

type Config = Infer<typeof schema>

/**
 * The driver that is of use now. When a connection or a login failed, the next one is made, with the credentials that the
 * files hold by then: that is how a rotated file is taken up.
 */
export class Connections implements AsyncDisposable {
  readonly #config: Config
  readonly #context: SinkContext
  #current: Promise<Driver> | undefined
  /** The one that `#current` resolved with. */
  #driver: Driver | undefined
  #made = 0
  readonly #retired = new Set<Promise<void>>()

  constructor(config: Config, context: SinkContext) {
    this.#config = config
    this.#context = context
  }

  /** Resolves with a driver that is connected. Rejects with a DeliveryError, or with the reason of an aborted signal. */
  driver(signal: AbortSignal): Promise<Driver> {
    signal.throwIfAborted()
    if (this.#driver?.isUseless) {
      this.#retire(this.#driver)
      this.#driver = undefined
      this.#current = undefined
    }
    this.#current ??= this.#open(signal).catch((error: unknown) => {
      this.#current = undefined
      throw error
    })
    return this.#current
  }

  /** Waits for what is under way, then closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#current?.catch(() => undefined) // who asked for it was told
    if (this.#driver) this.#retire(this.#driver)
    this.#driver = undefined
    this.#current = undefined
    await Promise.all(this.#retired)
  }

  async #open(signal: AbortSignal): Promise<Driver> {
    const { brokers, compression } = this.#config
    const logger: Logger = this.#context.logger
    const credentials = await this.#credentials()
    const first = this.#made++ % brokers.length // not the same one first each time: it may be the one that hangs
    const rotated = [...brokers.slice(first), ...brokers.slice(0, first)]
    const driver = new Driver({ brokers: rotated, compression, logger, ...credentials })
    try {
      await driver.connect(signal)
    } catch (error) {
      await driver[Symbol.asyncDispose]()
      throw error
    }
    this.#driver = driver
    return driver
  }

  /** What is under way may end; nothing new is sent by it. */
  #retire(driver: Driver): void {
    const closed = driver[Symbol.asyncDispose]().finally(() => this.#retired.delete(closed))
    this.#retired.add(closed)
  }

  async #credentials(): Promise<Credentials> {
    const { tls, sasl } = this.#config
    return {
      tls: tls && {
        ...(tls.ca && { ca: await this.#read('tls.ca', tls.ca) }),
        ...(tls.cert && { cert: await this.#read('tls.cert', tls.cert) }),
        ...(tls.key && { key: await this.#read('tls.key', tls.key) }),
      },
      sasl: sasl && {
        mechanism: sasl.mechanism,
        username: sasl.username,
        password: await this.#read('sasl.password', sasl.password),
      },
    }
  }

  async #read(where: string, reference: Parameters<SinkContext['secret']>[0]): Promise<string> {
    try {
      return await this.#context.secret(reference)
    } catch (error) {
      const reason = error instanceof Error ? error.message : typeof error
      throw new DeliveryError('unauthorized', `${where}: ${reason}`, { cause: error })
    }
  }
}
