/** The topic of an event: a fixed name, or one made of attributes, such as `k8s.{resource}`. */
import type { CloudEventAttributes } from '../../src/delivery/sink.ts'

/**
 * What a topic may be made of: attributes that all events of a stream share, its snapshot markers and gaps too. By one
 * that markers lack, such as `namespace`, the begin of a snapshot would go to another topic than its items.
 */
export const topicAttributes = ['cluster', 'resource', 'stream', 'type'] as const

const PLACEHOLDER = /\{([^{}]*)\}/g
const ILLEGAL = /[^A-Za-z0-9._-]/g
const LONGEST = 249

export class Topic {
  /** Defined if the name is fixed. */
  readonly fixed: string | undefined
  readonly #template: string

  /** Throws an Error that names the key `topic` if no event could have a topic. */
  constructor(template: string) {
    this.#template = template
    for (const [whole, attribute = ''] of template.matchAll(PLACEHOLDER)) {
      if ((topicAttributes as readonly string[]).includes(attribute)) continue
      const choice = topicAttributes.map((name) => `{${name}}`).join(', ')
      throw new Error(`topic: ${whole} is no part of a topic; all events of a stream have ${choice}`)
    }
    const rest = template.replace(PLACEHOLDER, 'x')
    const illegal = rest.match(ILLEGAL)
    if (illegal) {
      throw new Error(`topic: ${JSON.stringify(illegal[0])} is not allowed; letters, digits, dots, _ and - are`)
    }
    const isFixed = rest === template.replace(PLACEHOLDER, '')
    if (isFixed && !isTopic(template)) {
      throw new Error(`topic: Kafka allows 1 to ${LONGEST} characters, and neither "." nor ".."`)
    }
    this.fixed = isFixed ? template : undefined
  }

  /**
   * Always a name that Kafka allows: characters of attributes that it does not allow are `_`. Undefined if the name would
   * be too long, empty, or made of dots.
   */
  of(attributes: CloudEventAttributes): string | undefined {
    if (this.fixed !== undefined) return this.fixed
    const made = this.#template.replace(PLACEHOLDER, (_whole, attribute: string) => `${attributes[attribute] ?? ''}`)
    const name = made.replace(ILLEGAL, '_')
    return isTopic(name) ? name : undefined
  }
}

/** Source: Apache Kafka, `Topic.validate`. */
function isTopic(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= LONGEST
}
