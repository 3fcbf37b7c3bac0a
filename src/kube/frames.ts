/** The bytes of a watch response to frames: one frame a line, a line ends at 0x0A only, frames span and share chunks. */
import { type BoundedText, type ObjectLimits, TextCollector } from './bounded-text.ts'
import { decodeObject, decodeOversized, decodeVersion, type Expected, identityPaths } from './decode-object.ts'
import { KubeError } from './errors.ts'
import { isRecord, type JsonRecord, parseJson } from './json.ts'
import type { Frame } from './list-watch.ts'
import { type KubeObject, resourceName } from './object.ts'
import { errorFromStatus } from './status-error.ts'

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
/** Marks the end of a WatchList's initial objects; no other value than "true" counts. Source: KEP-3157. */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

export class FrameDecoder<T extends KubeObject> {
  readonly #line: TextCollector
  readonly #expected: Expected

  constructor(expected: Expected, limits: ObjectLimits) {
    this.#expected = expected
    // a frame wraps its object in one more level
    this.#line = new TextCollector({ ...limits, depth: limits.depth + 1 }, [
      'type',
      ...identityPaths.map((path) => `object.${path}`),
    ])
  }

  /**
   * The frames that end in this chunk. Stops after an ERROR frame, which ends a watch, and at the first unusable line,
   * which is then given beside what came before it.
   */
  push(chunk: Buffer): { readonly frames: readonly Frame<T>[]; readonly failure?: KubeError } {
    const frames: Frame<T>[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#line.append(chunk.subarray(start, end))
      start = end + 1
      const line = this.#line.take()
      if (isBlank(line)) continue
      try {
        const frame = this.#decode(line)
        frames.push(frame)
        if (frame.type === 'ERROR') return { frames }
      } catch (error) {
        if (error instanceof KubeError) return { frames, failure: error }
        throw error
      }
    }
    this.#line.append(chunk.subarray(start))
    return { frames }
  }

  /** Call at the end of the response: undefined, or `reset` if the last line was cut off. */
  end(): KubeError | undefined {
    const { length } = this.#line
    if (length === 0) return undefined
    return new KubeError('reset', `the watch of ${this.#what} broke off ${length} bytes into a line`)
  }

  get #what(): string {
    return resourceName(this.#expected.resource)
  }

  #decode(line: BoundedText): Frame<T> {
    if (line.type === 'Oversized') {
      const type = line.strings.get('type')
      if (!isChange(type)) throw this.#unusable(type)
      return { type, object: decodeOversized<T>(line, this.#expected, { prefix: 'object.' }), bytes: line.length }
    }
    const frame = parseJson(line.bytes, `a frame of the watch of ${this.#what}`)
    if (!isRecord(frame)) throw this.#unusable(undefined)
    const { type, object } = frame
    if (isChange(type)) return { type, object: decodeObject<T>(object, this.#expected), bytes: line.length }
    if (type === 'BOOKMARK') return this.#bookmark(object)
    if (type === 'ERROR') return { type, error: errorFromStatus(object, { request: `watch of ${this.#what}` }) }
    throw this.#unusable(type)
  }

  #bookmark(object: unknown): Frame<T> {
    const metadata: JsonRecord = isRecord(object) && isRecord(object.metadata) ? object.metadata : {}
    const annotations: JsonRecord = isRecord(metadata.annotations) ? metadata.annotations : {}
    return {
      type: 'BOOKMARK',
      resourceVersion: decodeVersion(metadata.resourceVersion, `a bookmark of ${this.#what}`),
      initialEventsEnd: annotations[INITIAL_EVENTS_END] === 'true',
    }
  }

  #unusable(type: unknown): KubeError {
    const named = typeof type === 'string' ? type.slice(0, 40) : 'none'
    return new KubeError('unusable', `a frame of the watch of ${this.#what} has an unknown type: ${named}`)
  }
}

const isChange = (type: unknown): type is 'ADDED' | 'MODIFIED' | 'DELETED' =>
  type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED'

const isBlank = (line: BoundedText): boolean =>
  line.length === 0 || (line.type === 'Whole' && line.length === 1 && line.bytes[0] === CARRIAGE_RETURN)
