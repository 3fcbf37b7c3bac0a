import type { SecretReference, SinkContext } from '../../src/delivery/sink.ts'
import { KeptSecret } from './kept-secret.ts'

export type AuthConfig =
  | { readonly bearer: SecretReference }
  | { readonly basic: { readonly username: string; readonly password: SecretReference } }

/** The `authorization` header of a sink. */
export class Authorization {
  readonly #secret: KeptSecret
  /** Undefined: a bearer token. */
  readonly #username: string | undefined

  constructor(config: AuthConfig, context: SinkContext) {
    if ('bearer' in config) {
      this.#secret = new KeptSecret('auth.bearer', config.bearer, context)
    } else {
      this.#secret = new KeptSecret('auth.basic.password', config.basic.password, context)
      this.#username = config.basic.username
    }
  }

  /** Rejects with a DeliveryError `unauthorized` if the credential cannot be had. */
  async header(): Promise<string> {
    const secret = await this.#secret.value()
    if (this.#username === undefined) return `Bearer ${secret}`
    return `Basic ${Buffer.from(`${this.#username}:${secret}`, 'utf8').toString('base64')}`
  }

  /** The receiver refused it: the next request reads the credential again. */
  refused(): void {
    this.#secret.refused()
  }
}
