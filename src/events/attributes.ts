/** What may be a CloudEvents attribute. Source: CloudEvents 1.0.2, "Context Attributes" and "Type System". */
import { cleanText } from '../lib/clean-text.ts'

/** All context attributes of one event. A member that is undefined is not an attribute. */
export interface CloudEventAttributes {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  readonly datacontenttype: 'application/json'
  readonly dataschema: string
  readonly time: string
  readonly subject?: string
  /** Extensions: Strings and Booleans. */
  readonly [name: string]: string | boolean | undefined
}

const NAME = /^[a-z][a-z0-9]{0,19}$/
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/
const ABSOLUTE_URI = /^[a-z][a-z0-9+.-]*:./i
const REQUIRED = ['id', 'source', 'type'] as const

/** Receivers that do not know these three (a CloudEvents extension about confidential data) must reject the event. */
const RESERVED = new Set(['data', 'dataclassification', 'dataregulation', 'datacategory'])

/**
 * Throws a TypeError that names every attribute that a strict receiver could refuse. For tests: what Deltawire sends is
 * valid by construction, because names come from the definition and the encoders clean the values.
 */
export function assertValidAttributes(attributes: CloudEventAttributes): void {
  const faults = [...faultsOf(attributes)]
  if (faults.length > 0) throw new TypeError(`not valid CloudEvents attributes: ${faults.join('; ')}`)
}

function* faultsOf(attributes: CloudEventAttributes): Generator<string> {
  if (attributes.specversion !== '1.0') yield 'specversion is not "1.0"'
  for (const name of REQUIRED) if (!attributes[name]) yield `${name} is missing`
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue
    if (!NAME.test(name)) yield `${name} is not a name of a-z and 0-9, at most 20 long, starting with a letter`
    if (RESERVED.has(name)) yield `${name} must not be an attribute`
    if (typeof value === 'boolean') continue
    if (typeof value !== 'string') yield `${name} is neither a String nor a Boolean`
    else if (value === '') yield `${name} is empty`
    else if (value !== cleanText(value)) yield `${name} holds a character that a String may not hold`
  }
  if (!RFC3339.test(attributes.time)) yield 'time is not an RFC 3339 timestamp'
  if (!ABSOLUTE_URI.test(attributes.dataschema)) yield 'dataschema is not an absolute URI'
}
