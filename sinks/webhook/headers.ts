import type { SecretReference, SinkContext } from '../../src/delivery/sink.ts'
import { KeptSecret } from './kept-secret.ts'

export type HeadersConfig = Readonly<Record<string, string | SecretReference>>

/** Headers that belong to the event or the connection. */
const RESERVED =
  /^(ce-.*|content-type|content-length|content-encoding|proxy-.*|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect)$/

/** What is sent under such a name is a credential: `x-api-key`, `x-functions-key`, `x-gitlab-token`, `x-auth-user` … */
const CREDENTIAL = /^(authorization|x-auth.*|.*(cookie|token|secret|api-?key|passw(or)?d|credential).*|.*-key)$/

/** The configured headers of each request: texts, and credentials from where they are. */
export class ConfiguredHeaders {
  readonly #texts: Readonly<Record<string, string>>
  readonly #secrets: ReadonlyMap<string, KeptSecret>

  /** Throws an Error that begins with the key for what cannot be a header, or must not be written as a text. */
  constructor(headers: HeadersConfig, context: SinkContext) {
    const texts: Record<string, string> = {}
    const secrets = new Map<string, KeptSecret>()
    for (const [name, value] of Object.entries(headers)) {
      const lower = name.toLowerCase()
      checkName(name, lower)
      if (lower in texts || secrets.has(lower)) throw new Error(`headers: ${name} is there twice; keep one`)
      if (typeof value === 'string') {
        checkText(name, lower, value)
        texts[lower] = value
      } else {
        secrets.set(lower, new KeptSecret(`headers.${name}`, value, context))
      }
    }
    this.#texts = texts
    this.#secrets = secrets
  }

  /** By name in lower case. Rejects with a DeliveryError `unauthorized` if a credential cannot be had. */
  async now(): Promise<Readonly<Record<string, string>>> {
    if (this.#secrets.size === 0) return this.#texts
    const all = { ...this.#texts }
    for (const [name, secret] of this.#secrets) all[name] = await secret.value()
    return all
  }

  has(name: string): boolean {
    return name in this.#texts || this.#secrets.has(name)
  }

  /** The receiver refused what it was sent: the next request reads the credentials again. */
  refused(): void {
    for (const secret of this.#secrets.values()) secret.refused()
  }
}

function checkName(name: string, lower: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) throw new Error(`headers: ${JSON.stringify(name)} is no header name`)
  if (RESERVED.test(lower)) throw new Error(`headers: ${name} is set by the webhook itself; remove it`)
}

function checkText(name: string, lower: string, value: string): void {
  if (CREDENTIAL.test(lower)) {
    const way = lower === 'authorization' ? 'use auth, or write' : 'write'
    throw new Error(
      `headers: ${name} is a credential, which is never written into the configuration; ${way} { env: NAME } or { file: PATH }`,
    )
  }
  if (!/^[\t -~]*$/.test(value)) throw new Error(`headers: the value of ${name} holds characters that no header may`)
}
