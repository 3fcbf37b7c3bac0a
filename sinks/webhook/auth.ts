import { DeliveryError, type SecretReference, type SinkContext } from '../../src/delivery/sink.ts'

export type AuthConfig =
  | { readonly bearer: SecretReference }
  | { readonly basic: { readonly username: string; readonly password: SecretReference } }

/** A replaced credential is used after this time, or as soon as the receiver refuses the old one. */
const MAX_AGE_MS = 10_000

/** The `authorization` header of a sink, kept for some seconds so that not every request reads a file. */
export class Authorization {
  readonly #config: AuthConfig
  readonly #context: SinkContext
  #kept: { readonly header: string; readonly at: number } | undefined

  constructor(config: AuthConfig, context: SinkContext) {
    this.#config = config
    this.#context = context
  }

  /** Rejects with a DeliveryError `unauthorized` if the credential cannot be had. */
  async header(): Promise<string> {
    const now = this.#context.clock.monotonic()
    if (!this.#kept || now - this.#kept.at > MAX_AGE_MS) this.#kept = { header: await this.#make(), at: now }
    return this.#kept.header
  }

  /** The receiver refused it: the next request reads the credential again. */
  refused(): void {
    this.#kept = undefined
  }

  async #make(): Promise<string> {
    if ('bearer' in this.#config) return `Bearer ${await this.#secret('auth.bearer', this.#config.bearer)}`
    const { username, password } = this.#config.basic
    const secret = await this.#secret('auth.basic.password', password)
    return `Basic ${Buffer.from(`${username}:${secret}`, 'utf8').toString('base64')}`
  }

  async #secret(where: string, reference: SecretReference): Promise<string> {
    let secret: string
    try {
      secret = (await this.#context.secret(reference)).trim()
    } catch (error) {
      const reason = error instanceof Error ? error.message : typeof error
      throw new DeliveryError('unauthorized', `${where}: ${reason}`, { cause: error })
    }
    if (!/^[!-~]([ -~]*[!-~])?$/.test(secret)) {
      throw new DeliveryError(
        'unauthorized',
        `${where}: the credential is empty or holds characters that no header may`,
      )
    }
    return secret
  }
}
