import type { Arrival } from '../../e2e/support/oracle-receiver.ts'
import { positionOf, SOURCE } from '../../e2e/support/oracle-truth.ts'
import type { Writer } from '../../e2e/support/random-operations.ts'
import { eventually } from '../../support/eventually.ts'
import type { TestObject } from '../../testbed/admin-client.ts'

/** Of all streams together. The server's watch window holds the last 100 changes of each resource, however old they are. */
const AT_ONCE = 60

/**
 * Writers that do not run ahead of a bridge: they go on only when of each stream something at least as new as their last
 * writes has arrived. However short its lives are, what it has to make up for stays within what the server still tells.
 */
export class Pace {
  /** It stands still. */
  failure: unknown
  readonly #log: readonly Arrival[]
  /** stream -> the newest position that was written, and that has arrived. */
  readonly #written = new Map<string, string>()
  readonly #arrived = new Map<string, string>()
  #read = 0
  #left = AT_ONCE
  #waiting: Promise<void> | undefined

  /** `log`: of the sink; it grows. */
  constructor(log: readonly Arrival[]) {
    this.#log = log
  }

  writer(writer: Writer): Writer {
    return {
      create: (collection, body) => this.#write(collection, () => writer.create(collection, body)),
      patch: (path, body) => this.#write(path, () => writer.patch(path, body)),
      delete: (path) => this.#write(path, () => writer.delete(path)),
    }
  }

  async #write(path: string, write: () => Promise<TestObject>): Promise<TestObject> {
    while (this.#left <= 0) {
      this.#waiting ??= this.#untilArrived()
      await this.#waiting
    }
    this.#left--
    const object = await write()
    const { resourceVersion } = object.metadata
    // not every deletion says at which version it was
    if (resourceVersion) raise(this.#written, streamOf(path), positionOf(resourceVersion))
    return object
  }

  async #untilArrived(): Promise<void> {
    const what = 'what was written has arrived, or something later of its stream'
    try {
      await eventually(() => this.#hasArrived(), { what, withinMs: 120_000 })
      this.#left = AT_ONCE
    } catch (error) {
      this.failure ??= error
      throw error
    } finally {
      this.#waiting = undefined
    }
  }

  #hasArrived(): boolean {
    for (; this.#read < this.#log.length; this.#read++) {
      const event = this.#log[this.#read]?.event
      raise(this.#arrived, String(event?.stream), String(event?.sequence))
    }
    return this.#written.entries().every(([stream, position]) => position <= (this.#arrived.get(stream) ?? ''))
  }
}

function raise(positions: Map<string, string>, stream: string, position: string): void {
  if (position > (positions.get(stream) ?? '')) positions.set(stream, position)
}

/** Of `/api/v1/namespaces/shop/pods/web`, whatever the kind. */
function streamOf(path: string): string {
  const [group = '', rest = ''] = path.split('/namespaces/')
  const [namespace, resource] = rest.split('/')
  const name = group.startsWith('/api/') ? resource : `${resource}.v1.example.com`
  return `${SOURCE}/${name}/${namespace}`
}
