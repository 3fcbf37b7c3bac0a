import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { type SelfSigned, selfSigned } from '../../../src/kube/testing/self-signed.ts'

interface Review {
  readonly request: {
    readonly uid: string
    readonly desiredAPIVersion: string
    readonly objects: readonly { readonly apiVersion: string }[]
  }
}

/** A conversion webhook, whose answers a test holds back or refuses. It changes nothing but the version. */
export class Converter implements AsyncDisposable {
  readonly #certificate: SelfSigned
  readonly #server: Server
  #held: (() => void)[] | undefined
  /** Answered with 500 from now on. */
  fails = false

  private constructor(certificate: SelfSigned) {
    this.#certificate = certificate
    this.#server = createServer(certificate, async (request, response) => {
      const { request: asked } = (await json(request)) as Review
      const { uid, desiredAPIVersion: apiVersion, objects } = asked
      const convertedObjects = objects.map((object) => ({ ...object, apiVersion }))
      const answer = () => {
        const result = { uid, result: { status: 'Success' }, convertedObjects }
        const review = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', response: result }
        if (this.fails) response.writeHead(500).end()
        else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(review))
      }
      if (this.#held) this.#held.push(answer)
      else answer()
    })
  }

  static async start(): Promise<Converter> {
    const converter = new Converter(selfSigned('converter'))
    converter.#server.listen(0, '127.0.0.1')
    await once(converter.#server, 'listening')
    return converter
  }

  /** `spec.conversion` of a definition. */
  get conversion(): object {
    const { port } = this.#server.address() as AddressInfo
    const caBundle = Buffer.from(this.#certificate.cert).toString('base64')
    const clientConfig = { url: `https://127.0.0.1:${port}/convert`, caBundle }
    return { strategy: 'Webhook', webhook: { clientConfig, conversionReviewVersions: ['v1'] } }
  }

  /** Calls that wait for their answer. */
  get waiting(): number {
    return this.#held?.length ?? 0
  }

  /** From now on answers wait, until `release`. */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const answer of held) answer()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }
}
