/** The data of an object event in every shape, as JSON text. What is expensive is made once per change, when asked for. */
import type { DataShape } from '../events/types.ts'
import type { KubeObject, ObjectMeta, ResourceVersion } from '../kube/object.ts'
import { takenFrom } from '../kube/taken.ts'
import { changedPointers } from '../route/changed.ts'
import type { Payload } from '../route/view.ts'

/** An object as far as it is known: whole, or its identity. */
export interface PartialObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Omit<ObjectMeta, 'resourceVersion'> & { readonly resourceVersion?: ResourceVersion }
  readonly [member: string]: unknown
}

export interface Content {
  readonly object: PartialObject
  /** The last observed state before an update, if it is held. */
  readonly previous?: KubeObject | undefined
  readonly finalStateKnown?: boolean
}

/** A payload, or one of the smaller ones that replace it when it does not fit. */
export interface Size {
  readonly shape: DataShape & Payload['shape']
  readonly previous: boolean
  /** Set on a smaller one: the value of the attribute `degraded`. */
  readonly degraded?: 'no-previous' | 'metadata' | 'reference'
}

/** What is sent when `size` does not fit; undefined after the smallest. */
export function smallerSize({ shape, previous }: Size, content: Content): Size | undefined {
  if (previous && content.previous) return { shape, previous: false, degraded: 'no-previous' }
  if (shape === 'object' || shape === 'bare') return { shape: 'metadata', previous: false, degraded: 'metadata' }
  if (shape === 'metadata') return { shape: 'reference', previous: false, degraded: 'reference' }
  return undefined
}

/** Each text is made once. */
class Texts {
  readonly #texts = new Map<string, string>()

  get(name: string, make: () => string): string {
    const known = this.#texts.get(name)
    if (known !== undefined) return known
    const text = make()
    this.#texts.set(name, text)
    return text
  }
}

/** Makes the data of one change. Each text is serialised once, however many sinks and shapes ask for it. */
export class PayloadWriter {
  readonly content: Content
  readonly #data = new Texts()
  /** Those of the object alone. */
  readonly #object: Texts
  readonly #previous: Texts

  /** `object`, `previous`: writers that have the same object, or the same previous one, and may have its texts already. */
  constructor(content: Content, known?: { readonly object: PayloadWriter; readonly previous: PayloadWriter }) {
    this.content = content
    this.#object = known ? known.object.#object : new Texts()
    this.#previous = known ? known.previous.#previous : new Texts()
  }

  data(size: Size): string {
    return this.#data.get(`${size.shape} ${size.previous} ${size.degraded}`, () => this.#write(size))
  }

  #write({ shape, previous, degraded }: Size): string {
    const { object, finalStateKnown } = this.content
    if (shape === 'bare') return this.#objectText('object')
    let text = `{"object":${this.#objectText(shape)}`
    const before = this.content.previous
    if (before && previous) {
      text += `,"previous":${this.#previous.get('object', () => JSON.stringify(before))}`
      text += `,"previousResourceVersion":${JSON.stringify(before.metadata.resourceVersion)}`
    }
    // the last resort holds nothing whose length an object decides
    if (before && degraded !== 'reference') text += `,"changed":${this.#changed(before)}`
    if (finalStateKnown !== undefined) text += `,"finalStateKnown":${finalStateKnown}`
    const redacted = takenFrom(object as KubeObject)?.redacted ?? []
    if (redacted.length > 0 && degraded !== 'reference') {
      text += `,"redacted":${this.#object.get('redacted', () => JSON.stringify(redacted))}`
    }
    return `${text}}`
  }

  #objectText(shape: Size['shape']): string {
    return this.#object.get(shape, () => JSON.stringify(shaped(this.content.object, shape)))
  }

  #changed(before: KubeObject): string {
    return this.#data.get('changed', () => JSON.stringify(changedPointers(before, this.content.object as KubeObject)))
  }
}

function shaped(object: PartialObject, shape: Size['shape']): object {
  const { apiVersion, kind, metadata } = object
  if (shape === 'object' || shape === 'bare') return object
  if (shape === 'metadata') return { apiVersion, kind, metadata }
  const { namespace, name, uid, resourceVersion } = metadata
  return { apiVersion, kind, namespace, name, uid, resourceVersion }
}
