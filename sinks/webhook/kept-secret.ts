import { DeliveryError, type SecretReference, type SinkContext } from '../../src/delivery/sink.ts'

/** A replaced credential is used after this time, or as soon as the receiver refuses the old one. */
const MAX_AGE_MS = 10_000

/** A credential for a header, kept for some seconds so that not every request reads a file. */
export class KeptSecret {
  readonly #where: string
  readonly #reference: SecretReference
  readonly #context: SinkContext
  #kept: { readonly value: string; readonly at: number } | undefined

  /** `where`: the key of the configuration that has the reference. */
  constructor(where: string, reference: SecretReference, context: SinkContext) {
    this.#where = where
    this.#reference = reference
    this.#context = context
  }

  /** Rejects with a DeliveryError `unauthorized` that names the key if the credential cannot be had. */
  async value(): Promise<string> {
    const now = this.#context.clock.monotonic()
    if (!this.#kept || now - this.#kept.at > MAX_AGE_MS) this.#kept = { value: await this.#read(), at: now }
    return this.#kept.value
  }

  /** The receiver refused it: it is read again for the next request. */
  refused(): void {
    this.#kept = undefined
  }

  async #read(): Promise<string> {
    let secret: string
    try {
      secret = (await this.#context.secret(this.#reference)).trim()
    } catch (error) {
      const reason = error instanceof Error ? error.message : typeof error
      throw new DeliveryError('unauthorized', `${this.#where}: ${reason}`, { cause: error })
    }
    if (/^[!-~]([ -~]*[!-~])?$/.test(secret)) return secret
    const message = `${this.#where}: the credential is empty or holds characters that no header may`
    throw new DeliveryError('unauthorized', message)
  }
}
